//! `app:` in C and in Python: programs that know nothing but GObject.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdout, Command};

use serde_json::{Value, json};
use sigmund_tests::answerer::Answerer;
use sigmund_tests::process::{Process, build_directory};

use super::{PICTURE, Stage, file, with_plugin};

/// Says an object to the program.
fn say(to: &mut impl Write, message: &Value) {
    writeln!(to, "{message}").unwrap();
}

/// The next object of the program that is a note of that type.
fn hear(lines: &mut Lines<BufReader<ChildStdout>>, kind: &str) -> Value {
    for line in lines {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_ne!(message["type"], "refuse", "{message}");
        if message["note"]["type"] == kind {
            return message;
        }
    }
    panic!("it has ended, and there was no {kind}");
}

fn carries_media(stage: &Stage, program: &str, first: &[String]) {
    let mut command = with_plugin(&stage.publisher, program);
    command
        .args(first)
        .args(format!("{PICTURE} uri=app:").split(' '));
    let mut process = Process::piped("app", command);
    let mut stdin = process.stdin();
    let mut lines = BufReader::new(process.stdout()).lines();
    // The publisher offers, to each as it can take it.
    let info = json!({"protocol": "pigeons", "receives": {"video": [{"codec": "VP8"}]}});
    let mut viewers = Vec::new();
    for peer in ["ada", "grace"] {
        say(
            &mut stdin,
            &json!({"type": "joined", "peer": peer, "info": info}),
        );
        let offer = hear(&mut lines, "offer");
        assert_eq!(offer["peer"], peer);
        let viewer = Answerer::new(&stage.viewer, offer["note"]["sdp"].as_str().unwrap());
        let answer = json!({"type": "answer", "sdp": viewer.answer()});
        say(
            &mut stdin,
            &json!({"type": "note", "peer": peer, "note": answer}),
        );
        viewer.watch(30);
        viewers.push(viewer);
    }
    // It trickles, both ways are open.
    say(
        &mut stdin,
        &json!({"type": "left", "peer": "ada", "reason": "enough"}),
    );
    viewers[1].watch(30);
    assert!(!process.has_ended());
    let ended = "it has nothing more to say to who has left";
    assert!(
        !process.log().contains("not taken"),
        "{ended}: {}",
        process.log()
    );
}

#[test]
fn a_program_in_c_carries_the_notes() {
    let Some(stage) = Stage::new() else { return };
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "gstreamer-1.0"])
        .output()
        .unwrap();
    let flags = String::from_utf8(flags.stdout).unwrap();
    let program = build_directory().join("sigmund-carry");
    let compiled = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-o"])
        .arg(&program)
        .arg(file("app/carry.c"))
        .args(flags.split_whitespace())
        .status();
    assert!(compiled.is_ok_and(|it| it.success()));
    carries_media(&stage, program.to_str().unwrap(), &[]);
}

#[test]
fn a_program_in_python_carries_the_notes() {
    let Some(stage) = Stage::new() else { return };
    let program = file("app/carry.py").display().to_string();
    // Debian's own: PyGObject belongs to it.
    carries_media(&stage, "/usr/bin/python3", &[program]);
}
