//! The servers that are compared.

use std::env;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sigmund_tests::network::Host;
use sigmund_tests::process::Process;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A raw picture that moves.
const PICTURE: &str =
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=1280,height=720,framerate=30/1";

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Ours.
    Sigmund,
    /// gst-plugins-rs 0.15.4.
    Webrtcsink,
}

/// What it is fed, and what viewers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Raw video, sent as H.264.
    RawH264,
    /// Raw video, sent as VP8.
    RawVp8,
    /// H.264 that is passed through.
    Encoded,
}

impl Server {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sigmund => "rtcsink",
            Self::Webrtcsink => "whepserversink",
        }
    }

    /// A document of it that lets scripts run: any that has a body, also one
    /// that says 405.
    pub fn document(self) -> &'static str {
        match self {
            Self::Sigmund => "healthz",
            Self::Webrtcsink => "whep/endpoint",
        }
    }

    /// Starts it on `host`; the process and its WHEP endpoint.
    pub fn start(self, host: &Host, input: Input) -> (Process, String) {
        let source = input.source();
        let codec = input.codec();
        let (mut command, sink, path) = match self {
            Self::Sigmund => {
                let mut command = host.command("gst-launch-1.0");
                command.env(
                    "GST_PLUGIN_PATH",
                    env::var("SIGMUND_PLUGIN_DIR").unwrap_or_default(),
                );
                let sink = format!(
                    "rtcsink uri=listen://{}:8080/bench allow-anonymous=true allowed-origins=* \
                     video-codecs={codec}",
                    host.address()
                );
                (command, sink, "whep/bench")
            }
            Self::Webrtcsink => {
                let peer = env::current_exe().expect("this program has a path");
                let peer = peer.with_file_name("peer");
                let caps = if codec == "VP8" {
                    "video/x-vp8"
                } else {
                    "video/x-h264"
                };
                let sink = format!(
                    "whepserversink video-caps={caps} stun-server=\"\" \
                     signaller::host-addr=http://{}:8080",
                    host.address()
                );
                let peer = peer.to_str().expect("a path in UTF-8").to_owned();
                (host.command(&peer), sink, "whep/endpoint")
            }
        };
        command.args(format!("{source} ! {sink}").split_whitespace());
        let process = Process::spawn(self.name(), command);
        await_listening(host);
        (process, format!("http://{}:8080/{path}", host.address()))
    }
}

/// Waits until the server takes connections.
fn await_listening(host: &Host) {
    let address = SocketAddr::from((host.address(), 8080));
    let began = Instant::now();
    while host.run(|| TcpStream::connect(address)).is_err() {
        assert!(began.elapsed() < PATIENCE, "nobody listens on {address}");
        thread::sleep(Duration::from_millis(100));
    }
}

impl Input {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::RawH264 => "raw, as H.264",
            Self::RawVp8 => "raw, as VP8",
            Self::Encoded => "H.264, passed through",
        }
    }

    fn codec(self) -> &'static str {
        match self {
            Self::RawVp8 => "VP8",
            Self::RawH264 | Self::Encoded => "H264",
        }
    }

    fn source(self) -> String {
        match self {
            Self::RawH264 | Self::RawVp8 => PICTURE.to_owned(),
            Self::Encoded => format!(
                "{PICTURE} ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=2500 \
                 key-int-max=60 ! video/x-h264,profile=constrained-baseline ! h264parse"
            ),
        }
    }
}
