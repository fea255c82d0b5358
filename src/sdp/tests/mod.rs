//! Offers of real browsers, narrowed and widened again; and hostile ones.

mod accepts;
mod answers;
mod calls;
mod candidates;
mod data;
mod hostile;
mod offers;
mod receiving;

use super::*;

pub(crate) const CHROMIUM: &str = include_str!("../fixtures/chromium-av.sdp");
const CHROMIUM_VIDEO_FIRST: &str = include_str!("../fixtures/chromium-va.sdp");
const CHROMIUM_DATA: &str = include_str!("../fixtures/chromium-data-last.sdp");
const CHROMIUM_DATA_FIRST: &str = include_str!("../fixtures/chromium-data-first.sdp");
const CHROMIUM_DATA_ONLY: &str = include_str!("../fixtures/chromium-data-only.sdp");
const CHROMIUM_BOTH_WAYS: &str = include_str!("../fixtures/chromium-sendrecv.sdp");
const CHROMIUM_STOPPED: &str = include_str!("../fixtures/chromium-stopped.sdp");
const FIREFOX: &str = include_str!("../fixtures/firefox-av.sdp");
const FIREFOX_VIDEO_FIRST: &str = include_str!("../fixtures/firefox-va.sdp");
const FIREFOX_DATA: &str = include_str!("../fixtures/firefox-data-last.sdp");
const FIREFOX_BOTH_WAYS: &str = include_str!("../fixtures/firefox-sendrecv.sdp");
const FIREFOX_BUNDLE_ONLY: &str = include_str!("../fixtures/firefox-max-bundle.sdp");
const FIREFOX_STOPPED: &str = include_str!("../fixtures/firefox-stopped.sdp");

/// Whole offers with audio and video that receive.
const WATCHING: [&str; 11] = [
    CHROMIUM,
    CHROMIUM_VIDEO_FIRST,
    CHROMIUM_DATA,
    CHROMIUM_DATA_FIRST,
    CHROMIUM_BOTH_WAYS,
    include_str!("../fixtures/chromium-max-bundle.sdp"),
    FIREFOX,
    FIREFOX_VIDEO_FIRST,
    FIREFOX_DATA,
    FIREFOX_BOTH_WAYS,
    FIREFOX_BUNDLE_ONLY,
];

const H264: CodecOffer = CodecOffer {
    codec: Codec::H264,
    profile: Some(H264Profile::ConstrainedBaseline),
};
const VP8: CodecOffer = CodecOffer {
    codec: Codec::Vp8,
    profile: None,
};
const OPUS: CodecOffer = CodecOffer {
    codec: Codec::Opus,
    profile: None,
};

fn video(codecs: &[CodecOffer]) -> TrackOffer {
    TrackOffer {
        kind: Kind::Video,
        codecs: codecs.to_vec(),
    }
}

fn audio() -> TrackOffer {
    TrackOffer {
        kind: Kind::Audio,
        codecs: vec![OPUS],
    }
}

/// What `rtcsink` has with test picture and sound: video is track 0.
pub(crate) fn tracks() -> [TrackOffer; 2] {
    [video(&[VP8, H264]), audio()]
}

fn lines<'a>(sdp: &'a str, start: &str) -> Vec<&'a str> {
    sdp.lines().filter(|line| line.starts_with(start)).collect()
}

/// The part of a description that belongs to one m-line.
fn section(sdp: &str, index: usize) -> &str {
    sdp.split("\r\nm=").nth(index + 1).unwrap()
}

/// A small offer of one m-line; `more` are lines without `a=`.
fn small_offer(video: &str, more: &[&str]) -> String {
    let mut offer = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF {video}\r\nc=IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
         a=fingerprint:sha-256 {}\r\na=rtcp-mux\r\na=recvonly\r\n",
        ["AB"; 32].join(":")
    );
    for line in more {
        offer.push_str(&format!("a={line}\r\n"));
    }
    offer
}

/// What webrtcbin 1.22 answers to a narrowed offer, in its order of lines.
pub(crate) fn webrtcbin_answer(plan: &OfferPlan) -> String {
    let mids: Vec<&str> = plan.accepted().map(|(_, mid)| mid).collect();
    let mut answer = format!(
        "v=0\r\n{}\r\ns=-\r\na=ice-options:trickle\r\na=group:BUNDLE {}\r\n",
        lines(&plan.narrowed, "o=")[0],
        mids.join(" ")
    );
    for (index, media) in plan.media.iter().enumerate() {
        let theirs = section(&plan.narrowed, index);
        answer.push_str(&format!(
            "m={}\r\nc=IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:ourufrag\r\na=ice-pwd:ourpasswordourpasswordourpw\r\n\
             a=mid:{}\r\na=rtcp-mux\r\na=setup:active\r\n",
            theirs.lines().next().unwrap(),
            media.mid
        ));
        for start in ["a=rtpmap", "a=rtcp-fb", "a=fmtp", "a=extmap"] {
            for line in lines(theirs, start) {
                answer.push_str(&format!("{line}\r\n"));
            }
        }
        let ours = media.pipes().answered();
        answer.push_str(&format!(
            "a=framerate:30\r\na=ssrc:{0} msid:stream webrtctransceiver{1}\r\n\
             a=ssrc:{0} cname:stream\r\na={ours}\r\na=fingerprint:sha-256 {2}\r\n",
            1000 + index,
            index,
            ["CD"; 32].join(":")
        ));
    }
    if let Some(data) = &plan.data {
        assert_eq!(
            plan.original.data_at,
            plan.media.len(),
            "it is put last here"
        );
        answer.push_str(&format!(
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:ourufrag\r\na=ice-pwd:ourpasswordourpasswordourpw\r\n\
             a=mid:{}\r\na=setup:active\r\na=sctp-port:5000\r\na=fingerprint:sha-256 {}\r\n",
            data.mid,
            ["CD"; 32].join(":")
        ));
    }
    answer
}

/// What webrtcbin offers for the m-lines of a call.
pub(crate) fn webrtcbin_offer(media: &[MediaPlan]) -> String {
    let mids: Vec<&str> = media.iter().map(|it| it.mid.as_str()).collect();
    let mut offer = format!(
        "v=0\r\no=- 1 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-options:trickle\r\n\
         a=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for (index, plan) in media.iter().enumerate() {
        let (port, only) = match index {
            0 => (9, ""),
            _ => (0, "a=bundle-only\r\n"),
        };
        let (number, codec) = (plan.payload_type, plan.codec.encoding_name());
        let channels = if plan.codec == Codec::Opus { "/2" } else { "" };
        let fmtp: Vec<_> = plan
            .fmtp
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let fmtp = match fmtp.is_empty() {
            true => String::new(),
            false => format!("a=fmtp:{number} {}\r\n", fmtp.join(";")),
        };
        offer.push_str(&format!(
            "m={} {port} UDP/TLS/RTP/SAVPF {number}\r\nc=IN IP4 0.0.0.0\r\n{only}\
             a=setup:actpass\r\na=ice-ufrag:theirufrag\r\na=ice-pwd:theirpasswordtheirpasswor\r\n\
             a=rtcp-mux\r\na=rtcp-rsize\r\na=sendrecv\r\n\
             a=rtpmap:{number} {codec}/{}{channels}\r\n{fmtp}\
             a=rtcp-fb:{number} nack\r\na=rtcp-fb:{number} transport-cc\r\n\
             a=extmap:1 {}\r\na=extmap:2 {}\r\n\
             a=ssrc:{} msid:stream webrtctransceiver{index}\r\na=ssrc:{} cname:stream\r\n\
             a=mid:{}\r\na=fingerprint:sha-256 {}\r\n",
            plan.kind,
            plan.clock_rate,
            extension::TWCC,
            extension::MID,
            2000 + index,
            2000 + index,
            plan.mid,
            ["EF"; 32].join(":")
        ));
    }
    offer
}
