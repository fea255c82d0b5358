//! Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03):
//! webrtcbin negotiates it, rtpsession reports it, nobody reads it but us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gst::prelude::*;

/// RTCP payload-specific feedback, application layer (RFC 4585 section 6.1).
const PSFB: u32 = 206;
const ALFB: u32 = 15;

/// The last bitrate that the far side asked us to stay below; 0: none.
pub(super) type Remb = Arc<AtomicU32>;

/// Listens on session 0; to be called once that exists.
pub(super) fn follow(rtpbin: &gst::Element, remb: &Remb) {
    let session = rtpbin.emit_by_name::<Option<glib::Object>>("get-internal-session", &[&0u32]);
    let (Some(session), remb) = (session, remb.clone()) else {
        return;
    };
    // (session, type, fbtype, sender ssrc, media ssrc, feedback information)
    session.connect("on-feedback-rtcp", false, move |args| {
        let number = |index: usize| args.get(index).and_then(|v| v.get::<u32>().ok());
        if number(1) == Some(PSFB) && number(2) == Some(ALFB) {
            let information = args.get(5)?.get::<Option<gst::Buffer>>().ok()??;
            let map = information.map_readable().ok()?;
            if let Some(bitrate) = parse(&map) {
                remb.store(bitrate, Ordering::Relaxed);
            }
        }
        None
    });
}

/// Reads the feedback control information: `REMB`, the number of SSRCs, then
/// 6 bits of exponent and 18 bits of mantissa.
fn parse(information: &[u8]) -> Option<u32> {
    let [b'R', b'E', b'M', b'B', _, high, middle, low, ..] = *information else {
        return None;
    };
    let mantissa = u64::from(high & 0x03) << 16 | u64::from(middle) << 8 | u64::from(low);
    let bitrate = mantissa.checked_shl(u32::from(high >> 2))?;
    Some(u32::try_from(bitrate).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn exponent_and_mantissa_make_the_bitrate() {
        assert_eq!(parse(b"REMB\x01\x0b\xd0\x90\0\0\0\x01"), Some(0x3d090 << 2));
    }

    #[test]
    fn other_feedback_and_cut_packets_are_none() {
        assert_eq!(parse(b"AFBX\x01\x0b\xd0\x90"), None);
        assert_eq!(parse(b"REMB\x01\x0b"), None);
    }

    #[test]
    fn an_absurd_bitrate_is_the_highest() {
        assert_eq!(parse(b"REMB\x01\xff\xff\xff"), Some(u32::MAX));
    }
}
