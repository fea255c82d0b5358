//! The other direction: a far side's answer to an offer of ours.

use sdp_types::{Attribute, Group, GroupSemantics, Media, Mid, Session, TypedAttribute};

use super::answer::add_candidates;
use super::offered::{direction, kind};
use super::transport::{Transport, bundle_mids, tagged_line};
use super::{Identity, Kind, SdpError, data, malformed, parse, write};
use crate::data::FarSide;

/// An answer that webrtcbin can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedAnswer {
    /// The answer for webrtcbin: as it came, but every m-line, the rejected
    /// ones too, has the transport of the bundle, and only usable candidates.
    pub mended: String,
    /// Who the far side says it is.
    pub identity: Identity,
    /// The m-lines on which it sends, by their index.
    pub sending: Vec<(usize, Kind)>,
    /// Where it takes data channels: what it takes; at most
    /// [`MAX_WIRE`](super::MAX_WIRE).
    pub data: Option<FarSide>,
}

/// Checks the `answer` to our `offer` and mends it for webrtcbin.
///
/// In every version, webrtcbin writes the ICE credentials of each m-line to
/// the bundle's transport, rejected ones included, and refuses m-lines without.
pub fn accept_answer(offer: &str, answer: &str) -> Result<AcceptedAnswer, SdpError> {
    let ours = parse(offer)?;
    let mut theirs = parse(answer)?;
    let kinds = |session: &Session| -> Vec<String> {
        session.medias.iter().map(|it| it.media.clone()).collect()
    };
    if kinds(&ours) != kinds(&theirs) {
        return Err(malformed(
            "the answer does not have the m-lines of the offer (RFC 3264 6)",
        ));
    }
    if theirs.medias.iter().all(|it| it.port == 0) {
        return Err(malformed("the answer rejects everything"));
    }
    let tagged = tagged_line(&theirs);
    let transport = Transport::read(&theirs, &theirs.medias[tagged], theirs.medias.iter())?;
    if transport.setup == sdp_types::Setup::ActPass {
        return Err(malformed(
            "a=setup of an answer must be active or passive (RFC 8842 5.3)",
        ));
    }
    let shared = transport.attributes();
    theirs.attributes.retain(|it| !is_transport(it));
    let home = match keep_transport(&ours, &mut theirs) {
        true => tagged_line(&ours),
        false => tagged,
    };
    for (index, media) in theirs.medias.iter_mut().enumerate() {
        media.attributes.retain(|it| !is_transport(it));
        media.add_attributes(shared.clone());
        if index == home {
            add_candidates(media, &transport.candidates, false);
        }
    }
    let sending = sending(&theirs);
    let mut far = None;
    for media in data::data_lines(&mut theirs) {
        let side = data::far_side(media);
        data::set_max_message(media, side.max_message);
        far = Some(side);
    }
    Ok(AcceptedAnswer {
        sending,
        data: far,
        mended: write(&theirs),
        identity: transport.identity,
    })
}

/// Makes the transport of the answer that of our offer's first m-line.
///
/// Where the far side has rejected that one, it names another (RFC 9143 section
/// 7.3.2). In every version, webrtcbin looks for the transport under the index
/// of the m-line that is named first, and aborts if there is none.
fn keep_transport(ours: &Session, theirs: &mut Session) -> bool {
    let Some(mids) = bundle_mids(ours) else {
        return false;
    };
    let alone = theirs.medias.iter().filter(|it| it.port != 0).count() == 1;
    if bundle_mids(theirs).is_none() && !alone {
        return false;
    }
    for (our, their) in ours.medias.iter().zip(&mut theirs.medias) {
        if let Some(mid) = mid(our) {
            their.attributes.retain(|it| it.attribute != Mid::NAME);
            their.add_attribute(Mid(mid.to_owned()));
        }
    }
    let is_group = |it: &Attribute| it.attribute == Group::NAME;
    theirs.attributes.retain(|it| !is_group(it));
    let mut group = Group::new(GroupSemantics::new("BUNDLE"));
    group.add_mid_tags(&mids);
    theirs.add_attribute(group);
    true
}

/// Puts our `candidates` (without `a=`) into the m-line of `description` that
/// has the transport, and `a=end-of-candidates` if `complete`.
pub fn with_candidates(
    description: &str,
    candidates: &[String],
    complete: bool,
) -> Result<String, SdpError> {
    let mut session = parse(description)?;
    let tagged = tagged_line(&session);
    let media = session
        .medias
        .get_mut(tagged)
        .ok_or_else(|| malformed("the description has no m-line"))?;
    add_candidates(media, candidates, complete);
    Ok(write(&session))
}

/// The index and the mid of the m-line in `description` that has the
/// transport, which all candidates belong to.
pub fn transport_mline(description: &str) -> Result<(usize, Option<String>), SdpError> {
    let session = parse(description)?;
    let tagged = tagged_line(&session);
    let mid = session.medias.get(tagged).and_then(mid);
    Ok((tagged, mid.map(str::to_owned)))
}

/// The m-lines on which media come to us.
fn sending(theirs: &Session) -> Vec<(usize, Kind)> {
    let lines = theirs.medias.iter().enumerate();
    lines
        .filter(|(_, media)| media.port != 0 && direction(theirs, media).has_send())
        .filter_map(|(index, media)| Some((index, kind(media)?)))
        .collect()
}

fn mid(media: &Media) -> Option<&str> {
    media.get_first_attribute_value(Mid::NAME).flatten()
}

fn is_transport(attribute: &Attribute) -> bool {
    [
        "ice-ufrag",
        "ice-pwd",
        "fingerprint",
        "setup",
        "candidate",
        "end-of-candidates",
    ]
    .contains(&attribute.attribute.as_str())
}
