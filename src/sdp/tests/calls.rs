//! Calls: m-lines that go both ways, and that become more.

use super::*;
use crate::message::Place;

const CODECS: [Codec; 3] = [Codec::H264, Codec::Vp8, Codec::Opus];

fn brings(tracks: &[TrackOffer]) -> Brings<'_> {
    Brings {
        tracks,
        gone: &[],
        receives: &CODECS,
        data: false,
    }
}

fn call(tracks: &[TrackOffer]) -> CallLines {
    CallLines::new(tracks, Some(&Receives::from(&CODECS[..])), &CODECS, false).unwrap()
}

fn media(call: &CallLines) -> Vec<MediaPlan> {
    call.media().into_iter().map(|(_, plan)| plan).collect()
}

/// One exchange: the far side answers with `tracks`.
fn exchange(call: &mut CallLines, tracks: &[TrackOffer], before: Option<&OfferPlan>) -> OfferPlan {
    call.begin();
    let made = webrtcbin_offer(&media(call));
    let plan = OfferPlan::reply(&call.offer(&made).unwrap(), brings(tracks), before).unwrap();
    let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
    let accepted = call.accept(&made, &answer).unwrap();
    // That is all that webrtcbin ever hears.
    for description in [&plan.narrowed, &accepted.mended] {
        let ways = lines(description, "a=sendrecv").len();
        assert_eq!(ways, lines(description, "m=").len(), "{description}");
    }
    plan
}

fn shape(flows: &[Flow]) -> Vec<(usize, Kind, Option<usize>, bool)> {
    let shape = |it: &Flow| (it.mline, it.kind, it.track, it.heard);
    flows.iter().map(shape).collect()
}

#[test]
fn both_send_on_one_line_a_kind() {
    let mut call = call(&tracks());
    let plan = exchange(&mut call, &tracks(), None);
    let both = [
        (0, Kind::Video, Some(0), true),
        (1, Kind::Audio, Some(1), true),
    ];
    assert_eq!(shape(&call.flows()), both);
    assert_eq!(shape(&plan.flows()), both);
}

#[test]
fn who_sends_nothing_still_hears_and_is_heard_later_on_the_same_line() {
    let sound = [audio()];
    let mut call = call(&sound);
    let first = exchange(&mut call, &[], None);
    assert_eq!(
        shape(&call.flows()),
        [
            (0, Kind::Audio, Some(0), false),
            (1, Kind::Video, None, false)
        ]
    );
    assert_eq!(
        shape(&first.flows()),
        [(0, Kind::Audio, None, true), (1, Kind::Video, None, false)]
    );
    // Now both bring a camera, and the far side a microphone.
    let camera = video(&[VP8, H264]);
    assert!(call.place(&[audio(), camera.clone()], &[]));
    assert!(
        !call.place(&[audio(), camera.clone()], &[]),
        "nothing is new"
    );
    let second = exchange(&mut call, &[camera, audio()], Some(&first));
    let both = [
        (0, Kind::Audio, Some(0), true),
        (1, Kind::Video, Some(1), true),
    ];
    assert_eq!(shape(&call.flows()), both);
    let theirs: Vec<_> = second
        .flows()
        .iter()
        .map(|it| (it.track, it.heard))
        .collect();
    assert_eq!(theirs, [(Some(1), true), (Some(0), true)]);
}

#[test]
fn what_is_not_sent_is_not_announced() {
    let call = call(&[audio()]);
    let offer = call.offer(&webrtcbin_offer(&media(&call))).unwrap();
    assert!(section(&offer, 0).contains("a=ssrc:") && section(&offer, 0).contains("a=sendrecv"));
    assert!(!section(&offer, 1).contains("a=ssrc:") && section(&offer, 1).contains("a=recvonly"));
}

#[test]
fn a_second_track_of_a_kind_gets_a_line_of_its_own() {
    let camera = video(&[VP8]);
    let one = std::slice::from_ref(&camera);
    let mut call = call(one);
    let first = exchange(&mut call, one, None);
    assert!(call.place(&[camera.clone(), camera.clone()], &[]));
    let second = exchange(&mut call, one, Some(&first));
    assert_eq!(call.media().len(), 3);
    assert_eq!(shape(&call.flows())[2], (2, Kind::Video, Some(1), false));
    // The far side brings another one, too.
    assert!(second.has_room_for(&camera));
    exchange(&mut call, &[camera.clone(), camera.clone()], Some(&second));
    assert_eq!(shape(&call.flows())[2], (2, Kind::Video, Some(1), true));
}

#[test]
fn the_far_side_can_ask_for_room() {
    let camera = [video(&[VP8])];
    let mut call = call(&camera);
    let first = exchange(&mut call, &camera, None);
    let two = [camera[0].clone(), camera[0].clone()];
    assert!(!first.has_room_for(&camera[0]));
    let place = |kind, codec: Option<&str>| Place {
        kind,
        codec: codec.map(str::to_owned),
    };
    call.make_room(&[
        place(Kind::Video, Some("vp8")),
        place(Kind::Video, Some("AV2")),
        place(Kind::Audio, Some("VP8")),
    ]);
    assert_eq!(call.media().len(), 3, "only what there is");
    let second = exchange(&mut call, &two, Some(&first));
    assert_eq!(shape(&call.flows())[2], (2, Kind::Video, None, true));
    assert_eq!(shape(&second.flows())[2], (2, Kind::Video, Some(1), false));
}

#[test]
fn room_is_made_for_what_every_browser_can_write() {
    let chromium: Receives = serde_json::from_str(
        r#"{"video":[{"codec":"H264","profile":"f4001f"},{"codec":"H264","profile":"42e01f"}]}"#,
    )
    .unwrap();
    let call = CallLines::new(&[audio()], Some(&chromium), &CODECS, false).unwrap();
    let video = &media(&call)[0];
    let profile = ("profile-level-id".to_owned(), "42e01f".to_owned());
    assert!(video.fmtp.contains(&profile), "{video:?}");
}

#[test]
fn a_call_has_so_many_lines_and_no_more() {
    let mut call = call(&tracks());
    for _ in 0..5 {
        let more = Place {
            kind: Kind::Video,
            codec: None,
        };
        call.make_room(&vec![more; 16]);
    }
    assert_eq!(call.media().len(), MAX_CALL_LINES);
    let offer = webrtcbin_offer(&media(&call));
    let plan = OfferPlan::reply(&offer, brings(&tracks()), None).unwrap();
    assert_eq!(plan.media.len(), MAX_CALL_LINES);
}

#[test]
fn who_takes_a_track_away_is_silent_on_its_line() {
    let mut call = call(&tracks());
    let first = exchange(&mut call, &tracks(), None);
    assert!(call.place(&tracks(), &[0]));
    call.begin();
    let made = webrtcbin_offer(&media(&call));
    let offer = call.offer(&made).unwrap();
    assert!(section(&offer, 0).contains("a=recvonly"));
    let both = tracks();
    let theirs = Brings {
        gone: &[1],
        ..brings(&both)
    };
    let plan = OfferPlan::reply(&offer, theirs, Some(&first)).unwrap();
    let flows: Vec<_> = plan.flows().iter().map(|it| (it.track, it.heard)).collect();
    assert_eq!(flows, [(Some(0), false), (None, true)]);
    let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
    assert!(section(&answer, 0).contains("a=sendonly"), "{answer}");
    assert!(section(&answer, 1).contains("a=recvonly"), "{answer}");
    assert!(!section(&answer, 1).contains("a=ssrc"), "{answer}");
}

#[test]
fn one_payload_type_means_one_thing() {
    let profile = |profile| {
        video(&[CodecOffer {
            codec: Codec::H264,
            profile: Some(profile),
        }])
    };
    let far: Receives = serde_json::from_str(
        r#"{"video":[{"codec":"H264","profile":"42e01f"},{"codec":"H264","profile":"64001f"}]}"#,
    )
    .unwrap();
    let tracks = [
        profile(H264Profile::ConstrainedBaseline),
        profile(H264Profile::High),
        profile(H264Profile::ConstrainedBaseline),
    ];
    let call = CallLines::new(&tracks, Some(&far), &[], false).unwrap();
    let types: Vec<_> = media(&call).iter().map(|it| it.payload_type).collect();
    assert_eq!(types[0], types[2]);
    assert_ne!(types[0], types[1]);
}

#[test]
fn browsers_are_answered_where_they_offer_both_ways() {
    for offer in [CHROMIUM_BOTH_WAYS, FIREFOX_BOTH_WAYS] {
        let plan = OfferPlan::reply(offer, brings(&tracks()), None).unwrap();
        let flows: Vec<_> = plan
            .flows()
            .iter()
            .map(|it| (it.track.is_some(), it.heard))
            .collect();
        assert_eq!(flows, [(true, true), (true, true)]);
        // The same offer again changes nothing, and nothing is left out of it.
        let again = OfferPlan::reply(offer, brings(&tracks()), Some(&plan)).unwrap();
        assert_eq!(again, plan);
        let silent = OfferPlan::reply(offer, brings(&[]), None).unwrap();
        assert!(
            silent
                .flows()
                .iter()
                .all(|it| it.track.is_none() && it.heard)
        );
        assert!(silent.has_room_for(&audio()));
    }
}

#[test]
fn a_line_that_the_far_side_gives_up_is_rejected_and_kept_for_webrtcbin() {
    let mut call = call(&tracks());
    let first = exchange(&mut call, &tracks(), None);
    let made = webrtcbin_offer(&media(&call));
    let stopped = made.replace("a=bundle-only\r\n", "");
    let plan = OfferPlan::reply(&stopped, brings(&tracks()), Some(&first)).unwrap();
    assert_eq!(plan.media.len(), 2);
    assert_eq!(plan.flows().len(), 1);
    let answer = plan.answer(&webrtcbin_answer(&first), &[], true).unwrap();
    assert_eq!(lines(&answer, "m=")[1], "m=audio 0 UDP/TLS/RTP/SAVPF 111");
    assert_eq!(lines(&answer, "a=group"), ["a=group:BUNDLE video0"]);
}

#[test]
fn what_cannot_go_on_is_refused() {
    let mut call = call(&tracks());
    let first = exchange(&mut call, &tracks(), None);
    let made = webrtcbin_offer(&media(&call));
    let other_codec = made.replace("VP8/90000", "VP9/90000");
    assert!(OfferPlan::reply(&other_codec, brings(&tracks()), Some(&first)).is_err());
    let fewer = webrtcbin_offer(&media(&call)[..1]);
    assert!(OfferPlan::reply(&fewer, brings(&tracks()), Some(&first)).is_err());
}
