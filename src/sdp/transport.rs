//! The transport of a bundle: ICE credentials, DTLS role, identity, candidates.

use sdp_types::{Attribute, Group, Media, Session, Setup};

use super::{
    CandidateLine, Fingerprint, Identity, MAX_CANDIDATES, MAX_MEDIA, SdpError, check_candidate,
    is_ice_text, malformed,
};

/// What the bundle's tagged m-line says of the transport that all share
/// (RFC 9143 section 7.1.3).
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) ufrag: String,
    pub(super) password: String,
    pub(super) setup: Setup,
    pub(super) identity: Identity,
    pub(super) candidates: Vec<String>,
}

impl Transport {
    /// Reads it from the `tagged` m-line, or the session where that is silent.
    ///
    /// Candidates are those of the tagged m-line; an offer that has none there
    /// may have them in another m-line of the `bundle`.
    pub(super) fn read<'a>(
        session: &Session,
        tagged: &Media,
        bundle: impl Iterator<Item = &'a Media>,
    ) -> Result<Self, SdpError> {
        let mut candidates = candidates(tagged);
        if candidates.is_empty() {
            candidates = bundle.flat_map(self::candidates).collect();
            candidates.truncate(MAX_CANDIDATES);
        }
        let ufrag = value(session, tagged, "ice-ufrag");
        let password = value(session, tagged, "ice-pwd");
        let (ufrag, password) = check_credentials(ufrag, password)?;
        Ok(Self {
            ufrag,
            password,
            setup: setup(session, tagged)?,
            identity: identity(session, tagged)?,
            candidates,
        })
    }

    /// The lines that webrtcbin 1.22 wants in each m-line, the same in all.
    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = vec![
            Attribute::with_value("ice-ufrag", &self.ufrag),
            Attribute::with_value("ice-pwd", &self.password),
        ];
        // webrtcbin reads one, and we do not rely on how it compares it.
        let first = self.identity.fingerprints.first();
        attributes.extend(first.map(|it| Attribute::with_value("fingerprint", it.to_value())));
        attributes.push(self.setup.clone().into());
        attributes
    }
}

/// The mids of the first BUNDLE group. Further groups would be further
/// transports; their m-lines are rejected.
pub(super) fn bundle_mids(session: &Session) -> Option<Vec<String>> {
    let group = session
        .attributes_typed::<Group>()
        .flatten()
        .find(|it| it.semantics.as_str().eq_ignore_ascii_case("BUNDLE"))?;
    let mids = group.mid_tags.into_iter().filter(|it| !it.is_empty());
    Some(mids.take(MAX_MEDIA).collect())
}

/// The value of an attribute of the m-line, or of the session.
fn value<'a>(session: &'a Session, media: &'a Media, name: &'a str) -> Option<&'a str> {
    media
        .get_first_attribute_value(name)
        .or_else(|| session.get_first_attribute_value(name))
        .flatten()
}

/// The user fragment of the transport that a bundle shares.
pub(super) fn ufrag(session: &Session) -> Option<String> {
    let media = session.medias.get(tagged_line(session))?;
    value(session, media, "ice-ufrag").map(str::to_owned)
}

/// The index of the m-line that has the transport: the first of the BUNDLE
/// group that is there, else the first that is in use.
pub(super) fn tagged_line(session: &Session) -> usize {
    let mid = |media: &Media, tag: &str| media.get_first_attribute_value("mid") == Some(Some(tag));
    let of_group = bundle_mids(session)
        .into_iter()
        .flatten()
        .find_map(|tag| session.medias.iter().position(|it| mid(it, &tag)));
    of_group
        .or_else(|| session.medias.iter().position(|it| it.port != 0))
        .unwrap_or_default()
}

/// ICE credentials must be there, and be of 4 to 256 and 22 to 256 characters
/// (RFC 8839 section 5.4).
fn check_credentials(
    ufrag: Option<&str>,
    password: Option<&str>,
) -> Result<(String, String), SdpError> {
    let check = |name: &str, text: Option<&str>, least: usize| {
        let text = text.ok_or_else(|| malformed(format!("the description has no a={name}")))?;
        check_credential(name, text, least)?;
        Ok(text.to_owned())
    };
    Ok((
        check("ice-ufrag", ufrag, 4)?,
        check("ice-pwd", password, 22)?,
    ))
}

/// Checks one ICE credential's length and characters.
pub(super) fn check_credential(name: &str, text: &str, least: usize) -> Result<(), SdpError> {
    if (least..=256).contains(&text.len()) && is_ice_text(text) {
        return Ok(());
    }
    Err(malformed(format!(
        "a={name} must be {least} to 256 letters, digits, + or / (RFC 8839 5.4)"
    )))
}

/// The DTLS role (RFC 8842 section 5.2); `actpass` where nothing is said.
fn setup(session: &Session, media: &Media) -> Result<Setup, SdpError> {
    let Some(text) = value(session, media, "setup") else {
        return Ok(Setup::ActPass);
    };
    match text.trim().parse() {
        Ok(Setup::HoldConn) | Err(_) => Err(malformed(
            "a=setup must be actpass, active or passive (RFC 8842 5.2)",
        )),
        Ok(setup) => Ok(setup),
    }
}

fn identity(session: &Session, media: &Media) -> Result<Identity, SdpError> {
    let name = "fingerprint";
    let mut values: Vec<_> = media.get_attribute_values(name).flatten().collect();
    if values.is_empty() {
        values = session.get_attribute_values(name).flatten().collect();
    }
    if values.is_empty() {
        return Err(malformed(
            "the description has no a=fingerprint, so nobody could tell who connects",
        ));
    }
    let mut fingerprints: Vec<Fingerprint> = values
        .into_iter()
        .filter_map(Fingerprint::read)
        .take(16)
        .collect();
    if fingerprints.is_empty() {
        return Err(malformed(
            "no a=fingerprint is a whole digest of SHA-256, SHA-384 or SHA-512",
        ));
    }
    // webrtcbin looks at the first only, and knows SHA-256 best.
    fingerprints.sort_by_key(|it| it.algorithm != "sha-256");
    Ok(Identity { fingerprints })
}

fn candidates(media: &Media) -> Vec<String> {
    media
        .get_attribute_values("candidate")
        .flatten()
        .filter_map(|text| match check_candidate(&format!("candidate:{text}")) {
            Ok(CandidateLine::Usable(line)) => Some(line),
            _ => None,
        })
        .take(MAX_CANDIDATES)
        .collect()
}
