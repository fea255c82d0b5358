//! Retransmission (RFC 4588) in what we offer to receive.

use std::collections::BTreeSet;

use sdp_types::{Direction, Media, Session};

use super::offered::direction;
use super::{SdpError, parse, write};

/// Payload types that are free for anybody (RFC 3551 section 6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// Our own offer as webrtcbin has made it, with retransmission for each codec
/// that we receive and ask for again: up to 1.26 webrtcbin offers it for the
/// first codec of an m-line only.
pub(crate) fn with_rtx(offer: String) -> Result<String, SdpError> {
    if !offer.contains(" nack") {
        return Ok(offer);
    }
    let mut session = parse(&offer)?;
    let mut taken: BTreeSet<u8> = session.medias.iter().flat_map(payload_types).collect();
    let receiving = |session: &Session, media: &Media| {
        media.media == "video" && direction(session, media) == Direction::RecvOnly
    };
    let lines: Vec<_> = (0..session.medias.len())
        .filter(|&index| receiving(&session, &session.medias[index]))
        .collect();
    for index in lines {
        let media = &mut session.medias[index];
        for codec in without_rtx(media) {
            let Some(free) = DYNAMIC.rev().find(|it| !taken.contains(it)) else {
                break;
            };
            taken.insert(free);
            media.fmt = format!("{} {free}", media.fmt);
            media.add_attribute_with_value("rtpmap", format!("{free} rtx/90000"));
            media.add_attribute_with_value("fmtp", format!("{free} apt={codec}"));
        }
    }
    Ok(write(&session))
}

fn payload_types(media: &Media) -> Vec<u8> {
    let types = media.fmt.split_ascii_whitespace();
    types.filter_map(|it| it.parse().ok()).collect()
}

/// The payload types that are asked for again and have no retransmission yet.
fn without_rtx(media: &Media) -> Vec<u8> {
    let values = |name: &'static str| {
        let all = media
            .attributes
            .iter()
            .filter(move |it| it.attribute == name);
        all.filter_map(|it| it.value.as_deref())
    };
    let covered: Vec<&str> = values("fmtp")
        .filter_map(|it| it.split_once(" apt="))
        .map(|(_, apt)| apt.trim())
        .collect();
    let asks =
        |payload_type: &u8| values("rtcp-fb").any(|it| it.trim() == format!("{payload_type} nack"));
    payload_types(media)
        .into_iter()
        .filter(asks)
        .filter(|it| !covered.contains(&it.to_string().as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 102 96 97\r\na=DIRECTION\r\n\
        a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\n\
        a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n\
        a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=102\r\n\
        m=audio 0 UDP/TLS/RTP/SAVPF 127\r\na=DIRECTION\r\na=rtpmap:127 OPUS/48000/2\r\n";

    #[test]
    fn each_codec_gets_its_own() {
        let offer = with_rtx(OFFER.replace("DIRECTION", "recvonly")).unwrap();
        assert!(
            offer.contains("m=video 9 UDP/TLS/RTP/SAVPF 102 96 97 126\r\n"),
            "{offer}"
        );
        assert!(
            offer.contains("a=rtpmap:126 rtx/90000\r\na=fmtp:126 apt=96\r\n"),
            "{offer}"
        );
        // Once is enough.
        assert_eq!(with_rtx(offer.clone()).unwrap(), offer);
    }

    #[test]
    fn what_is_sent_stays_as_it_is() {
        let offer = OFFER.replace("DIRECTION", "sendonly");
        assert_eq!(with_rtx(offer.clone()).unwrap(), offer);
    }
}
