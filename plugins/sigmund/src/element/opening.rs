//! Opening signalling for an element.

use std::sync::Arc;
use std::time::Duration;

use gst::prelude::*;
use sigmund::signaller::app::{self, AppHandle};
use sigmund::signaller::{Options, Registry, Signaller};
use tokio::sync::mpsc;

use crate::driver::{self, Announcement, Announcer, Host, HostConfig, OnConnection};
use crate::media::OnEncoder;
use crate::receive::Outlets;
use crate::runtime;

/// Signalling that is ready to run.
pub(crate) struct Opening {
    pub(crate) signaller: Box<dyn Signaller>,
    pub(crate) announcer: Announcer,
    /// The application's end of `app:`.
    pub(crate) app: AppHandle,
}

/// Everything that can be wrong with `uri` and with files without opening a port.
pub(crate) fn check(uri: &str, mut options: Options) -> Result<(), gst::ErrorMessage> {
    options.app = Some(app::channel().0);
    signaller(uri, &options).map(drop)
}

fn signaller(uri: &str, options: &Options) -> Result<Box<dyn Signaller>, gst::ErrorMessage> {
    let wrong = |e: &dyn std::fmt::Display| gst::error_msg!(gst::ResourceError::Settings, ("{e}"));
    options.check_files().map_err(|e| wrong(&e))?;
    Registry::builtin()
        .open(uri, options)
        .map_err(|e| wrong(&e))
}

/// Makes the signaller for `uri`, and what tells the application. `doing` is
/// what people do at the address that is announced: "Watch".
pub(crate) fn open(
    element: &gst::Element,
    doing: &'static str,
    uri: &str,
    mut options: Options,
) -> Result<Opening, gst::ErrorMessage> {
    let (end, app, notes) = app::channel();
    options.app = Some(end);
    let signaller = signaller(uri, &options)?;
    // The signaller holds the other clone; unless it is `app:`, nobody does.
    drop(options);
    let announcer = Announcer::start(element, doing)
        .map_err(|e| gst::error_msg!(gst::ResourceError::OpenReadWrite, ("{e}")))?;
    relay(notes, announcer.clone());
    Ok(Opening {
        signaller,
        announcer,
        app,
    })
}

/// Starts what runs the sessions.
pub(crate) fn start(config: HostConfig) -> Result<Host, gst::ErrorMessage> {
    let failed =
        |e: &dyn std::fmt::Display| gst::error_msg!(gst::ResourceError::OpenReadWrite, ("{e}"));
    if let Some(text) = driver::absent_interfaces(&config.network.interfaces) {
        config.announcer.announce(Announcement::Warning(text));
    }
    runtime::wait_for(Host::start(config))
        .ok_or_else(|| failed(&"the task of the element died"))?
        .map_err(|e| failed(&e))
}

/// Where media that come in go, in an element that receives. What keeps them from
/// being shown is announced.
pub(crate) fn outlets(
    element: &gst::Bin,
    suffix: &'static str,
    latency: Duration,
    announcer: &Announcer,
) -> Arc<Outlets> {
    let announcer = announcer.clone();
    let on_problem = move |text| announcer.announce(Announcement::Error(text));
    Arc::new(Outlets::new(element, suffix, latency, Arc::new(on_problem)))
}

/// Hands what an `app:` signaller says to the application.
fn relay(mut notes: mpsc::Receiver<String>, announcer: Announcer) {
    runtime::spawn(async move {
        while let Some(json) = notes.recv().await {
            announcer.announce(Announcement::Note(json));
        }
    });
}

/// What the application tells the far side (`app:`). Was it taken?
pub(crate) fn feed(
    category: gst::DebugCategory,
    element: &gst::Element,
    app: Option<AppHandle>,
    json: &str,
) -> bool {
    let result = match app {
        Some(app) => app.feed(json).map_err(|e| e.to_string()),
        None => Err("the element is not running".to_owned()),
    };
    if let Err(error) = &result {
        gst::warning!(category, obj = element, "a message was not taken: {error}");
    }
    result.is_ok()
}

/// Emits `webrtcbin-ready`.
pub(crate) fn tell_of_connections(element: &gst::Element) -> OnConnection {
    let element = element.downgrade();
    Arc::new(move |peer, webrtcbin| {
        if let Some(element) = element.upgrade() {
            element.emit_by_name::<()>("webrtcbin-ready", &[&peer.as_str(), webrtcbin]);
        }
    })
}

/// Emits `encoder-setup`.
pub(crate) fn tell_of_encoders(element: &gst::Element) -> OnEncoder {
    let element = element.downgrade();
    Arc::new(move |encoder, pad, codec| {
        if let Some(element) = element.upgrade() {
            let codec = codec.encoding_name();
            element.emit_by_name::<()>("encoder-setup", &[encoder, &pad, &codec]);
        }
    })
}
