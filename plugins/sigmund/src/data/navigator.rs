//! What somebody does at the picture, as `GstNavigation` events upstream.

use gst::prelude::*;
use sigmund::data::Navigation;

use super::{CAT, DataMessage, Lane, Reader};

/// Sends events out of the sink pads of the pictures.
pub(crate) struct Navigator {
    pads: Box<dyn Fn() -> Vec<gst::Pad> + Send>,
}

impl Navigator {
    /// `pads` are those that pictures come in on, at that moment.
    pub(crate) fn new(pads: Box<dyn Fn() -> Vec<gst::Pad> + Send>) -> Self {
        Self { pads }
    }
}

impl Reader for Navigator {
    fn read(&mut self, lane: &Lane, message: &DataMessage) {
        let navigation = match Navigation::read(&message.bytes) {
            Ok(navigation) => navigation,
            Err(error) => {
                gst::debug!(CAT, "navigation of {} is skipped: {error}", lane.peer());
                return;
            }
        };
        for pad in (self.pads)() {
            let size = size(&pad);
            pad.push_event(event(&navigation, size));
        }
    }
}

/// The size of the picture in pixels.
fn size(pad: &gst::Pad) -> (f64, f64) {
    let caps = pad.current_caps();
    let structure = caps.as_ref().and_then(|caps| caps.structure(0));
    let number = |name| structure.and_then(|it| it.get::<i32>(name).ok());
    let part = |name| number(name).map_or(1.0, f64::from);
    (part("width"), part("height"))
}

/// As `gst_navigation_event_new_*` makes them; the bindings have none of these.
fn event(navigation: &Navigation, (width, height): (f64, f64)) -> gst::Event {
    let base = |name: &str| {
        gst::Structure::builder("application/x-gst-navigation")
            .field("event", name)
            .field("state", gst_video::NavigationModifierType::empty())
    };
    let at = |name: &str, x: f64, y: f64| {
        base(name)
            .field("pointer_x", x * width)
            .field("pointer_y", y * height)
    };
    let structure = match navigation {
        Navigation::MouseMove { x, y } => at("mouse-move", *x, *y),
        Navigation::MouseButtonPress { button, x, y } => {
            at("mouse-button-press", *x, *y).field("button", i32::from(*button))
        }
        Navigation::MouseButtonRelease { button, x, y } => {
            at("mouse-button-release", *x, *y).field("button", i32::from(*button))
        }
        Navigation::MouseScroll { x, y, dx, dy } => at("mouse-scroll", *x, *y)
            .field("delta_pointer_x", *dx)
            .field("delta_pointer_y", *dy),
        Navigation::KeyPress { key } => base("key-press").field("key", key),
        Navigation::KeyRelease { key } => base("key-release").field("key", key),
        Navigation::TouchDown { id, x, y } => at("touch-down", *x, *y)
            .field("identifier", *id)
            .field("pressure", 1.0),
        Navigation::TouchMotion { id, x, y } => at("touch-motion", *x, *y)
            .field("identifier", *id)
            .field("pressure", 1.0),
        Navigation::TouchUp { id, x, y } => at("touch-up", *x, *y).field("identifier", *id),
    };
    gst::event::Navigation::new(structure.build())
}
