//! The network decides how much is sent, within the bounds of the user.

use std::time::Duration;

use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::{Publisher, eventually};

use crate::scenes::Stage;

const MIN: u64 = 300_000;
const START: u64 = 1_200_000;

/// What the video encoder aims at, in bit/s.
fn target(publisher: &mut Publisher) -> u64 {
    let encoders = publisher.video_encoders();
    let encoder = encoders.first().expect("somebody watches");
    let (property, unit) = match encoder.factory.as_str() {
        "x264enc" => ("bitrate", 1000),
        "vp8enc" => ("target-bitrate", 1),
        _ => ("bitrate", 1),
    };
    publisher
        .get(&encoder.name, property)
        .as_u64()
        .expect("a bitrate is a number")
        * unit
}

/// Snow, which needs every bit that it is given.
fn publish(stage: &Stage) -> Publisher {
    stage.publish_to(
        "videotestsrc is-live=true pattern=snow ! video/x-raw,width=320,height=240,framerate=30/1",
        &format!("min-bitrate={MIN} start-bitrate={START} max-bitrate=1500000"),
    )
}

#[test]
fn loss_moves_the_encoder_down_and_its_end_up_again() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = publish(&stage);
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(30);
    assert!(target(&mut publisher).abs_diff(START) < START / 5);

    stage.viewer.lose(30);
    let low = eventually(Duration::from_secs(30), "the encoder gives way", || {
        Some(target(&mut publisher)).filter(|&t| t < START / 2)
    });
    assert!(low >= MIN, "{low}");
    stage.viewer.lose(0);
    eventually(Duration::from_secs(40), "the encoder comes back", || {
        (target(&mut publisher) > low * 5 / 4).then_some(())
    });
    viewer.watch(30);
    publisher.assert_healthy();
}

#[test]
fn the_encoder_never_goes_below_the_least() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = publish(&stage);
    let viewer = Viewer::join_silent(&stage.viewer, &publisher.whep("cam"));
    viewer.watch(10);
    stage.viewer.lose(60);
    eventually(Duration::from_secs(30), "the bottom", || {
        let target = target(&mut publisher);
        assert!(target >= MIN, "{target}");
        (target < MIN * 11 / 10).then_some(())
    });
}

#[test]
fn lost_packets_are_sent_again() {
    let Some(stage) = Stage::alone() else { return };
    let mut publisher = publish(&stage);
    let manners = Manners {
        loss_per_mille: 20,
        ..Manners::silent()
    };
    let viewer = Viewer::try_join(&stage.viewer, &publisher.whep("cam"), manners).unwrap();
    viewer.watch(150);
    let seen = viewer.seen();
    // Without retransmission each of some six lost packets breaks a frame.
    assert!(seen.broken <= 2, "{seen:?}");
    let stats = eventually(Duration::from_secs(5), "a report of NACKs", || {
        let stats = publisher.get("cam", "stats");
        let peers = stats
            .as_object()?
            .values()
            .filter_map(|peer| peer["nack-count"].as_u64());
        peers.sum::<u64>().checked_sub(1).map(|_| stats)
    });
    eprintln!("{stats}");
    publisher.assert_healthy();
}
