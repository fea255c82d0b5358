//! Ways to the parsers of the schemes, for [`fuzzing`](crate::fuzzing).

use hyper::header::{HeaderMap, HeaderValue, LOCATION};

use super::gstwebrtc::protocol::{ToPeer, ToServer};
use super::janus::protocol::Packet;
use super::whip::client::{Protocol, located};

pub(crate) fn gstwebrtc(bytes: &[u8]) {
    let to_peer = serde_json::from_slice::<ToPeer>(bytes);
    if let Ok(ToPeer::Peer(note)) = to_peer {
        let _ = note.body.into_message();
    }
    let _ = serde_json::from_slice::<ToServer>(bytes);
}

pub(crate) fn janus(bytes: &[u8]) {
    if let Ok(packet) = serde_json::from_slice::<Packet>(bytes) {
        let _ = (packet.created(), packet.fault(), packet.news(7));
        let _ = (packet.codecs("1234"), packet.codecs("room"));
    }
}

#[cfg(unix)]
pub(crate) fn lines(bytes: &[u8]) {
    // However it arrives, it says the same.
    let mut whole = super::stdio::lines::Lines::default();
    let at_once = whole.take(bytes);
    let mut parts = super::stdio::lines::Lines::default();
    let in_parts: Vec<_> = bytes.chunks(7).flat_map(|it| parts.take(it)).collect();
    assert_eq!(at_once, in_parts);
}

#[cfg(feature = "nats")]
pub(crate) fn nats(bytes: &[u8]) {
    let _ = super::nats::read(bytes);
}

pub(crate) fn location(bytes: &[u8]) {
    let base = url::Url::parse("https://example.net/whip/live").expect("it is one");
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let headers = HeaderMap::from_iter([(LOCATION, value)]);
        if let Ok(url) = located(Protocol::Whip, &base, &headers) {
            assert_eq!(url.scheme(), "https", "never in clear text");
        }
    }
}
