//! webrtcbin's answer to the narrowed offer, widened to the original one.

use sdp_types::{
    Attribute, Direction, EndOfCandidates, Group, GroupSemantics, Media, Mid, Session,
    TypedAttribute,
};

use super::extension::Extension;
use super::offered::OriginalLine;
use super::{DataPlan, MediaPlan, OfferPlan, SdpError, call, malformed, narrow, parse, write};

/// The attributes of webrtcbin's m-lines that are kept as they are. `a=mid`,
/// `a=extmap` and the direction are written from the plan.
const KEPT: [&str; 9] = [
    "ice-ufrag",
    "ice-pwd",
    "fingerprint",
    "setup",
    "rtcp-mux",
    "ssrc",
    "ssrc-group",
    "msid",
    "rtcp-rsize",
];

/// The same for the m-line of data channels.
const KEPT_DATA: [&str; 7] = [
    "ice-ufrag",
    "ice-pwd",
    "fingerprint",
    "setup",
    "sctp-port",
    "max-message-size",
    "x-sigmund-frames",
];

/// What of the transport stands in rejected m-lines, too. Nobody needs it
/// there, but aiortc takes no m-line without, and webrtcbin before 1.22.8
/// refuses the whole description. For aiortc, `a=rtcp-mux` follows the offer.
const TRANSPORT: [&str; 4] = ["ice-ufrag", "ice-pwd", "fingerprint", "setup"];

impl OfferPlan {
    /// Widens webrtcbin's `answer` to the narrowed offer into one for the
    /// original offer, with `candidates` (without `a=`) in its transport's
    /// m-line, and `a=end-of-candidates` if `complete`.
    ///
    /// An error means that webrtcbin did not do what was asked of it: ours,
    /// not the far side's.
    pub fn answer(
        &self,
        answer: &str,
        candidates: &[String],
        complete: bool,
    ) -> Result<String, SdpError> {
        let theirs = parse(answer).map_err(|error| ours(&error.to_string()))?;
        let asked = self.media.len() + usize::from(self.data.is_some());
        if theirs.medias.len() != asked {
            return Err(ours(&format!(
                "has {} m-lines where {asked} were asked for",
                theirs.medias.len(),
            )));
        }
        let mut session = Session::new(narrow::origin(&theirs.origin), "-");
        let mids = self.bundled_mids();
        if self.original.bundle.is_some() {
            let mut group = Group::new(GroupSemantics::new("BUNDLE"));
            group.add_mid_tags(&mids);
            session.add_attribute(group);
        }
        if self.original.trickle {
            session.add_attribute_with_value("ice-options", "trickle");
        }

        let first = theirs.medias.first();
        let transport = first.map(transport).unwrap_or_default();
        let mut widened = self.widened(theirs.medias)?;
        for (index, line) in self.original.lines.iter().enumerate() {
            let found = widened.iter().position(|it| it.mline == index);
            let Some(found) = found.map(|it| widened.swap_remove(it)) else {
                session.add_media(rejected(line, &transport));
                continue;
            };
            let mut media = found.media;
            if mids.first().map(String::as_str) == Some(found.mid) {
                add_candidates(&mut media, candidates, complete);
            }
            session.add_media(media);
        }
        Ok(write(&session))
    }

    /// webrtcbin's m-lines, which are those of `media`, then that of `data`,
    /// each as the far side is to see it.
    fn widened(&self, theirs: Vec<Media>) -> Result<Vec<Widened<'_>>, SdpError> {
        let mut theirs = theirs;
        let lines = &self.original.lines;
        let mut widened = Vec::with_capacity(theirs.len());
        if let Some(plan) = &self.data {
            let media = theirs.remove(self.original.data_at);
            widened.push(Widened {
                mline: plan.mline,
                mid: &plan.mid,
                media: widen_data(plan, &lines[plan.mline], media)?,
            });
        }
        let media = self.media.iter().zip(&self.original.extensions);
        let media = media.zip(&self.original.profiles).zip(theirs);
        let dead = |plan: &MediaPlan| self.original.dead.contains(&plan.mline);
        let alive = media.filter(|(((plan, _), _), _)| !dead(plan));
        for (((plan, extensions), profile), media) in alive {
            let mut media = widen(plan, &lines[plan.mline], extensions, media)?;
            if let Some(profile) = profile {
                set_profile(&mut media, plan.payload_type, profile);
            }
            widened.push(Widened {
                mline: plan.mline,
                mid: &plan.mid,
                media,
            });
        }
        Ok(widened)
    }

    /// The mids of the accepted m-lines, the one with the transport first
    /// (RFC 9143 section 7.3.1).
    pub(super) fn bundled_mids(&self) -> Vec<String> {
        let accepted = |mid: &&String| self.accepted().any(|(_, it)| it == **mid);
        match &self.original.bundle {
            Some(mids) => mids.iter().filter(accepted).cloned().collect(),
            None => self.accepted().map(|(_, mid)| mid.to_owned()).collect(),
        }
    }
}

/// An m-line of the answer, and where it belongs.
struct Widened<'a> {
    mline: usize,
    mid: &'a str,
    media: Media,
}

fn ours(what: &str) -> SdpError {
    malformed(format!("our own answer {what}"))
}

fn transport(media: &Media) -> Vec<Attribute> {
    let of_it = |it: &&Attribute| TRANSPORT.contains(&it.attribute.as_str());
    media.attributes.iter().filter(of_it).cloned().collect()
}

/// An m-line that we do not take (RFC 8829 section 5.3.1).
fn rejected(line: &OriginalLine, transport: &[Attribute]) -> Media {
    let mut attributes: Vec<Attribute> = Vec::new();
    attributes.extend(line.mid.clone().map(|mid| Mid(mid).into()));
    attributes.push(Direction::Inactive.into());
    // Nobody needs it, but some parsers do not take a format without.
    let map = line.first_map.as_ref();
    attributes.extend(map.map(|map| Attribute::with_value("rtpmap", map)));
    attributes.extend_from_slice(transport);
    attributes.extend(line.mux.then(|| Attribute::new("rtcp-mux")));
    bare(line, 0, line.first_format.clone(), attributes)
}

fn bare(line: &OriginalLine, port: u16, fmt: String, attributes: Vec<Attribute>) -> Media {
    Media {
        media: line.media.clone(),
        port,
        num_ports: None,
        proto: line.proto.clone(),
        fmt,
        media_title: None,
        connections: vec![narrow::nowhere()],
        bandwidths: Vec::new(),
        key: None,
        attributes,
    }
}

fn widen(
    plan: &MediaPlan,
    line: &OriginalLine,
    extensions: &[Extension],
    theirs: Media,
) -> Result<Media, SdpError> {
    let at = |what: &str| ours(&format!("for m-line {} {what}", plan.mline));
    if theirs.port == 0 {
        return Err(at("rejects it"));
    }
    if theirs.get_first_attribute_value(Mid::NAME).flatten() != Some(&plan.mid) {
        return Err(at("has another mid"));
    }
    let direction = plan.pipes().answered();
    if !theirs.has_attribute(&direction.to_string()) {
        return Err(at(&format!("is not {direction}")));
    }
    let direction = plan.ways().answered();
    let offered = [Some(plan.payload_type), plan.rtx_payload_type];
    let formats: Vec<&str> = theirs
        .fmt
        .split_ascii_whitespace()
        .filter(|it| it.parse().is_ok_and(|it| offered.contains(&Some(it))))
        .collect();
    if formats.first() != Some(&plan.payload_type.to_string().as_str()) {
        return Err(at(&format!("is not {}", plan.codec.encoding_name())));
    }

    let mut attributes: Vec<Attribute> = Vec::new();
    // An offer without mid gets an answer without one.
    attributes.extend(line.mid.clone().map(|mid| Mid(mid).into()));
    attributes.push(direction.into());
    let answered = |it: &&Extension| {
        theirs
            .attributes_typed::<sdp_types::ExtMap>()
            .flatten()
            .any(|theirs| theirs.id == it.id && theirs.uri == it.uri)
    };
    let answered = extensions.iter().filter(answered);
    attributes.extend(answered.map(|it| it.answered(plan.ways())));
    let kept = |it: &&Attribute| is_kept(it, &formats);
    attributes.extend(theirs.attributes.iter().filter(kept).cloned());
    let mut media = bare(line, 9, formats.join(" "), attributes);
    if plan.call {
        call::set_ways(&mut media, plan.ways());
    }
    Ok(media)
}

/// webrtcbin does not get to see it, as it compares it letter by letter.
fn set_profile(media: &mut Media, payload_type: u8, profile: &str) {
    let own = format!("{payload_type} ");
    let of_it = |it: &&mut Attribute| {
        let value = it.value.as_deref().unwrap_or_default();
        it.attribute == "fmtp" && value.starts_with(&own) && !value.contains("profile-level-id")
    };
    if let Some(line) = media.attributes.iter_mut().find(of_it) {
        let value = line.value.get_or_insert_default();
        value.push_str(&format!(";profile-level-id={profile}"));
    }
}

fn widen_data(plan: &DataPlan, line: &OriginalLine, theirs: Media) -> Result<Media, SdpError> {
    let at = |what: &str| ours(&format!("for m-line {} {what}", plan.mline));
    if theirs.port == 0 || theirs.media != "application" {
        return Err(at("rejects data channels"));
    }
    if theirs.get_first_attribute_value(Mid::NAME).flatten() != Some(&plan.mid) {
        return Err(at("has another mid"));
    }
    let mut attributes: Vec<Attribute> = Vec::new();
    attributes.extend(line.mid.clone().map(|mid| Mid(mid).into()));
    let kept = |it: &&Attribute| KEPT_DATA.contains(&it.attribute.as_str());
    attributes.extend(theirs.attributes.iter().filter(kept).cloned());
    Ok(bare(line, 9, line.first_format.clone(), attributes))
}

fn is_kept(attribute: &Attribute, formats: &[&str]) -> bool {
    let name = attribute.attribute.as_str();
    match name {
        // All begin with the payload type.
        "rtpmap" | "fmtp" | "rtcp-fb" => attribute
            .value
            .as_deref()
            .and_then(|value| value.split(' ').next())
            .is_some_and(|format| formats.contains(&format)),
        _ => KEPT.contains(&name),
    }
}

pub(super) fn add_candidates(media: &mut Media, candidates: &[String], complete: bool) {
    for candidate in candidates {
        if let Some(value) = candidate.trim().strip_prefix("candidate:") {
            media.add_attribute_with_value("candidate", value);
        }
    }
    if complete {
        media.add_attribute(EndOfCandidates);
    }
}
