//! WebRTC peers of other makes: aiortc, in `tests/peers/peer.py`.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use crate::network::Host;
use crate::process::{Process, build_directory};

/// A peer at work. What it does is told in `tests/peers/peer.py`.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    lines: BufReader<std::process::ChildStdout>,
}

impl Peer {
    /// Starts one on `host`: a verb, and what belongs to it.
    #[track_caller]
    pub fn start(host: &Host, arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/peer.py");
        let mut command = host.command("python3");
        command.env("PYTHONPATH", packages()).arg(script);
        command.args(arguments);
        let mut process = Process::piped("aiortc", command);
        let lines = BufReader::new(process.stdout());
        Self { process, lines }
    }

    /// Waits until it prints a line; panics if it ends before.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line);
        let read = read.expect("it prints text");
        assert!(read > 0, "aiortc gave up: {}", self.process.log());
        line.trim_end().to_owned()
    }

    /// Waits until it has seen what it wanted; what it counted.
    #[track_caller]
    pub fn counts(&mut self) -> serde_json::Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }
}

/// Where `scripts/fetch-test-tools.sh` puts Python's packages.
fn packages() -> PathBuf {
    let tools = env::var_os("SIGMUND_TOOLS").map(PathBuf::from);
    let beside = build_directory().parent().map(|it| it.join("tools/bin"));
    let mut places = tools.into_iter().chain(beside);
    let found = places.find_map(|it| Some(it.parent()?.join("python")).filter(|it| it.is_dir()));
    found.expect("aiortc is needed: `make test` installs it")
}
