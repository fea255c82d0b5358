//! Viewers join, watch and leave.

use sigmund_tests::publisher::Command;
use sigmund_tests::viewer::{self, Manners, Viewer};
use sigmund_tests::{eventually, media, whep};
use str0m::format::Codec;

use crate::scenes::{self, PICTURE, SOON, SOUND, Stage};

fn only(codec: Codec) -> Manners {
    Manners {
        video: vec![codec],
        audio: false,
        keep: true,
        ..Manners::default()
    }
}

/// Watches for a while; the frames must be whole, and newer each than the last.
#[track_caller]
fn assert_watchable(viewer: &Viewer, codec: Codec) {
    viewer.watch(60);
    let seen = viewer.seen();
    assert_eq!(seen.codec, Some(codec));
    assert_eq!(seen.broken, 0, "{seen:?}");
    let decoded = media::decode(codec, &seen.kept);
    let numbers: Vec<_> = decoded.iter().map(|d| d.number).collect();
    assert!(
        numbers.len() + 2 >= seen.kept.len(),
        "{numbers:?} of {}",
        seen.kept.len()
    );
    // A machine that is busy may leave some out; none is repeated or swapped.
    assert!(
        numbers.windows(2).all(|pair| pair[1] > pair[0]),
        "{numbers:?}"
    );
    let span = numbers[numbers.len() - 1] - numbers[0];
    assert!(
        usize::from(span) < numbers.len() * 3 / 2,
        "frames are missing: {numbers:?}"
    );
}

#[test]
fn raw_pictures_are_seen_in_either_codec() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.show("");
    let endpoint = publisher.whep("cam");
    for codec in [Codec::Vp8, Codec::H264] {
        let viewer = Viewer::try_join(&stage.viewer, &endpoint, only(codec)).unwrap();
        assert_watchable(&viewer, codec);
        viewer.leave();
    }
    publisher.assert_healthy();
}

#[test]
fn encoded_pictures_pass_through() {
    for (name, codec) in [("H264", Codec::H264), ("VP8", Codec::Vp8)] {
        let Some(stage) = Stage::alone() else { return };
        let mut publisher = stage.publish(&scenes::encoded(name));
        let viewer = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), only(codec)).unwrap();
        assert_watchable(&viewer, codec);
        assert_eq!(publisher.video_encoders().len(), 1, "the one outside");
        publisher.assert_healthy();
    }
}

#[test]
fn sound_is_heard_beside_the_picture_and_alone() {
    let Some(stage) = Stage::new() else { return };
    let both = format!("{PICTURE} ! {}  {SOUND} ! cam.", stage.sink(""));
    let mut publisher = sigmund_tests::Publisher::start(&stage.server, &both);
    let viewer = Viewer::join(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(30);
    eventually(SOON, "sound", || (viewer.seen().sounds > 50).then_some(()));
    publisher.assert_healthy();
    drop((viewer, publisher));

    let mut publisher = stage.publish(SOUND);
    let manners = Manners {
        video: Vec::new(),
        ..Manners::default()
    };
    let viewer = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).unwrap();
    eventually(SOON, "sound alone", || {
        (viewer.seen().sounds > 50).then_some(())
    });
    publisher.assert_healthy();
}

#[test]
fn who_asks_for_sound_too_sees_a_picture_without() {
    let Some(stage) = Stage::new() else { return };
    let publisher = stage.show("");
    let viewer = Viewer::join(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(30);
    assert_eq!(viewer.seen().sounds, 0);
}

#[test]
fn a_viewer_without_our_codecs_is_told_so() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&scenes::encoded("H264"));
    let manners = Manners {
        audio: false,
        ..only(Codec::Vp8)
    };
    let refusal = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).unwrap_err();
    let refusal = refusal.expect(406);
    assert!(refusal.body.contains("H264"), "{}", refusal.body);
    publisher.assert_healthy();
}

#[test]
fn one_encoder_serves_all_and_goes_with_the_last() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.publish(scenes::SMALL);
    let endpoint = publisher.whep("cam");
    assert_eq!(publisher.video_encoders(), []);
    let join = |codec| Viewer::try_join(&stage.viewer, &endpoint, only(codec)).unwrap();
    let mut viewers: Vec<_> = [Codec::Vp8, Codec::H264, Codec::Vp8, Codec::H264, Codec::Vp8]
        .into_iter()
        .map(join)
        .collect();
    for viewer in &viewers {
        viewer.watch(5);
    }
    let before = publisher.video_encoders();
    let mut factories: Vec<_> = before.iter().map(|e| e.factory.as_str()).collect();
    factories.sort_unstable();
    assert_eq!(factories, ["vp8enc", "x264enc"]);

    let started = publisher.count(Command::Stamped);
    viewers[0].watch(60);
    let frames = publisher.count(Command::Stamped) - started;
    for (before, after) in before.iter().zip(publisher.video_encoders()) {
        let encoded = after.frames - before.frames;
        // Once for all viewers; a busy machine may leave some out.
        let once = frames * 9 / 10..=frames + 6;
        assert!(
            once.contains(&encoded),
            "{after:?}: {encoded} of {frames} frames"
        );
    }

    viewers.remove(1).leave();
    viewers.remove(2).leave();
    eventually(SOON, "no one takes H.264", || {
        let encoders = publisher.video_encoders();
        (encoders.len() == 1 && encoders[0].factory == "vp8enc").then_some(())
    });
    viewers[0].watch(10);
    viewers.drain(..).for_each(Viewer::leave);
    eventually(SOON, "no viewer, no encoder", || {
        publisher.video_encoders().is_empty().then_some(())
    });
    publisher.assert_healthy();
}

/// As a page does that is loaded again: the encoder of the one before is on its
/// way out when the next one's starts.
#[test]
fn who_comes_the_moment_the_last_one_leaves_is_let_in() {
    let Some(stage) = Stage::alone() else { return };
    let pipeline = format!("{SOUND} ! cam. {}", scenes::SMALL);
    let mut publisher = stage.publish(&pipeline);
    let endpoint = publisher.whep("cam");
    let manners = Manners {
        audio: true,
        ..only(Codec::Vp8)
    };
    let offer = viewer::offer(&stage.viewer, &manners);
    for round in 0..60 {
        match whep::offer(&stage.viewer, &endpoint, &offer, None) {
            Ok(resource) => resource.delete(&stage.viewer).expect(200),
            Err(refusal) => panic!("round {round}: {}: {}", refusal.status, refusal.body),
        };
    }
    publisher.assert_healthy();
}
