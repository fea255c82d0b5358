//! Trickle ICE fragments of our own offer (RFC 8840, RFC 9725 section 4.3.1).

use crate::sdp;

/// What all fragments of one offer have in common.
pub(super) struct Fragments {
    /// Up to the candidates; `None` when the offer lacks a part of it.
    head: Option<String>,
}

impl Fragments {
    /// For the m-line of `offer` that has the transport.
    pub(super) fn new(offer: &str) -> Self {
        Self { head: head(offer) }
    }

    /// A body for PATCH; `None` when there is nothing to say.
    pub(super) fn write(&self, candidates: &[String], end: bool) -> Option<String> {
        let mut body = self.head.clone()?;
        let mut said = end;
        // A line end within would begin another attribute.
        let sound = |it: &&String| it.starts_with("candidate:") && !it.contains(char::is_control);
        for candidate in candidates.iter().filter(sound) {
            body += &format!("a={candidate}\r\n");
            said = true;
        }
        if end {
            body += "a=end-of-candidates\r\n";
        }
        said.then_some(body)
    }
}

fn head(offer: &str) -> Option<String> {
    let (at, mid) = sdp::transport_mline(offer).ok()?;
    let lines: Vec<_> = offer.lines().map(str::trim_end).collect();
    let mut sections = lines.chunk_by(|_, next| !next.starts_with("m="));
    let session = sections.next()?;
    let media = sections.nth(at)?;
    let attribute = |name: &str| {
        let find = |lines: &[&str]| {
            let found = lines.iter().find(|line| line.starts_with(name));
            found.map(|line| (*line).to_owned())
        };
        find(media).or_else(|| find(session))
    };
    let mut head = String::new();
    if let Some(group) = session
        .iter()
        .find(|line| line.starts_with("a=group:BUNDLE"))
    {
        head += &format!("{group}\r\n");
    }
    head += &format!("{}\r\n", media.first()?);
    if let Some(mid) = mid {
        head += &format!("a=mid:{mid}\r\n");
    }
    for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
        head += &format!("{}\r\n", attribute(name)?);
    }
    Some(head)
}
