//! Offers of publishers, and of peers that do both.

use super::*;

const ALL: [Codec; 3] = [Codec::H264, Codec::Vp8, Codec::Opus];

/// The offer as a publisher would make it, with the streams announced.
fn publishing(offer: &str) -> String {
    let streams = |kind: &str, number: u32| {
        format!(
            "a=mid:{kind}\r\na=ssrc-group:FID {number} {0}\r\na=ssrc:{number} cname:x\r\n\
             a=ssrc:{number} msid:a b\r\na=ssrc:{0} cname:x\r\n",
            number + 1
        )
    };
    offer
        .replace("a=recvonly", "a=sendonly")
        .replace("a=mid:0\r\n", &streams("0", 1000))
        .replace("a=mid:1\r\n", &streams("1", 2000))
}

#[test]
fn all_that_a_publisher_sends_is_received() {
    for offer in WATCHING.map(publishing) {
        let plan = OfferPlan::both_ways(&offer, &[], &ALL).unwrap();
        assert_eq!(plan.media.len(), 2);
        for media in &plan.media {
            assert!(media.receives && media.track.is_none());
        }
        assert_eq!(lines(&plan.narrowed, "a=sendonly").len(), 2, "{offer}");
        let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
        assert_eq!(lines(&answer, "a=recvonly").len(), 2, "{answer}");
    }
}

#[test]
fn our_preference_decides_what_is_received() {
    let offer = publishing(CHROMIUM);
    for (receives, codec) in [
        ([Codec::H264, Codec::Vp8], Codec::H264),
        ([Codec::Vp8, Codec::H264], Codec::Vp8),
    ] {
        let plan = OfferPlan::both_ways(&offer, &[], &receives).unwrap();
        assert_eq!(plan.media.len(), 1);
        assert_eq!(plan.media[0].codec, codec);
    }
}

/// webrtcbin assigns streams by these lines alone.
#[test]
fn announced_streams_reach_webrtcbin_bounded_and_bare() {
    let plan = OfferPlan::both_ways(&publishing(CHROMIUM), &[], &ALL).unwrap();
    for (index, first) in [(0, 1000), (1, 2000)] {
        let found = lines(section(&plan.narrowed, index), "a=ssrc");
        let wanted = [first, first + 1].map(|it| format!("a=ssrc:{it} cname:far"));
        assert_eq!(found, wanted);
    }
    let many: String = (0..500)
        .map(|it| format!("a=ssrc:{it} cname:x\r\n"))
        .collect();
    let offer = publishing(CHROMIUM).replace("a=mid:0\r\n", &format!("a=mid:0\r\n{many}"));
    let plan = OfferPlan::both_ways(&offer, &[], &ALL).unwrap();
    assert_eq!(lines(section(&plan.narrowed, 0), "a=ssrc").len(), 9);
}

#[test]
fn one_line_carries_both_ways() {
    for offer in [CHROMIUM_BOTH_WAYS, FIREFOX_BOTH_WAYS] {
        let plan = OfferPlan::both_ways(offer, &tracks(), &ALL).unwrap();
        let both = |it: &&MediaPlan| it.receives && it.track.is_some();
        assert_eq!(plan.media.iter().filter(both).count(), 2);
        let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
        assert_eq!(lines(&answer, "a=sendrecv").len(), 2, "{answer}");
    }
}

#[test]
fn what_nobody_sends_is_not_received() {
    let error = |offer: &str, codecs: &[Codec]| match OfferPlan::both_ways(offer, &[], codecs) {
        Err(SdpError::Incompatible(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(error(CHROMIUM, &ALL).contains("sends (sendonly or sendrecv)"));
    let no_opus = publishing(CHROMIUM).replace("opus/48000/2", "speex/48000/2");
    let text = error(&no_opus, &[Codec::Opus]);
    assert!(text.contains("received here: OPUS"), "{text}");
}

/// A direction that an extension is offered for must be the media's.
#[test]
fn extensions_go_the_way_of_the_media() {
    let twcc = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    for (direction, taken) in [("sendonly", true), ("recvonly", false)] {
        let extension = format!("extmap:3/{direction} {twcc}");
        let more = ["rtpmap:96 VP8/90000", "rtcp-fb:96 transport-cc", &extension];
        let offer = small_offer("96", &more).replace("a=recvonly", "a=sendonly");
        let plan = OfferPlan::both_ways(&offer, &[], &ALL).unwrap();
        assert_eq!(plan.media[0].twcc.is_some(), taken);
        let answer = plan.answer(&webrtcbin_answer(&plan), &[], true).unwrap();
        let answered = lines(&answer, "a=extmap:3/recvonly ").len();
        assert_eq!(answered, usize::from(taken), "{answer}");
    }
}

#[test]
fn an_offer_to_receive_has_a_line_a_kind_and_all_codecs() {
    let media = receive_offer(&ALL);
    let shape: Vec<_> = media.iter().map(|it| (it.mline, it.codec)).collect();
    let h264 = (0, Codec::H264);
    assert_eq!(shape, [h264, h264, (0, Codec::Vp8), (1, Codec::Opus)]);
    let mut types: Vec<_> = media.iter().map(|it| it.payload_type).collect();
    types.dedup();
    assert_eq!(types.len(), 4);
    assert!(receive_offer(&[Codec::Opus]).iter().all(|it| it.mline == 0));
}
