//! The element as a part of a pipeline: states, EOS, flushes, pads.

use std::time::Duration;

use sigmund_tests::publisher::{Command, Event};
use sigmund_tests::viewer::Viewer;
use sigmund_tests::{Publisher, eventually};

use crate::scenes::{self, PICTURE, SOON, SOUND, Stage};

fn watch(stage: &Stage, publisher: &Publisher, frames: u64) -> Viewer {
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(frames);
    viewer
}

#[test]
fn it_starts_and_stops_any_number_of_times() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    let mut first = None;
    for round in 0..8 {
        let viewer = watch(&stage, &publisher, 10);
        // On odd rounds the viewer is still there when the element stops.
        if round % 2 == 0 {
            viewer.leave();
        } else {
            publisher.state("null");
            eventually(SOON, "the viewer is told", || {
                viewer.seen().closed.then_some(())
            });
        }
        publisher.state("null");
        // Things made once per process are there after the second round.
        let usage = publisher.usage();
        if round == 1 {
            first = Some(usage);
        }
        if let Some(first) = first {
            assert!(
                usage.threads <= first.threads + 2,
                "{usage:?} after {first:?}"
            );
            assert!(usage.files <= first.files + 2, "{usage:?} after {first:?}");
        }
        publisher.state("playing");
    }
    publisher.assert_healthy();
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_pipeline() {
    let Some(stage) = Stage::new() else { return };
    for viewers in [0, 1] {
        let mut publisher = stage.show("");
        let joined: Vec<_> = (0..viewers)
            .map(|_| watch(&stage, &publisher, 10))
            .collect();
        publisher.address();
        publisher.ask(Command::Eos);
        publisher.wait_for("EOS", |event| matches!(event, Event::Eos).then_some(()));
        publisher.state("null");
        for viewer in joined {
            eventually(SOON, "the viewer is told", || {
                viewer.seen().closed.then_some(())
            });
        }
        publisher.assert_healthy();
    }
}

#[test]
fn a_flush_does_not_end_the_picture() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    let viewer = watch(&stage, &publisher, 10);
    for _ in 0..3 {
        let element = "picture".into();
        publisher.ask(Command::Flush { element });
        viewer.watch(20);
    }
    assert!(
        viewer.seen().longest_gap < Duration::from_secs(2),
        "{:?}",
        viewer.seen()
    );
    publisher.assert_healthy();
}

#[test]
fn a_pause_is_a_pause() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("");
    let viewer = watch(&stage, &publisher, 10);
    publisher.state("paused");
    publisher.state("playing");
    viewer.watch(20);
    publisher.assert_healthy();
}

#[test]
fn pads_come_and_go_while_it_plays() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = stage.show("");
    let stayer = watch(&stage, &publisher, 10);
    for _ in 0..3 {
        let pad = publisher.ask(Command::Add {
            name: "more".into(),
            description: SOUND.into(),
            to: "cam".into(),
            template: "audio_%u".into(),
        });
        assert!(pad.as_str().unwrap().starts_with("audio_"), "{pad}");
        let listener = Viewer::join(&stage.viewer, &publisher.whep("cam"));
        eventually(SOON, "sound", || {
            (listener.seen().sounds > 20).then_some(())
        });
        publisher.ask(Command::Remove {
            name: "more".into(),
        });
        // Its picture goes on, or it is asked to join anew; either is told.
        let frames = listener.seen().frames;
        eventually(SOON, "the listener knows", || {
            let seen = listener.seen();
            (seen.closed || seen.frames > frames + 10).then_some(())
        });
        stayer.watch(10);
    }
    assert!(
        stayer.seen().longest_gap < Duration::from_secs(1),
        "{:?}",
        stayer.seen()
    );
    publisher.assert_healthy();
}

#[test]
fn the_last_pad_may_go_and_another_come() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!(
        "{} fakesrc num-buffers=0 ! fakesink async=false",
        stage.sink("")
    );
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    for _ in 0..2 {
        publisher.ask(Command::Add {
            name: "picture-branch".into(),
            description: PICTURE
                .replace("name=stamp", "")
                .replace("name=picture", ""),
            to: "cam".into(),
            template: "video_%u".into(),
        });
        let viewer = watch(&stage, &publisher, 10);
        let name = "picture-branch".into();
        publisher.ask(Command::Remove { name });
        eventually(SOON, "the viewer is told", || {
            viewer.seen().closed.then_some(())
        });
    }
    publisher.assert_healthy();
}

#[test]
fn a_file_without_viewers_plays_in_real_time() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!(
        "videotestsrc num-buffers=60 ! video/x-raw,width=320,height=240,framerate=30/1 ! {}",
        stage.sink("")
    );
    let start = std::time::Instant::now();
    let publisher = Publisher::start(&stage.server, &pipeline);
    publisher.wait_for("EOS", |event| matches!(event, Event::Eos).then_some(()));
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(1800),
        "2 s of video in {took:?}"
    );
}

#[test]
fn a_stopped_pipeline_has_no_session_left() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.publish(&scenes::encoded("VP8"));
    let viewer = watch(&stage, &publisher, 10);
    eventually(SOON, "a report", || {
        (publisher.get("cam", "stats")["peers"] == 1).then_some(())
    });
    publisher.state("null");
    assert_eq!(publisher.get("cam", "stats")["peers"], 0);
    assert!(publisher.get("cam", "address").is_null());
    drop(viewer);
}

#[test]
fn an_end_before_anybody_came_is_an_error_and_no_wait() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = "rtcsrc uri=listen://127.0.0.1:0/cam ! fakesink";
    let mut publisher = Publisher::start(&stage.server, pipeline);
    publisher.address();
    publisher.ask(Command::Eos);
    let error = publisher.error();
    assert!(error.contains("nothing has come"), "{error}");
}
