//! Tells the application: signals and bus messages, in order, from a thread of
//! their own. A handler that blocks delays only later announcements.

use std::sync::mpsc;

use gst::prelude::*;
use sigmund::message::PeerId;
use sigmund::signaller::PeerInfo;

/// What is told.
#[derive(Debug)]
pub(crate) enum Announcement {
    /// Media flows to a new peer.
    PeerAdded(PeerId, PeerInfo),
    /// A peer that was added is gone.
    PeerRemoved(PeerId, String),
    /// A note for the application to carry (`app:`), JSON of `sigmund.v1`.
    Note(String),
    /// Where to watch.
    Address(String),
    /// Something is wrong, but the element goes on.
    Warning(String),
    /// The element cannot go on.
    Error(String),
}

/// Hands announcements to the thread; the last one to go ends it.
#[derive(Clone, Debug)]
pub(crate) struct Announcer(mpsc::Sender<Announcement>);

impl Announcer {
    /// Starts the thread for `element`. `doing` is what people do at its address:
    /// "Watch".
    pub(crate) fn start(element: &gst::Element, doing: &'static str) -> std::io::Result<Self> {
        let (sender, inbox) = mpsc::channel();
        let element = element.downgrade();
        std::thread::Builder::new()
            .name("sigmund-signals".into())
            .spawn(move || {
                for announcement in inbox {
                    let Some(element) = element.upgrade() else {
                        break;
                    };
                    tell(&element, doing, announcement);
                }
            })?;
        Ok(Self(sender))
    }

    /// Queues an announcement.
    pub(crate) fn announce(&self, announcement: Announcement) {
        // The thread ends before us only when the element is gone.
        let _ = self.0.send(announcement);
    }
}

fn tell(element: &gst::Element, doing: &str, announcement: Announcement) {
    match announcement {
        Announcement::PeerAdded(id, info) => {
            let details = gst::Structure::builder("sigmund-peer")
                .field("protocol", &info.protocol)
                .field("address", info.address.map(|a| a.to_string()))
                .field("agent", &info.agent)
                .build();
            element.emit_by_name::<()>("peer-added", &[&id.as_str(), &details]);
            let mut message = details;
            message.set_name("sigmund-peer-added");
            message.set("id", id.as_str());
            post(element, message);
        }
        Announcement::PeerRemoved(id, reason) => {
            element.emit_by_name::<()>("peer-removed", &[&id.as_str(), &reason]);
            let message = gst::Structure::builder("sigmund-peer-removed")
                .field("id", id.as_str())
                .field("reason", &reason)
                .build();
            post(element, message);
        }
        Announcement::Note(json) => {
            element.emit_by_name::<()>("outgoing-message", &[&json]);
        }
        Announcement::Address(address) => {
            element.notify("address");
            let message = gst::Structure::builder("sigmund-address")
                .field("address", &address)
                .build();
            post(element, message);
            // gst-launch prints the details of info messages.
            gst::element_info!(
                element,
                gst::ResourceError::Busy,
                ("{doing} at {address}"),
                ["{doing} at {address}"]
            );
        }
        Announcement::Warning(text) => {
            gst::element_warning!(element, gst::ResourceError::Failed, ("{text}"));
        }
        Announcement::Error(text) => {
            gst::element_error!(element, gst::ResourceError::Failed, ("{text}"));
        }
    }
}

fn post(element: &gst::Element, structure: gst::Structure) {
    let message = gst::message::Element::builder(structure)
        .src(element)
        .build();
    // Fails only without a bus, when nobody listens.
    let _ = element.post_message(message);
}
