//! Traps of webrtcbin and libnice, each with the trace that falling into it
//! would leave on the wire. What it takes to stay out stands in the code at
//! `plugins/sigmund/src/webrtcbin/` (and `media/payload.rs`).

use sigmund_tests::Publisher;
use sigmund_tests::description;
use sigmund_tests::process::Process;
use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::whep;

use crate::scenes::{PICTURE, SOUND, Stage};

/// Chromium's offer for a picture and sound.
const OFFER: &str = include_str!("../../src/sdp/fixtures/chromium-va.sdp");

/// The m-line of that kind in our answer to it.
fn answered(publisher: &Publisher, stage: &Stage, kind: &str) -> String {
    let resource = whep::offer(&stage.viewer, &publisher.whep("cam"), OFFER, None).unwrap();
    let start = format!("m={kind} ");
    let mut sections = description::sections(&resource.answer).into_iter();
    sections
        .find(|section| section.starts_with(&start))
        .unwrap()
}

/// What a payload type or an extension is called in the offer.
fn number<'a>(sdp: &'a str, attribute: &str, name: &str) -> &'a str {
    let start = format!("a={attribute}:");
    let line = sdp
        .lines()
        .find(|line| line.starts_with(&start) && line.contains(name))
        .unwrap_or_else(|| panic!("no {name} in {sdp}"));
    let rest = line.strip_prefix(&start).unwrap();
    rest.split_ascii_whitespace().next().unwrap()
}

#[test]
fn loss_repair_and_feedback_survive_our_answering() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("video-codecs=VP8");
    let video = answered(&publisher, &stage, "video");
    let vp8 = number(&video, "rtpmap", "VP8/90000");
    let rtx = number(&video, "fmtp", &format!("apt={vp8}"));
    for line in [
        format!("a=rtpmap:{rtx} rtx/90000"),
        format!("a=rtcp-fb:{vp8} nack"),
        format!("a=rtcp-fb:{vp8} nack pli"),
        format!("a=rtcp-fb:{vp8} transport-cc"),
    ] {
        assert!(
            video.lines().any(|l| l.trim_end() == line),
            "{line}: {video}"
        );
    }
    assert!(video.contains("a=ssrc-group:FID "), "{video}");
    publisher.assert_healthy();
}

#[test]
fn ids_in_our_answer_are_those_of_the_offer() {
    let Some(stage) = Stage::new() else { return };
    let both = format!(
        "{PICTURE} ! {}  {SOUND} ! cam.",
        stage.sink("video-codecs=VP8")
    );
    let mut publisher = Publisher::start(&stage.server, &both);
    for kind in ["video", "audio"] {
        let ours = answered(&publisher, &stage, kind);
        let start = format!("m={kind} ");
        let offered = description::sections(OFFER);
        let theirs = offered.iter().find(|s| s.starts_with(&start)).unwrap();
        for uri in ["transport-wide-cc", "sdes:mid"] {
            let (ours, theirs) = (number(&ours, "extmap", uri), number(theirs, "extmap", uri));
            assert_eq!(ours, theirs, "{uri} of {kind}");
        }
    }
    publisher.assert_healthy();
}

#[test]
fn payload_types_below_96_are_served() {
    let Some(stage) = Stage::new() else { return };
    // Chromium offers High profile as one of those (RFC 5761 section 4).
    let mut publisher = stage.publish(&format!(
        "{PICTURE} ! x264enc tune=zerolatency speed-preset=veryfast ! \
         video/x-h264,profile=high ! h264parse"
    ));
    let video = answered(&publisher, &stage, "video");
    let payload_type: u8 = number(&video, "rtpmap", "H264/90000").parse().unwrap();
    assert!(payload_type < 96, "{video}");
    // And so it is sent.
    let manners = Manners {
        video: Vec::new(),
        payload_type: Some(45),
        ..Manners::silent()
    };
    let viewer = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).unwrap();
    viewer.watch(30);
    publisher.assert_healthy();
}

#[test]
fn the_host_name_stays_at_home() {
    let Some(stage) = Stage::new() else { return };
    let publisher = stage.show("");
    let name = stage.server.output("hostname", &[]);
    let resource = whep::offer(&stage.viewer, &publisher.whep("cam"), OFFER, None).unwrap();
    assert!(resource.answer.contains(" cname:"), "{}", resource.answer);
    assert!(
        !resource.answer.contains(name.trim()),
        "{}",
        resource.answer
    );
    assert!(!resource.answer.contains('@'), "{}", resource.answer);
}

#[test]
fn candidates_are_addresses_that_others_can_reach() {
    let Some(stage) = Stage::new() else { return };
    // The lab's hosts have none by themselves.
    let link_local = ["address", "add", "fe80::77/64", "dev", "eth0", "nodad"];
    stage.server.output("ip", &link_local);
    let publisher = stage.show("");
    let resource = whep::offer(&stage.viewer, &publisher.whep("cam"), OFFER, None).unwrap();
    let candidates: Vec<_> = resource
        .answer
        .lines()
        .filter(|line| line.starts_with("a=candidate:"))
        .collect();
    assert!(!candidates.is_empty(), "{}", resource.answer);
    for line in candidates {
        let lower = line.to_ascii_lowercase();
        for bad in ["fe80", "127.0.0.1", " ::1 ", " tcp "] {
            assert!(!lower.contains(bad), "{line}");
        }
    }
}

#[test]
fn nothing_is_asked_of_the_router() {
    let Some(stage) = Stage::new() else { return };
    let capture = std::env::temp_dir().join(format!("sigmund-upnp-{}.pcap", std::process::id()));
    let file = capture.to_str().unwrap();
    let mut command = stage.server.command("tcpdump");
    // UPnP discovery (SSDP), and the multicast it goes to.
    command.args([
        "-i",
        "eth0",
        "-U",
        "-w",
        file,
        "port",
        "1900",
        "or",
        "dst",
        "239.255.255.250",
    ]);
    let _tcpdump = Process::spawn("tcpdump", command);
    let publisher = stage.show("");
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(60);
    let packets = stage.server.output("tcpdump", &["-r", file]);
    let _ = std::fs::remove_file(&capture);
    assert_eq!(packets.trim(), "", "somebody looked for a router");
}
