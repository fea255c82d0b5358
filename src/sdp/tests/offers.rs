//! What is planned for an offer, and how it is narrowed.

use super::*;

fn plan(offer: &str, tracks: &[TrackOffer]) -> OfferPlan {
    OfferPlan::new(offer, tracks).unwrap()
}

fn incompatible(offer: &str, tracks: &[TrackOffer]) -> String {
    match OfferPlan::new(offer, tracks) {
        Err(SdpError::Incompatible(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_browser_that_wants_both_gets_both_tracks() {
    for offer in WATCHING {
        let plan = plan(offer, &tracks());
        assert_eq!(plan.media.len(), 2, "{offer}");
        assert!(plan.media[0].mline < plan.media[1].mline);
        for media in &plan.media {
            let line = section(offer, media.mline);
            assert!(line.starts_with(&media.kind.to_string()));
            assert!(line.contains(&format!("a=mid:{}\r", media.mid)));
            assert_eq!(media.track, Some(usize::from(media.kind == Kind::Audio)));
            assert!(media.twcc.is_some() && media.mid_extension.is_some());
        }
    }
}

#[test]
fn chromium_gets_vp8_and_opus_with_all_their_feedback() {
    let plan = plan(CHROMIUM, &tracks());
    let [audio, video] = &plan.media[..] else {
        panic!("{plan:?}")
    };
    assert_eq!(
        *audio,
        MediaPlan {
            call: false,
            track: Some(1),
            receives: false,
            mline: 0,
            mid: "0".to_owned(),
            kind: Kind::Audio,
            codec: Codec::Opus,
            payload_type: 111,
            clock_rate: 48_000,
            rtx_payload_type: None,
            nack: false,
            fir: false,
            twcc: Some(3),
            mid_extension: Some(4),
            fmtp: vec![
                ("minptime".to_owned(), "10".to_owned()),
                ("useinbandfec".to_owned(), "1".to_owned())
            ],
        }
    );
    assert_eq!(
        *video,
        MediaPlan {
            call: false,
            track: Some(0),
            receives: false,
            mline: 1,
            mid: "1".to_owned(),
            kind: Kind::Video,
            codec: Codec::Vp8,
            payload_type: 96,
            clock_rate: 90_000,
            rtx_payload_type: Some(97),
            nack: true,
            fir: true,
            twcc: Some(3),
            mid_extension: Some(4),
            fmtp: vec![],
        }
    );
}

#[test]
fn the_tracks_preference_decides_not_the_offers() {
    let h264 = plan(CHROMIUM, &[video(&[H264, VP8])]);
    assert_eq!(h264.media[0].codec, Codec::H264);
    assert_eq!(h264.media[0].payload_type, 108); // 42e01f, mode 1
    assert_eq!(h264.media[0].rtx_payload_type, Some(109));
    let fmtp: Vec<_> = h264.media[0].fmtp.iter().map(|(name, _)| name).collect();
    assert_eq!(
        fmtp,
        [
            "level-asymmetry-allowed",
            "packetization-mode",
            "profile-level-id"
        ]
    );

    // This Firefox came without its H.264 codec.
    let firefox = plan(FIREFOX, &[video(&[H264, VP8])]);
    assert_eq!(firefox.media[0].codec, Codec::Vp8);
    assert_eq!(firefox.media[0].payload_type, 120);
    assert_eq!(firefox.media[0].rtx_payload_type, Some(124));
}

#[test]
fn the_exact_profile_is_taken_else_a_higher_one() {
    use H264Profile::*;
    let formats = [
        "96 profile-level-id=42e01f;packetization-mode=0",
        "97 profile-level-id=f4001f;packetization-mode=1",
        "98 profile-level-id=64001F; packetization-mode=1",
        "99 PROFILE-LEVEL-ID=640c1f; packetization-mode=1",
        "100 profile-level-id=4d001f;packetization-mode=1",
        "101 packetization-mode=1",
        "102 profile-level-id=4d8028;packetization-mode=1",
    ];
    // The payload types on offer, the stream's profile, who gets it.
    let table: [(&[u8], Option<H264Profile>, Option<u8>); 18] = [
        (
            &[97, 98, 99, 100, 101, 102],
            Some(ConstrainedBaseline),
            Some(102),
        ),
        (
            &[97, 98, 99, 100, 101],
            Some(ConstrainedBaseline),
            Some(101),
        ),
        (&[97, 98, 99, 100], Some(ConstrainedBaseline), Some(100)),
        (&[97], Some(ConstrainedBaseline), Some(97)),
        (&[96], Some(ConstrainedBaseline), None),
        (&[100, 102, 101], Some(Baseline), Some(101)),
        (&[100, 102], Some(Baseline), Some(102)),
        (&[97, 98, 99, 100, 101], Some(Main), Some(100)),
        (&[97, 98, 99, 101], Some(Main), Some(98)),
        (&[99, 101, 102], Some(Main), None),
        (&[97, 98, 99], Some(ConstrainedHigh), Some(99)),
        (&[97, 98], Some(ConstrainedHigh), Some(98)),
        (&[100, 102], Some(ConstrainedHigh), None),
        (&[97, 98, 99], Some(High), Some(98)),
        (&[97, 99], Some(High), Some(97)),
        (&[99, 100, 102], Some(High), None),
        (&[102, 100, 99], None, Some(99)),
        (&[96], None, None),
    ];
    for (offered, profile, expected) in table {
        let mut more = Vec::new();
        for format in &formats {
            let number = format.split(' ').next().unwrap();
            if offered.iter().any(|it| it.to_string() == number) {
                more.push(format!("rtpmap:{number} h264/90000"));
                more.push(format!("fmtp:{format}"));
            }
        }
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let list: Vec<String> = offered.iter().map(u8::to_string).collect();
        let offer = small_offer(&list.join(" "), &more);
        let stream = CodecOffer {
            codec: Codec::H264,
            profile,
        };
        let found = OfferPlan::new(&offer, &[video(&[stream])]);
        let found = found.ok().map(|it| it.media[0].payload_type);
        assert_eq!(found, expected, "{profile:?} for {offered:?}");
    }
}

#[test]
fn the_narrowed_offer_holds_what_is_planned_and_nothing_else() {
    for offer in WATCHING {
        let plan = plan(offer, &tracks());
        let narrowed = &plan.narrowed;
        assert_eq!(lines(narrowed, "m=").len(), 2);
        assert_eq!(lines(narrowed, "a=rtpmap:").len(), 3, "VP8, its RTX, Opus");
        for absent in [
            "a=ssrc",
            "a=rid",
            "a=simulcast",
            "a=msid",
            "a=rtcp:",
            "a=bundle-only",
            ".local",
            "goog-lntf",
            "mozilla",
            "rtcp-rsize",
            "rtcp-xr",
            "a=extmap-allow-mixed",
        ] {
            assert!(!narrowed.contains(absent), "{absent} in {narrowed}");
        }
        let group: Vec<_> = plan.media.iter().map(|it| it.mid.as_str()).collect();
        let group = format!("a=group:BUNDLE {}", group.join(" "));
        assert_eq!(lines(narrowed, "a=group"), [group]);
        for (index, media) in plan.media.iter().enumerate() {
            let line = section(narrowed, index);
            let formats: Vec<String> = std::iter::once(media.payload_type)
                .chain(media.rtx_payload_type)
                .map(|it| it.to_string())
                .collect();
            let first = format!("{} 9 UDP/TLS/RTP/SAVPF {}", media.kind, formats.join(" "));
            assert_eq!(line.lines().next(), Some(first.as_str()));
            for present in ["ice-ufrag", "ice-pwd", "fingerprint", "setup", "mid"] {
                let start = format!("a={present}:");
                assert_eq!(lines(line, &start).len(), 1, "{present} in {line}");
            }
            assert_eq!(lines(line, "a=extmap:").len(), 2);
            assert_eq!(lines(line, "a=rtcp-mux").len(), 1);
            assert_eq!(lines(line, "a=recvonly").len(), 1);
        }
        // webrtcbin refuses an offer that has it in both places.
        let (head, _) = narrowed.split_once("\nm=").unwrap();
        assert!(!head.contains("fingerprint"));
        // What is narrow already stays as it is.
        assert_eq!(
            OfferPlan::new(narrowed, &tracks()).unwrap().narrowed,
            *narrowed
        );
    }
}

#[test]
fn a_session_level_fingerprint_reaches_every_m_line() {
    let plan = plan(FIREFOX, &tracks());
    let theirs = lines(FIREFOX, "a=fingerprint:");
    assert_eq!(theirs.len(), 1);
    let narrowed = lines(&plan.narrowed, "a=fingerprint:");
    assert_eq!(narrowed, [theirs[0], theirs[0]]);
    assert_eq!(plan.identity.fingerprints.len(), 1);
}

#[test]
fn a_bundle_only_m_line_is_alive() {
    assert!(FIREFOX_BUNDLE_ONLY.contains("m=video 0 "));
    assert_eq!(plan(FIREFOX_BUNDLE_ONLY, &tracks()).media.len(), 2);
}

#[test]
fn a_rejected_m_line_takes_no_track() {
    for offer in [CHROMIUM_STOPPED, FIREFOX_STOPPED] {
        let plan = plan(offer, &tracks());
        assert_eq!(plan.media.len(), 1);
        assert_eq!(plan.media[0].mline, 1);
        assert_eq!(plan.media[0].kind, Kind::Video);
        assert!(OfferPlan::new(offer, &[audio()]).is_err());
    }
}

#[test]
fn an_m_line_without_the_shared_transport_takes_no_track() {
    // Rejected, though it says that it receives; and left out of the group.
    for offer in [
        CHROMIUM.replace("m=audio 9", "m=audio 0"),
        CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 1"),
    ] {
        let plan = plan(&offer, &tracks());
        let taken: Vec<_> = plan.media.iter().map(|it| it.mline).collect();
        assert_eq!(taken, [1]);
    }
}

#[test]
fn an_m_line_that_does_not_receive_takes_no_track() {
    for direction in ["sendonly", "inactive"] {
        let offer = CHROMIUM.replace("a=recvonly", &format!("a={direction}"));
        let text = incompatible(&offer, &tracks());
        assert!(text.contains("receives"), "{text}");
    }
    let text = incompatible(CHROMIUM_DATA_ONLY, &tracks());
    assert!(text.contains("receives"), "{text}");
    // The session's direction counts where the m-line says none.
    let silent = small_offer("96", &["rtpmap:96 VP8/90000"]).replace("a=recvonly\r\n", "");
    assert!(OfferPlan::new(&silent, &tracks()).is_ok());
    let refused = silent.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    assert!(OfferPlan::new(&refused, &tracks()).is_err());
}

#[test]
fn without_a_common_codec_the_refusal_names_ours() {
    let offer = small_offer("96", &["rtpmap:96 AV1/90000"]);
    let text = incompatible(&offer, &tracks());
    assert!(text.contains("VP8") && text.contains("H264"), "{text}");
    assert!(incompatible(&offer, &[]).contains("no track"));
}

#[test]
fn each_track_takes_an_m_line_of_its_own() {
    let one = video(&[VP8]);
    let two = plan(CHROMIUM, &[one.clone(), one]);
    assert_eq!(two.media.len(), 1);
    assert_eq!(two.media[0].track, Some(0));
}

#[test]
fn credentials_and_candidates_are_those_of_the_tagged_m_line() {
    let offer = CHROMIUM_VIDEO_FIRST
        .replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1 0")
        .replace(
            "m=audio",
            "a=candidate:1 1 udp 5 192.0.2.1 1001 typ host\r\nm=audio",
        )
        + "a=candidate:2 1 udp 6 192.0.2.2 1002 typ host generation 0\r\n";
    let (first, second) = offer.split_once("m=audio").unwrap();
    let offer = format!(
        "{}m=audio{}",
        first.replace("a=ice-ufrag:", "a=ice-ufrag:other"),
        second
    );
    let plan = plan(&offer, &tracks());
    let ufrag = lines(section(&offer, 1), "a=ice-ufrag:")[0];
    assert_eq!(lines(&plan.narrowed, "a=ice-ufrag:"), [ufrag, ufrag]);
    assert_eq!(ufrag, format!("a=ice-ufrag:{}", plan.ufrag()));
    assert_eq!(
        lines(section(&plan.narrowed, 0), "a=candidate:"),
        ["a=candidate:2 1 UDP 6 192.0.2.2 1002 typ host"]
    );
    assert!(lines(section(&plan.narrowed, 1), "a=candidate:").is_empty());
}

#[test]
fn extensions_need_an_id_of_one_byte_and_leave_to_send() {
    let twcc = extension::TWCC;
    let fb = "rtcp-fb:96 transport-cc";
    for (line, feedback, expected) in [
        (format!("extmap:14 {twcc}"), fb, Some(14)),
        (format!("extmap:3/recvonly {twcc}"), fb, Some(3)),
        (
            format!("extmap:3 {twcc}"),
            "rtcp-fb:* transport-cc",
            Some(3),
        ),
        (format!("extmap:3/sendonly {twcc}"), fb, None),
        (format!("extmap:15 {twcc}"), fb, None),
        (format!("extmap:0 {twcc}"), fb, None),
        (format!("extmap:256 {twcc}"), fb, None),
        (format!("extmap:3 {twcc}"), "rtcp-fb:97 transport-cc", None),
    ] {
        let offer = small_offer("96", &["rtpmap:96 VP8/90000", "mid:v", feedback, &line]);
        let plan = plan(&offer, &tracks());
        assert_eq!(plan.media[0].twcc, expected, "{line}");
    }
}

#[test]
fn contradicting_extension_ids_are_left_out() {
    let clash = CHROMIUM.replacen(
        &format!("a=extmap:4 {}", extension::MID),
        &format!("a=extmap:5 {}", extension::MID),
        1,
    );
    let plan = plan(&clash, &tracks());
    assert_eq!(plan.media[0].mid_extension, Some(5));
    assert_eq!(plan.media[1].mid_extension, None);
}

#[test]
fn the_session_keeps_what_concerns_ice_alone() {
    let offer = small_offer("96", &["rtpmap:96 VP8/90000", "ice-options:ice2 trickle"]);
    let lite = offer.replace(
        "t=0 0\r\n",
        "t=0 0\r\na=ice-lite\r\na=msid-semantic: WMS\r\n",
    );
    let narrowed = plan(&lite, &tracks()).narrowed;
    let (head, _) = narrowed.split_once("m=").unwrap();
    assert!(head.contains("a=ice-lite\r\n") && head.contains("a=ice-options:trickle\r\n"));
    assert!(!head.contains("msid"));
    assert!(head.contains("o=- 1 2 IN IP4 0.0.0.0\r\n"));
}
