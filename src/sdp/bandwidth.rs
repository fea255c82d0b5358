//! How much a description lets the far side send (RFC 8866 section 5.8).

/// Writes into each m-line of video of an answer that no more than `bitrate` bit/s
/// are to be sent to whoever made it: as `TIAS` (RFC 3890), and as `AS`, which all
/// browsers know. What stood there before is replaced, unless it was less.
pub fn limit_bitrate(answer: &str, bitrate: u64) -> String {
    let mut limited = String::with_capacity(answer.len() + 64);
    let mut section = Section::default();
    for line in answer.split_inclusive('\n') {
        let bare = line.trim_end();
        if let Some(media) = bare.strip_prefix("m=") {
            section.close(&mut limited);
            section.limit = media.starts_with("video").then_some(bitrate);
        } else if section.limit.is_some() && !bare.starts_with(['i', 'c', 'b']) {
            section.close(&mut limited);
        } else if let (Some(limit), Some(given)) = (section.limit, given(bare)) {
            section.limit = Some(limit.min(given));
            continue;
        }
        limited.push_str(line);
    }
    section.close(&mut limited);
    limited
}

/// An m-line, as long as its `b=` may follow.
#[derive(Default)]
struct Section {
    limit: Option<u64>,
}

impl Section {
    fn close(&mut self, limited: &mut String) {
        if let Some(limit) = self.limit.take() {
            if !limited.ends_with('\n') {
                limited.push_str("\r\n");
            }
            let kilobits = (limit / 1000).max(1);
            limited.push_str(&format!("b=AS:{kilobits}\r\nb=TIAS:{limit}\r\n"));
        }
    }
}

/// What a `b=` line says, in bit/s.
fn given(line: &str) -> Option<u64> {
    let (kind, number) = line.strip_prefix("b=")?.split_once(':')?;
    let number: u64 = number.parse().ok()?;
    match kind {
        "AS" => Some(number.saturating_mul(1000)),
        "TIAS" => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";

    #[test]
    fn video_is_limited_and_sound_is_not() {
        let limited = limit_bitrate(ANSWER, 300_000);
        let expected = ANSWER.replace(
            "96\r\nc=IN IP4 0.0.0.0\r\n",
            "96\r\nc=IN IP4 0.0.0.0\r\nb=AS:300\r\nb=TIAS:300000\r\n",
        );
        assert_eq!(limited, expected);
        assert_eq!(limit_bitrate(&limited, 300_000), expected, "once");
        assert_eq!(limit_bitrate(&limited, 900_000), expected, "less is less");
        let lower = limit_bitrate(&limited, 100_000);
        assert!(
            lower.contains("b=TIAS:100000\r\n") && !lower.contains("300"),
            "{lower}"
        );
        let bare = "v=0\r\nm=video 9 RTP/AVP 96";
        assert_eq!(
            limit_bitrate(bare, 1),
            format!("{bare}\r\nb=AS:1\r\nb=TIAS:1\r\n")
        );
    }

    proptest! {
        #[test]
        fn nothing_else_is_changed(text in "([vmcba]=[a-z0-9:]{0,9}\r?\n){0,9}", bitrate: u64) {
            let limited = limit_bitrate(&text, bitrate);
            let kept = |text: &str| {
                let lines = text.lines().filter(|it| given(it).is_none());
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            prop_assert_eq!(kept(&limited), kept(&text));
        }
    }
}
