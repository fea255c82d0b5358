//! Offers, forged.

/// Replaces the value of each `a=NAME:` line.
pub fn with_attribute(sdp: &str, name: &str, value: &str) -> String {
    let start = format!("a={name}:");
    map_lines(sdp, |line| match line.starts_with(&start) {
        true => Some(format!("{start}{value}")),
        false => Some(line.to_owned()),
    })
}

/// Leaves out each line that starts with `start`.
pub fn without(sdp: &str, start: &str) -> String {
    map_lines(sdp, |line| {
        (!line.starts_with(start)).then(|| line.to_owned())
    })
}

/// The value of the first `a=NAME:` line.
pub fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("a={name}:");
    sdp.lines()
        .find_map(|line| line.strip_prefix(&start))
        .map(str::trim_end)
}

/// The sections of a description: what comes before the first `m=`, then each
/// from its `m=` on.
pub fn sections(sdp: &str) -> Vec<String> {
    let mut sections = vec![String::new()];
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(String::new());
        }
        let section = sections.last_mut().expect("it begins with one");
        section.push_str(line.trim_end());
        section.push_str("\r\n");
    }
    sections
}

/// A fingerprint of nobody's certificate.
pub fn foreign_fingerprint() -> String {
    format!("sha-256 {}", ["5A"; 32].join(":"))
}

fn map_lines(sdp: &str, edit: impl Fn(&str) -> Option<String>) -> String {
    let lines = sdp.lines().filter_map(|line| edit(line.trim_end()));
    lines.map(|line| line + "\r\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\na=setup:actpass\r\nm=audio 9\r\na=mid:0\r\nm=video 9\r\na=mid:1\r\n";

    #[test]
    fn only_the_named_lines_change() {
        let active = with_attribute(SDP, "setup", "active");
        assert_eq!(active, SDP.replace("actpass", "active"));
        assert_eq!(
            without(SDP, "a=mid"),
            "v=0\r\na=setup:actpass\r\nm=audio 9\r\nm=video 9\r\n"
        );
        assert_eq!(attribute(SDP, "mid"), Some("0"));
        assert_eq!(sections(SDP).concat(), SDP);
        assert_eq!(sections(SDP)[2], "m=video 9\r\na=mid:1\r\n");
    }
}
