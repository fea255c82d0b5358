//! A bin whose troubles stay inside.
//!
//! Peers and encodings live in one each, inside the element. It is state-locked
//! and carries no SINK or SOURCE flag, so state, latency and EOS of the host
//! pipeline never wait for it; errors of its children go to its owner, not to
//! the application's bus.

use std::sync::Arc;

use gst::prelude::*;

/// Told about the first and every further error of a child.
pub(crate) type OnError = Arc<dyn Fn(String) + Send + Sync>;

glib::wrapper! {
    pub(crate) struct IsolatedBin(ObjectSubclass<imp::IsolatedBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

impl IsolatedBin {
    /// An empty one. `on_error` may be called from any thread.
    pub(crate) fn new(name: &str, on_error: OnError) -> Self {
        use gst::subclass::prelude::*;

        let bin: Self = glib::Object::builder().property("name", name).build();
        bin.set_suppressed_flags(gst::ElementFlags::SINK | gst::ElementFlags::SOURCE);
        bin.set_property("async-handling", true);
        bin.set_locked_state(true);
        bin.imp().set_on_error(on_error);
        bin
    }

    /// Joins `host` and starts, on the clock and base time given.
    pub(crate) fn start_in(&self, host: &gst::Bin, time: &HouseTime) -> Result<(), String> {
        host.add(self).map_err(|e| e.to_string())?;
        self.set_clock(Some(&time.clock))
            .map_err(|e| e.to_string())?;
        self.set_base_time(time.base);
        self.set_start_time(gst::ClockTime::NONE);
        self.set_state(gst::State::Playing)
            .map(drop)
            .map_err(|_| format!("{} does not start", self.name()))
    }

    /// Stops and leaves `host`. Blocks; belongs on the pool.
    pub(crate) fn stop_in(&self, host: &gst::Bin) {
        if self.set_state(gst::State::Null).is_err() {
            gst::warning!(crate::CAT, obj = self, "does not stop cleanly");
        }
        if self.parent().as_ref() == Some(host.upcast_ref()) {
            let _ = host.remove(self);
        }
    }
}

/// The time of the house: clock and base time that all our bins share, fixed
/// when the element first plays. The host may pause and get another base time;
/// viewers see a stream that goes on.
#[derive(Clone, Debug)]
pub(crate) struct HouseTime {
    /// The clock of the host pipeline.
    pub(crate) clock: gst::Clock,
    /// Running time 0 on that clock.
    pub(crate) base: gst::ClockTime,
}

mod imp {
    use std::sync::OnceLock;

    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use super::OnError;

    #[derive(Default)]
    pub(crate) struct IsolatedBin {
        on_error: OnceLock<OnError>,
    }

    impl IsolatedBin {
        pub(super) fn set_on_error(&self, on_error: OnError) {
            // Set once, by the constructor.
            let _ = self.on_error.set(on_error);
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for IsolatedBin {
        const NAME: &'static str = "SigmundIsolatedBin";
        type Type = super::IsolatedBin;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for IsolatedBin {}
    impl GstObjectImpl for IsolatedBin {}
    impl ElementImpl for IsolatedBin {}

    impl BinImpl for IsolatedBin {
        fn handle_message(&self, message: gst::Message) {
            use gst::MessageView;
            match message.view() {
                MessageView::Error(error) => {
                    let from = message.src().map(|s| s.name().to_string());
                    let text = format!("{}: {}", from.unwrap_or_default(), error.error().message());
                    gst::info!(crate::CAT, imp = self, "{text} ({:?})", error.debug());
                    if let Some(on_error) = self.on_error.get() {
                        on_error(text);
                    }
                }
                // A bin needs these to follow its children's states; with
                // `async-handling` they end here.
                MessageView::AsyncStart(_) | MessageView::AsyncDone(_) => {
                    self.parent_handle_message(message);
                }
                // Hardware encoders ask the application for their display.
                MessageView::NeedContext(_) | MessageView::HaveContext(_) => {
                    self.parent_handle_message(message);
                }
                _ => (),
            }
        }
    }
}
