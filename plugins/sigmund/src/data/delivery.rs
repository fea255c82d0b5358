//! What peers send reaches the user: by the signal, then by a source pad.

use gst::prelude::*;

use super::source::Timing;
use super::{DataMessage, DataSource, Lane, Reader, signals};

/// Delivers what comes in for one pad.
pub(crate) struct Delivery {
    element: glib::WeakRef<gst::Element>,
    source: DataSource,
}

impl Delivery {
    /// With a source pad of `element`, which is shown when there is a channel.
    pub(crate) fn new(
        element: &gst::Element,
        template: gst::PadTemplate,
        name: String,
        timing: Option<Timing>,
    ) -> Self {
        Self {
            element: element.downgrade(),
            source: DataSource::new(element, template, name, timing),
        }
    }
}

impl Reader for Delivery {
    fn begin(&mut self) {
        self.source.expose();
    }

    fn read(&mut self, lane: &Lane, message: &DataMessage) {
        if let Some(element) = self.element.upgrade() {
            signals::data_received(&element, lane, message);
        }
        self.source.push(lane, message);
    }
}
