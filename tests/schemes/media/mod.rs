//! Media by each scheme: an `rtcsink` in a lab, the real server where there is
//! one, and a viewer that sees frames.

mod app;
mod claims;
mod documented;
mod gstwebrtc;
mod ice;
mod janus;
mod nats;
mod received;
mod scale;
mod stdio;
mod theirs;
mod whip;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use sigmund::message::{Message, PeerId};
use sigmund::sdp::Receives;
use sigmund::signaller::{Options, Role};
use sigmund_tests::answerer::Answerer;
use sigmund_tests::process::{Process, build_directory};
use sigmund_tests::publisher::plugin_directory;
use sigmund_tests::{Host, Lab, eventually};

use crate::{SOON, Signal};

/// A small picture, as VP8: the viewers decode nothing.
const PICTURE: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,\
    framerate=30/1 ! queue ! rtcsink name=sink video-codecs=VP8";

/// What the documents show.
const PLAIN: &str = "videotestsrc is-live=true";

/// A picture with the stamps that pages read.
const STAMPED: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! identity name=stamp ! queue";

/// A lab with a publisher's and a viewer's host.
struct Stage {
    publisher: Host,
    viewer: Host,
    lab: Lab,
}

impl Stage {
    fn new() -> Option<Self> {
        let mut lab = Lab::new()?;
        Some(Self {
            publisher: lab.host("publisher"),
            viewer: lab.host("viewer"),
            lab,
        })
    }
}

/// A command on `host` that finds the plugin.
fn with_plugin(host: &Host, program: &str) -> Command {
    let mut command = host.command(program);
    command.env("GST_PLUGIN_PATH", plugin_directory());
    command.env("GST_REGISTRY", build_directory().join("gst-registry.bin"));
    command
}

/// A server on a host of the lab, listening.
#[track_caller]
fn serve(name: &str, host: &Host, port: u16, command: Command) -> Process {
    let mut process = Process::spawn(name, command);
    eventually(SOON, &format!("{name} listens"), || {
        assert!(!process.has_ended(), "{name} does not start");
        host.run(|| TcpStream::connect((host.address(), port)).ok())
    });
    process
}

/// A viewer by a scheme of ours: notes by the signaller, media by str0m.
struct Viewer {
    signal: Signal,
    publisher: PeerId,
    answerer: Answerer,
}

impl Viewer {
    /// Joins and is offered media.
    async fn join(host: &Host, uri: &str) -> Self {
        let receives = serde_json::json!({"video": [{"codec": "VP8"}]});
        let mut options = Options::new(Role::Subscribe, "viewer");
        options.receives = serde_json::from_value::<Receives>(receives).ok();
        let mut signal = Signal::open(uri, &options);
        let (publisher, _) = signal.joined().await;
        let offer = loop {
            if let (_, Message::Offer { sdp }) = signal.message().await {
                break sdp;
            }
        };
        let answerer = Answerer::new(host, &offer);
        let sdp = answerer.answer().to_owned();
        signal.say(&publisher, Message::Answer { sdp });
        Self {
            signal,
            publisher,
            answerer,
        }
    }

    /// Waits for so many more frames; notes pass meanwhile.
    async fn watch(&self, frames: u64) {
        let goal = self.answerer.seen().frames + frames;
        let watched = async {
            while self.answerer.seen().frames < goal {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(SOON, watched).await;
        assert!(in_time.is_ok(), "{:?}", self.answerer.seen());
    }
}

/// Runs what belongs on `host`: the sockets that it opens do.
fn on<F: Future<Output = ()>>(host: &Host, work: impl FnOnce() -> F + Send) {
    host.run(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(work());
    });
}

/// A file beside the tests.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("schemes")
        .join(path)
}
