//! What most tests begin with.

use std::sync::MutexGuard;
use std::time::Duration;

use sigmund_tests::browser::{self, Browser, Kind};
use sigmund_tests::page;
use sigmund_tests::{Host, Lab, Publisher};

/// Within this everything that a user would call "at once" has happened, on a
/// busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// 640×360 at 30 frames a second, stamped.
pub(crate) const PICTURE: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=640,height=360,framerate=30/1 ! identity name=stamp ! queue";

/// A small one, where many decode it on one machine.
pub(crate) const SMALL: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! identity name=stamp ! queue";

/// 440 Hz.
pub(crate) const SOUND: &str = "audiotestsrc is-live=true freq=440 ! queue";

/// A lab with a server and a viewer in it, and the machine to itself.
pub(crate) struct Stage {
    pub(crate) server: Host,
    pub(crate) viewer: Host,
    // Fields drop in this order: the turn ends when the lab is gone.
    _lab: Lab,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) fn new() -> Option<Self> {
        let turn = browser::turn();
        let mut lab = Lab::new()?;
        let (server, viewer) = (lab.host("server"), lab.host("viewer"));
        Some(Self {
            server,
            viewer,
            _lab: lab,
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

    /// A page of the server that plays nothing, for scripts of our own.
    pub(crate) fn idle_page(&self) -> String {
        format!("http://{}:8080/healthz", self.server.address())
    }

    /// Starts a pipeline on the server.
    pub(crate) fn publish(&self, pipeline: &str) -> Publisher {
        Publisher::start(&self.server, pipeline)
    }

    /// Opens the page in a browser and waits until it plays.
    #[track_caller]
    pub(crate) fn watch(&self, kind: Kind, address: &str) -> Browser {
        let browser = Browser::start(&self.viewer, kind);
        browser.open(address);
        page::await_playing(&browser);
        browser
    }
}

/// Panics if the page had anything to complain of.
#[track_caller]
pub(crate) fn assert_content(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
