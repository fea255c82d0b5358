//! How webrtcbin's answer is widened to the original offer.

use super::*;

const HOST: &str = "candidate:1 1 UDP 2015363327 192.0.2.7 40000 typ host";

fn answered(offer: &str) -> (OfferPlan, String) {
    let plan = OfferPlan::new(offer, &tracks()).unwrap();
    let answer = webrtcbin_answer(&plan);
    let answer = plan.answer(&answer, &[HOST.to_owned()], true).unwrap();
    (plan, answer)
}

fn failure(plan: &OfferPlan, answer: &str) -> String {
    let error = plan.answer(answer, &[], false).unwrap_err().to_string();
    assert!(error.starts_with("our own answer"), "{error}");
    error
}

#[test]
fn it_has_the_m_lines_of_the_offer_in_their_order() {
    for offer in WATCHING
        .into_iter()
        .chain([CHROMIUM_STOPPED, FIREFOX_STOPPED])
    {
        let (plan, answer) = answered(offer);
        let theirs = lines(offer, "m=");
        let ours = lines(&answer, "m=");
        assert_eq!(ours.len(), theirs.len());
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let ours: Vec<_> = ours.split(' ').collect();
            let theirs: Vec<_> = theirs.split(' ').collect();
            assert_eq!(ours[0], theirs[0]);
            assert_eq!(ours[2], theirs[2]);
            let line = section(&answer, index);
            let mid = lines(section(offer, index), "a=mid:");
            assert_eq!(lines(line, "a=mid:"), mid);
            let taken = plan.media.iter().find(|it| it.mline == index);
            if let Some(media) = taken {
                assert_eq!(ours[1], "9");
                assert_eq!(ours[3], media.payload_type.to_string());
                assert_eq!(lines(line, "a=sendonly").len(), 1);
                assert_eq!(lines(line, "a=setup:active").len(), 1);
            } else {
                assert_eq!(ours[1..], ["0", theirs[2], theirs[3]]);
                assert_eq!(lines(line, "a=inactive").len(), 1);
                // Besides, what its format is, as it was offered.
                let maps = lines(line, "a=rtpmap:");
                let offered = lines(section(offer, index), "a=rtpmap:");
                assert!(maps.iter().all(|map| offered.contains(map)), "{line}");
                // And the transport, which some parsers want in each m-line.
                for name in ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"] {
                    assert_eq!(lines(line, name)[..1], lines(&answer, name)[..1]);
                }
                // aiortc wants this one, too (where it has offered it).
                let mux = lines(line, "a=rtcp-mux");
                assert_eq!(mux, lines(section(offer, index), "a=rtcp-mux"));
                let others = 6 + mux.len() + maps.len();
                assert_eq!(lines(line, "a=").len(), others, "{line}");
                assert!(maps.len() <= 1, "{line}");
            }
        }
        // It is a description that can be read again.
        assert!(parse(&answer).is_ok());
    }
}

#[test]
fn h264_is_answered_in_the_profile_that_was_offered() {
    for offer in [CHROMIUM, CHROMIUM_DATA] {
        let plan = OfferPlan::new(offer, &[video(&[H264]), audio()]).unwrap();
        let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
        let start = format!("a=fmtp:{} ", plan.media[0].payload_type);
        let parameters = |sdp| -> std::collections::BTreeSet<String> {
            let line = lines(sdp, &start)[0].strip_prefix(&start).unwrap();
            line.split(';').map(str::to_owned).collect()
        };
        assert_eq!(parameters(&answer), parameters(offer));
    }
}

#[test]
fn it_bundles_what_is_accepted() {
    let (_, answer) = answered(CHROMIUM_DATA);
    let group = lines(CHROMIUM_DATA, "a=group:BUNDLE")[0];
    assert_eq!(group, "a=group:BUNDLE 0 1 2");
    let data = lines(CHROMIUM_DATA, "m=")
        .iter()
        .position(|it| it.starts_with("m=application"))
        .unwrap();
    let expected = group.replace(&format!(" {data}"), "");
    assert_eq!(lines(&answer, "a=group"), [expected]);
}

#[test]
fn an_application_first_bundle_gets_its_transport_in_a_medium() {
    let (head, rest) = CHROMIUM_DATA_ONLY.split_once("m=application").unwrap();
    let (_, media) = CHROMIUM.split_once("m=audio").unwrap();
    let offer = format!(
        "{}m=application{rest}m=audio{}",
        head.replace("BUNDLE 0", "BUNDLE data 0 1"),
        media
    )
    .replacen("a=mid:0", "a=mid:data", 1);
    let (plan, answer) = answered(&offer);
    assert_eq!(lines(&answer, "a=group"), ["a=group:BUNDLE 0 1"]);
    assert!(section(&answer, 0).starts_with("application 0 UDP/DTLS/SCTP"));
    assert!(section(&answer, 1).contains(HOST));
    // The transport is the one that the tagged m-line describes.
    let ufrag = lines(section(&offer, 0), "a=ice-ufrag:")[0];
    assert_eq!(lines(&plan.narrowed, "a=ice-ufrag:"), [ufrag, ufrag]);
}

#[test]
fn candidates_stand_in_the_m_line_that_leads_the_group() {
    let offer = CHROMIUM.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1 0");
    let (_, answer) = answered(&offer);
    assert_eq!(lines(&answer, "a=group"), ["a=group:BUNDLE 1 0"]);
    assert!(!section(&answer, 0).contains("a=candidate"));
    let line = section(&answer, 1);
    assert_eq!(lines(line, "a=candidate"), [format!("a={HOST}")]);
    assert_eq!(lines(line, "a=end-of-candidates").len(), 1);
}

#[test]
fn the_end_of_candidates_is_said_only_when_it_is_known() {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let answer = plan.answer(&webrtcbin_answer(&plan), &[], false).unwrap();
    assert!(!answer.contains("candidate"), "{answer}");
}

#[test]
fn nothing_that_was_not_negotiated_is_left() {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let theirs = webrtcbin_answer(&plan)
        .replace("SAVPF 96 97", "SAVPF 96 97 100 101")
        .replace(
            "a=rtpmap:97",
            "a=rtpmap:100 red/90000\r\na=rtpmap:101 ulpfec/90000\r\n\
             a=extmap:9 urn:example:other\r\na=rtpmap:97",
        );
    let answer = plan.answer(&theirs, &[], false).unwrap();
    assert!(answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"));
    for absent in ["red/", "ulpfec", "extmap:9", "framerate"] {
        assert!(!answer.contains(absent), "{absent}");
    }
    for present in [
        "rtx/90000",
        "apt=96",
        "nack pli",
        "transport-cc",
        "a=ssrc:1000",
    ] {
        assert!(answer.contains(present), "{present}");
    }
}

#[test]
fn a_dropped_retransmission_is_not_promised() {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let theirs = webrtcbin_answer(&plan).replace("SAVPF 96 97", "SAVPF 96");
    let answer = plan.answer(&theirs, &[], false).unwrap();
    assert!(answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"));
    assert!(!answer.contains("rtx"), "{answer}");
}

#[test]
fn the_direction_of_an_extension_is_turned_round() {
    let offer = CHROMIUM.replace("a=extmap:3 ", "a=extmap:3/recvonly ");
    let (plan, answer) = answered(&offer);
    assert_eq!(lines(&plan.narrowed, "a=extmap:3 ").len(), 2);
    assert_eq!(lines(&answer, "a=extmap:3/sendonly ").len(), 2);
    assert_eq!(lines(&answer, "a=extmap:4 ").len(), 2);
}

#[test]
fn an_offer_without_mid_and_bundle_is_answered_without() {
    let offer = small_offer("96", &["rtpmap:96 VP8/90000"]);
    let (plan, answer) = answered(&offer);
    assert!(plan.narrowed.contains("a=mid:0\r\n"));
    assert!(plan.narrowed.contains("a=group:BUNDLE 0\r\n"));
    assert!(!answer.contains("a=mid") && !answer.contains("a=group"));
    assert!(!answer.contains("ice-options"));
    assert!(section(&answer, 0).contains(HOST));
}

#[test]
fn the_offers_protocol_is_repeated() {
    let offer = CHROMIUM.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF");
    let (plan, answer) = answered(&offer);
    assert_eq!(
        lines(&plan.narrowed, "m=video 9 UDP/TLS/RTP/SAVPF").len(),
        1
    );
    assert_eq!(lines(&answer, "m=video 9 RTP/SAVPF").len(), 1);
}

#[test]
fn our_own_failures_are_called_ours() {
    let plan = OfferPlan::new(CHROMIUM, &tracks()).unwrap();
    let good = webrtcbin_answer(&plan);
    let one_line = good.split("m=video").next().unwrap();
    for (broken, says) in [
        (one_line.to_owned(), "m-lines"),
        ("gibberish".to_owned(), "cannot be read"),
        (good.replace("m=video 9", "m=video 0"), "rejects"),
        (good.replace("a=mid:1", "a=mid:7"), "mid"),
        (good.replace("a=sendonly", "a=inactive"), "sendonly"),
        (good.replace("SAVPF 96 97", "SAVPF 98"), "VP8"),
    ] {
        let error = failure(&plan, &broken);
        assert!(error.contains(says), "{error}");
    }
}
