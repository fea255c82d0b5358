//! Offers that break rules, by accident or on purpose.

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn refusal(offer: &str) -> String {
    match OfferPlan::new(offer, &tracks()) {
        Err(SdpError::Malformed(text)) => text,
        other => panic!("{offer}: {other:?}"),
    }
}

/// `CHROMIUM` without the lines that begin so.
fn without(start: &str) -> String {
    let kept = CHROMIUM.lines().filter(|line| !line.starts_with(start));
    kept.flat_map(|line| [line, "\r\n"]).collect()
}

#[test]
fn each_refusal_says_what_is_wrong() {
    let fingerprint = lines(CHROMIUM, "a=fingerprint:")[0];
    let ufrag = lines(CHROMIUM, "a=ice-ufrag:")[0];
    let password = lines(CHROMIUM, "a=ice-pwd:")[0];
    for (offer, says) in [
        (String::new(), "cannot be read"),
        ("hello".to_owned(), "cannot be read"),
        ("v=1\r\n".to_owned(), "cannot be read"),
        (without("a=group:"), "BUNDLE"),
        (CHROMIUM.replace("BUNDLE 0 1", "BUNDLE x y"), "BUNDLE"),
        (without("a=rtcp-mux"), "rtcp-mux"),
        (without("a=fingerprint:"), "fingerprint"),
        (
            CHROMIUM.replace(fingerprint, "a=fingerprint:sha-1 00:11"),
            "SHA-256",
        ),
        (
            CHROMIUM.replace(fingerprint, &fingerprint[..fingerprint.len() - 3]),
            "SHA-256",
        ),
        (without("a=ice-ufrag:"), "ice-ufrag"),
        (without("a=ice-pwd:"), "ice-pwd"),
        (CHROMIUM.replace(ufrag, "a=ice-ufrag:abc"), "ice-ufrag"),
        (CHROMIUM.replace(ufrag, "a=ice-ufrag:ab cd"), "ice-ufrag"),
        (
            CHROMIUM.replace(ufrag, &format!("a=ice-ufrag:{}", "a".repeat(257))),
            "ice-ufrag",
        ),
        (CHROMIUM.replace(password, "a=ice-pwd:short"), "ice-pwd"),
        (CHROMIUM.replace("setup:actpass", "setup:holdconn"), "setup"),
        (CHROMIUM.replace("setup:actpass", "setup:maybe"), "setup"),
        (CHROMIUM.replace("a=mid:1", "a=mid:0"), "mid"),
        (CHROMIUM.replace("a=mid:1", "a=mid:a b"), "mid"),
    ] {
        let text = refusal(&offer);
        assert!(text.contains(says), "{text}");
        assert!(text.len() < 300);
    }
}

#[test]
fn without_a_setup_either_role_will_do() {
    let plan = OfferPlan::new(&without("a=setup:"), &tracks()).unwrap();
    assert_eq!(lines(&plan.narrowed, "a=setup:actpass").len(), 2);
    let active = CHROMIUM.replace("setup:actpass", "setup:active");
    let plan = OfferPlan::new(&active, &tracks()).unwrap();
    assert_eq!(lines(&plan.narrowed, "a=setup:active").len(), 2);
}

#[test]
fn sizes_and_counts_are_bounded() {
    let padding = "a=x\r\n".repeat(crate::message::MAX_SDP / 5);
    assert!(refusal(&format!("{CHROMIUM}{padding}")).contains("bytes"));

    let mut many = CHROMIUM.to_owned();
    for _ in 0..MAX_MEDIA - 1 {
        many.push_str("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n");
    }
    assert!(refusal(&many).contains("m-lines"));

    let mut candidates = small_offer("96", &["rtpmap:96 VP8/90000"]);
    for port in 1..1000 {
        write!(
            candidates,
            "a=candidate:1 1 UDP 1 192.0.2.1 {port} typ host\r\n"
        )
        .unwrap();
    }
    let plan = OfferPlan::new(&candidates, &tracks()).unwrap();
    assert_eq!(lines(&plan.narrowed, "a=candidate:").len(), MAX_CANDIDATES);
}

#[test]
fn payload_types_that_are_none_are_not_matched() {
    for number in ["64", "95", "128", "300", "-1", "x"] {
        let map = format!("rtpmap:{number} VP8/90000");
        let offer = small_offer(number, &[&map]);
        assert!(OfferPlan::new(&offer, &tracks()).is_err(), "{number}");
    }
    // Described, but not in the m-line.
    let offer = small_offer("97", &["rtpmap:96 VP8/90000"]);
    assert!(OfferPlan::new(&offer, &tracks()).is_err());
}

#[test]
fn what_is_said_twice_counts_as_said_first() {
    let offer = small_offer("96 96", &["rtpmap:96 VP8/90000", "rtpmap:96 H264/90000"]);
    let plan = OfferPlan::new(&offer, &tracks()).unwrap();
    assert_eq!(plan.media[0].codec, Codec::Vp8);
    assert_eq!(lines(&plan.narrowed, "a=rtpmap:").len(), 1);
}

#[test]
fn foreign_parameters_are_not_passed_on() {
    let fmtp = "fmtp:96 encoding-name=EVIL;max-fr=30;max-fs=1\"2;caps=x;max-fr=60";
    let offer = small_offer("96", &["rtpmap:96 VP8/90000", fmtp]);
    let plan = OfferPlan::new(&offer, &tracks()).unwrap();
    let expected = [("max-fr".to_owned(), "30".to_owned())];
    assert_eq!(plan.media[0].fmtp, expected);
    assert_eq!(lines(&plan.narrowed, "a=fmtp:"), ["a=fmtp:96 max-fr=30"]);
}

/// Lines that mean something, shuffled; and fragments of them.
fn some_line() -> impl Strategy<Value = String> {
    let real: Vec<String> = WATCHING
        .iter()
        .flat_map(|offer| offer.lines())
        .map(str::to_owned)
        .collect();
    let real = prop::sample::select(real);
    prop_oneof![
        8 => real.clone(),
        1 => (real, any::<prop::sample::Index>()).prop_map(|(line, at)| {
            let at = at.index(line.len() + 1);
            line.chars().take(at).collect()
        }),
        1 => "[a-z]=\\PC{0,40}",
    ]
}

proptest! {
    #[test]
    fn no_text_panics(offer in "\\PC{0,200}") {
        let _ = OfferPlan::new(&offer, &tracks());
        let _ = check_candidate(&offer);
        let _ = trickle_fragment(&offer);
    }

    #[test]
    fn no_candidate_panics(line in "(a=)?candidate:[0-9a-z ]{0,20}( [0-9a-zA-Z.:]{1,12}){0,12}") {
        if let Ok(CandidateLine::Usable(line)) = check_candidate(&line) {
            prop_assert_eq!(check_candidate(&line), Ok(CandidateLine::Usable(line)));
        }
    }

    #[test]
    fn a_shuffled_offer_is_planned_soundly_or_refused(
        mut body in prop::collection::vec(some_line(), 0..60),
        swaps in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..4),
        base in 0..WATCHING.len(),
    ) {
        let mut all: Vec<String> = WATCHING[base].lines().map(str::to_owned).collect();
        for (one, other) in swaps {
            let (one, other) = (one.index(all.len()), other.index(all.len()));
            all.swap(one, other);
        }
        all.append(&mut body);
        if let Ok(plan) = OfferPlan::new(&all.join("\r\n"), &tracks()) {
            prop_assert!(!plan.media.is_empty());
            let again = OfferPlan::new(&plan.narrowed, &tracks());
            prop_assert_eq!(again.map(|it| it.narrowed), Ok(plan.narrowed.clone()));
            let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
            prop_assert_eq!(parse(&answer).unwrap().medias.len(), plan.original_lines());
        }
    }
}

impl OfferPlan {
    fn original_lines(&self) -> usize {
        self.original.lines.len()
    }
}
