//! What most tests begin with: a server, a viewer, a stream.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use sigmund_tests::viewer::ChannelConfig;
use sigmund_tests::{Host, Lab, Publisher};

/// Within this everything that a user would call "at once" has happened, on a
/// machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// 640×360 at 30 frames a second, stamped.
pub(crate) const PICTURE: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=640,height=360,framerate=30/1 ! identity name=stamp ! \
    queue name=picture";

/// 320×240 at 15 frames a second, stamped, where many look at it.
pub(crate) const SMALL: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! identity name=stamp ! queue";

/// 440 Hz.
pub(crate) const SOUND: &str = "audiotestsrc is-live=true freq=440 ! queue name=sound";

/// A live source that is encoded outside of the element, with a keyframe every
/// ten seconds.
pub(crate) fn encoded(codec: &str) -> String {
    let encoder = match codec {
        "H264" => "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=300 ! h264parse",
        "VP8" => "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=300 target-bitrate=1000000",
        other => panic!("no scene has {other}"),
    };
    format!("{PICTURE} ! {encoder} ! queue")
}

/// Who may use the machine: many tests share it, one may have it alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// A lab with a server and a viewer in it.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) server: Host,
    pub(crate) viewer: Host,
    _turn: Turn,
}

// Held, not read.
#[allow(dead_code)]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Stage {
    pub(crate) fn new() -> Option<Self> {
        Self::with(Turn::Shared(
            MACHINE.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// For tests that judge times, or count frames: no other runs meanwhile.
    pub(crate) fn alone() -> Option<Self> {
        Self::with(Turn::Alone(
            MACHINE.write().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    fn with(turn: Turn) -> Option<Self> {
        let mut lab = Lab::new()?;
        let (server, viewer) = (lab.host("server"), lab.host("viewer"));
        Some(Self {
            lab,
            server,
            viewer,
            _turn: turn,
        })
    }

    /// An `rtcsink name=cam` for everybody, with more properties if needed.
    pub(crate) fn sink(&self, properties: &str) -> String {
        let address = self.server.address();
        format!(
            "rtcsink name=cam uri=listen://{address}:8080/cam allow-anonymous=true {properties}"
        )
    }

    /// The picture into such a sink.
    pub(crate) fn show(&self, properties: &str) -> Publisher {
        self.publish_to(PICTURE, properties)
    }

    /// A pipeline whose text ends at the sink's place.
    pub(crate) fn publish(&self, pipeline: &str) -> Publisher {
        self.publish_to(pipeline, "")
    }

    /// The same, into a sink with more properties.
    pub(crate) fn publish_to(&self, pipeline: &str, properties: &str) -> Publisher {
        let sink = self.sink(properties);
        Publisher::start(&self.server, &format!("{pipeline} ! {sink}"))
    }
}

/// A reliable, ordered channel that a viewer may open.
pub(crate) fn channel(label: &str) -> ChannelConfig {
    ChannelConfig {
        label: label.into(),
        ..ChannelConfig::default()
    }
}
