//! `stdio:` with gst-launch-1.0, which prints on standard output as it likes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::Command;

use serde_json::{Value, json};
use sigmund_tests::answerer::Answerer;
use sigmund_tests::process::Process;

use super::{PICTURE, Stage, with_plugin};
use crate::server::Folder;

#[test]
fn an_offer_leaves_by_one_pipe_and_an_answer_comes_by_the_other() {
    let Some(stage) = Stage::new() else { return };
    let folder = Folder::new("stdio");
    let (offers, answers) = (folder.0.join("offers"), folder.0.join("answers"));
    let made = Command::new("mkfifo").args([&offers, &answers]).status();
    assert!(made.unwrap().success());
    let uri = format!("stdio:?in={}&out={}", answers.display(), offers.display());
    let mut command = with_plugin(&stage.publisher, "gst-launch-1.0");
    // It tells of everything, on standard output.
    command
        .arg("-v")
        .args(format!("{PICTURE} uri={uri}").split(' '));
    let mut launch = Process::piped("gst-launch", command);
    let said = BufReader::new(launch.stdout());
    let heard = std::thread::spawn(move || {
        let lines = said.lines().map_while(Result::ok);
        lines.collect::<Vec<_>>()
    });

    let mut answers = File::options().write(true).open(&answers).unwrap();
    let mut offers = BufReader::new(File::open(&offers).unwrap()).lines();
    let line = offers.next().unwrap().unwrap();
    let offer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(offer["type"], "offer");
    let sdp = offer["sdp"].as_str().unwrap();
    assert!(sdp.contains("a=candidate:"), "all of them are in it: {sdp}");
    let viewer = Answerer::new(&stage.viewer, sdp);
    let answer = json!({"type": "answer", "sdp": viewer.answer()});
    writeln!(answers, "{answer}").unwrap();
    viewer.watch(30);
    drop(viewer);
    launch.kill();
    let printed = heard.join().unwrap();
    assert!(
        printed.iter().any(|it| it.contains("Setting pipeline")),
        "{printed:?}"
    );
    assert!(
        printed.iter().all(|it| !it.contains("\"sdp\"")),
        "{printed:?}"
    );
}

/// The defaults: notes come by standard input and leave by standard error.
#[test]
fn notes_leave_by_standard_error_if_nothing_else_is_said() {
    let Some(stage) = Stage::new() else { return };
    let mut command = with_plugin(&stage.publisher, "gst-launch-1.0");
    command
        .arg("-q")
        .args(format!("{PICTURE} uri=stdio:").split(' '));
    let mut launch = Process::piped("gst-launch", command);
    let sdp = sigmund_tests::eventually(crate::SOON, "an offer", || {
        let log = launch.log();
        let mut notes = log
            .lines()
            .filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let offer = notes.find(|it| it["type"] == "offer")?;
        offer["sdp"].as_str().map(str::to_owned)
    });
    let viewer = Answerer::new(&stage.viewer, &sdp);
    let answer = json!({"type": "answer", "sdp": viewer.answer()});
    writeln!(launch.stdin(), "{answer}").unwrap();
    viewer.watch(30);
}
