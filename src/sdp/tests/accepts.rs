//! A far side's answer to an offer of ours.

use super::*;

/// Chromium's offer as ours, and an answer of a far side that takes all.
fn exchange() -> (&'static str, String) {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
    (CHROMIUM, answer)
}

fn refusal(answer: &str) -> String {
    accept_answer(CHROMIUM, answer).unwrap_err().to_string()
}

#[test]
fn a_rejected_m_line_gets_the_transport_of_the_bundle() {
    let (offer, answer) = exchange();
    let (before, _) = answer.split_once("m=video").unwrap();
    let one = before.replace("BUNDLE 0 1", "BUNDLE 0");
    // As Chromium rejects, and as Firefox does.
    for rejected in [
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:evil\r\n\
         a=ice-pwd:evilevilevilevilevilevil\r\na=setup:active\r\na=mid:1\r\na=inactive\r\n",
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n",
    ] {
        let accepted = accept_answer(offer, &format!("{one}{rejected}")).unwrap();
        let (kept, mended) = (section(&accepted.mended, 0), section(&accepted.mended, 1));
        assert!(mended.starts_with("video 0 "));
        for start in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"] {
            assert_eq!(lines(mended, start), lines(kept, start));
            assert_eq!(lines(mended, start).len(), 1);
        }
        assert!(!accepted.mended.contains("evil"));
        assert_eq!(accepted.identity.fingerprints[0].digest, [0xcd; 32]);
    }
}

/// webrtcbin aborts where the answer's transport is not that of the offer.
#[test]
fn where_the_first_m_line_is_rejected_it_still_has_the_transport() {
    let (offer, answer) = exchange();
    let answer = answer.replace(
        "a=end-of-candidates",
        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
    );
    let (session, rest) = answer.split_once("m=audio").unwrap();
    let (audio, video) = rest.split_once("m=video").unwrap();
    let transport: String = audio
        .lines()
        .filter(|it| it.starts_with("a=ice-") || it.starts_with("a=candidate"))
        .map(|it| format!("{it}\r\n"))
        .collect();
    let rejected = "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=inactive\r\n";
    let session = session.replace("BUNDLE 0 1", "BUNDLE 1");
    let answer = format!("{session}{rejected}m=video{video}{transport}");
    let mended = accept_answer(offer, &answer).unwrap().mended;
    assert_eq!(lines(&mended, "a=group"), ["a=group:BUNDLE 0 1"]);
    assert_eq!(lines(section(&mended, 0), "a=mid"), ["a=mid:0"]);
    assert_eq!(lines(section(&mended, 0), "a=candidate").len(), 1);
    assert!(lines(section(&mended, 1), "a=candidate").is_empty());
}

#[test]
fn only_usable_candidates_are_left() {
    let (offer, answer) = exchange();
    let answer = answer.replace(
        "a=end-of-candidates",
        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=candidate:nonsense\r\na=end-of-candidates",
    );
    let mended = accept_answer(offer, &answer).unwrap().mended;
    let expected = ["a=candidate:1 1 UDP 1 192.0.2.1 9 typ host"];
    assert_eq!(lines(&mended, "a=candidate"), expected);
    assert!(!mended.contains("end-of-candidates"));
}

#[test]
fn each_refusal_says_what_is_wrong() {
    let (_, answer) = exchange();
    for (broken, says) in [
        (answer.replace("m=video", "m=audio"), "m-lines"),
        (
            answer.split("m=video").next().unwrap().to_owned(),
            "m-lines",
        ),
        (answer.replace(" 9 UDP", " 0 UDP"), "rejects everything"),
        (answer.replace("a=fingerprint", "a=x"), "fingerprint"),
        (answer.replace("setup:active", "setup:actpass"), "setup"),
        ("v".to_owned(), "cannot be read"),
    ] {
        let text = refusal(&broken);
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn our_candidates_go_into_the_m_line_with_the_transport() {
    let offer = CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 1 0");
    let host = "candidate:1 1 UDP 1 192.0.2.9 9 typ host".to_owned();
    let written = with_candidates(&offer, &[host], true).unwrap();
    assert!(!section(&written, 0).contains("192.0.2.9"));
    assert!(section(&written, 1).contains("192.0.2.9"));
    assert!(section(&written, 1).contains("a=end-of-candidates"));
    assert_eq!(transport_mline(&offer), Ok((1, Some("1".to_owned()))));
    assert!(with_candidates("v=0\r\n", &[], false).is_err());
}

#[test]
fn the_user_fragment_is_found() {
    for offer in WATCHING {
        let plan = OfferPlan::new(offer, &tracks()).unwrap();
        assert_eq!(ice_ufrag(offer).as_deref(), Some(plan.ufrag()));
    }
    assert_eq!(ice_ufrag("nonsense"), None);
}
