//! The m-line of the data channels.

use super::*;

/// Offers with media and data, and where the data is.
const WITH_DATA: [(&str, usize); 3] = [
    (CHROMIUM_DATA, 2),
    (CHROMIUM_DATA_FIRST, 0),
    (FIREFOX_DATA, 2),
];

/// What Chromium takes.
const CHROMIUM_TAKES: usize = 256 * 1024;

fn plan(offer: &str) -> OfferPlan {
    OfferPlan::with_data(offer, &tracks(), &[]).unwrap()
}

#[test]
fn webrtcbin_sees_it_behind_all_media() {
    for (offer, mline) in WITH_DATA {
        let plan = plan(offer);
        let data = plan.data.as_ref().unwrap();
        assert_eq!(data.mline, mline);
        // Firefox takes more than we would ever send.
        let takes = data.far.max_message;
        assert!([CHROMIUM_TAKES, MAX_WIRE].contains(&takes), "{takes}");
        assert!(!data.far.framed);
        let order: Vec<_> = lines(&plan.narrowed, "m=");
        assert_eq!(order.len(), 3);
        assert_eq!(order[2], "m=application 9 UDP/DTLS/SCTP webrtc-datachannel");
        let group = lines(&plan.narrowed, "a=group:BUNDLE")[0];
        assert!(group.ends_with(&format!(" {}", data.mid)), "{group}");
        let line = section(&plan.narrowed, 2);
        assert!(line.contains("a=sctp-port:5000"));
        assert!(line.contains(&format!("a=max-message-size:{takes}")));
        let ufrag = format!("a=ice-ufrag:{}", plan.ufrag());
        assert_eq!(lines(&plan.narrowed, &ufrag).len(), 3);
    }
}

#[test]
fn the_answer_has_it_where_the_offer_has_it() {
    for (offer, mline) in WITH_DATA {
        let plan = plan(offer);
        let local = with_max_message(webrtcbin_answer(&plan)).unwrap();
        let host = "candidate:1 1 UDP 1 192.0.2.9 9 typ host".to_owned();
        let answer = plan
            .answer(&local, std::slice::from_ref(&host), true)
            .unwrap();
        let kinds = |sdp: &str| -> Vec<String> {
            let kind = |line: &&str| line.split(' ').next().map(str::to_owned);
            lines(sdp, "m=").iter().filter_map(kind).collect()
        };
        assert_eq!(kinds(&answer), kinds(offer));
        let line = section(&answer, mline);
        assert!(
            line.starts_with("application 9 UDP/DTLS/SCTP webrtc-datachannel"),
            "{line}"
        );
        assert!(
            line.contains(&format!("a=max-message-size:{MAX_WIRE}")),
            "{line}"
        );
        let group = |sdp| lines(sdp, "a=group:BUNDLE").concat();
        assert_eq!(group(&answer), group(offer));
        // The transport is with the one that leads the group.
        let (first, _) = plan.transport_mline();
        assert_eq!(first, 0);
        assert!(section(&answer, 0).contains(&host));
        for index in 1..3 {
            assert!(!section(&answer, index).contains("a=candidate"));
        }
    }
}

#[test]
fn nobody_gets_what_is_not_wanted_here() {
    for (offer, mline) in WITH_DATA {
        let plan = OfferPlan::new(offer, &tracks()).unwrap();
        assert_eq!(plan.data, None);
        let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
        assert!(section(&answer, mline).starts_with("application 0 "));
    }
    assert_eq!(plan(CHROMIUM).data, None);
}

#[test]
fn data_alone_is_enough_where_no_medium_is_refused() {
    let only = plan(CHROMIUM_DATA_ONLY);
    assert!(only.media.is_empty() && only.data.is_some());
    assert!(section(&only.narrowed, 0).starts_with("application"));
    let answer = only.answer(&webrtcbin_answer(&only), &[], true).unwrap();
    assert_eq!(lines(&answer, "a=group"), ["a=group:BUNDLE 0"]);
    let without_tracks = OfferPlan::with_data(CHROMIUM_DATA, &[], &[]).unwrap();
    assert!(without_tracks.media.is_empty());
    // A black picture is no answer to somebody who wants to watch.
    let h265 = CHROMIUM_DATA
        .replace("H264/", "X/")
        .replace("VP8/", "Y/")
        .replace("opus/", "Z/");
    assert!(OfferPlan::with_data(&h265, &tracks(), &[]).is_err());
    assert!(OfferPlan::new(CHROMIUM_DATA_ONLY, &tracks()).is_err());
}

#[test]
fn sizes_are_those_of_the_far_side_up_to_ours() {
    for (said, expected) in [
        ("a=max-message-size:1000", 1000),
        ("a=max-message-size:0", MAX_WIRE),
        ("a=max-message-size:99999999999999999999999", 65_536),
        ("a=max-message-size:1073741823", MAX_WIRE),
        ("a=x:y", 65_536),
    ] {
        let offer = CHROMIUM_DATA_ONLY.replace("a=max-message-size:262144", said);
        assert_eq!(
            plan(&offer).data.unwrap().far.max_message,
            expected,
            "{said}"
        );
    }
}

#[test]
fn other_protocols_are_not_data_channels() {
    for (from, to) in [
        ("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000"),
        ("UDP/DTLS/SCTP webrtc-datachannel", "UDP/BFCP *"),
        ("a=sctp-port:5000", "a=sctp-port:6000"),
        ("m=application 9", "m=application 0"),
    ] {
        let offer = CHROMIUM_DATA.replace(from, to);
        assert_eq!(plan(&offer).data, None, "{to}");
    }
}

#[test]
fn an_answer_says_what_its_side_takes() {
    let plan = plan(CHROMIUM_DATA);
    let local = with_max_message(webrtcbin_answer(&plan)).unwrap();
    let answer = plan.answer(&local, &[], true).unwrap();
    let taken = |answer: &str| accept_answer(CHROMIUM_DATA, answer).unwrap();
    let far = |answer: &str| taken(answer).data.map(|it| (it.max_message, it.framed));
    let says = "a=max-message-size:65536";
    let answer = announced(answer).unwrap();
    assert!(answer.contains(says), "{answer}");
    // It comes from us: frames can be more.
    assert_eq!(far(&answer), Some((MAX_WIRE, true)));
    let plain = answer.replace("x-sigmund-frames:1", "x-sigmund-frames:2");
    assert_eq!(far(&plain), Some((65_536, false)));
    let vast = plain.replace(says, "a=max-message-size:0");
    let most = format!("a=max-message-size:{MAX_WIRE}");
    assert!(taken(&vast).mended.contains(&most));
    let unsaid = plain.replace(&format!("{says}\r\n"), "");
    assert_eq!(far(&unsaid), Some((65_536, false)));
    let refused = answer.replace("m=application 9", "m=application 0");
    assert_eq!(far(&refused), None);
}

/// webrtcbin offers all m-lines but the first with port 0.
#[test]
fn a_bundled_offer_says_what_we_take() {
    let bare = CHROMIUM_DATA.replace("a=max-message-size:262144\r\n", "");
    let bundled = bare.replace("m=application 9", "m=application 0");
    let bundled = bundled.replace("a=sctp-port", "a=bundle-only\r\na=sctp-port");
    let offer = announced(with_max_message(bundled).unwrap()).unwrap();
    let data = plan(&offer).data.unwrap();
    assert!(data.far.framed, "{offer}");
    assert_eq!(lines(&offer, "a=max-message-size").len(), 1);
}
