//! The life of an element, from state to state.

use std::sync::Arc;

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::house::HouseClock;
use crate::data::IncomingChannels;
use crate::receive::Outlets;
use crate::runtime;

/// What an element does between its states.
pub(crate) trait Life: ElementImpl {
    /// NULL → READY: everything that can be wrong without opening a port.
    fn prepare(&self) -> Result<(), gst::ErrorMessage>;
    /// READY → PAUSED: opens signalling.
    fn start(&self) -> Result<(), gst::ErrorMessage>;
    /// PAUSED → READY, and after a start that came to nothing.
    fn stop(&self);
    /// Its time.
    fn house(&self) -> &HouseClock;
    /// Is there something behind its source pads that nothing comes to before it
    /// plays?
    fn is_live(&self) -> bool;
}

/// `ElementImpl::change_state` of all elements.
pub(crate) fn change_state<T: Life>(
    element: &T,
    category: gst::DebugCategory,
    transition: gst::StateChange,
) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
    use gst::StateChange::{
        NullToReady, PausedToPlaying, PausedToReady, PlayingToPaused, ReadyToNull, ReadyToPaused,
    };
    let obj = element.obj();
    let obj: &gst::Element = obj.upcast_ref();
    let prepared = match transition {
        NullToReady => element.prepare(),
        ReadyToPaused => element.start(),
        PausedToPlaying => {
            element.house().set(obj);
            Ok(())
        }
        PausedToReady => {
            element.stop();
            Ok(())
        }
        ReadyToNull => {
            runtime::finish_preparing();
            Ok(())
        }
        _ => Ok(()),
    };
    if let Err(message) = prepared {
        gst::error!(category, obj = obj, "{message:?}");
        obj.post_error_message(message);
        return Err(gst::StateChangeError);
    }
    match (transition, element.parent_change_state(transition)) {
        (ReadyToPaused, Err(error)) => {
            element.stop();
            Err(error)
        }
        (ReadyToPaused | PlayingToPaused, Ok(_)) if element.is_live() => {
            Ok(gst::StateChangeSuccess::NoPreroll)
        }
        (_, result) => result,
    }
}

/// EOS from the application: it is pushed out of the source pads, in the
/// element's own time; what is downstream may be busy.
pub(crate) fn send_eos(
    outlets: Option<Arc<Outlets>>,
    channels: Option<Arc<IncomingChannels>>,
) -> bool {
    let Some(outlets) = outlets else { return false };
    if let Some(channels) = channels {
        runtime::detach(move || channels.send_eos());
    }
    outlets.send_eos();
    true
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use super::*;

    /// What is prepared is prepared for the whole process.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn nothing_of_an_element_is_left_when_it_is_gone() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        gst::init().unwrap();
        let elements: [gst::Element; 2] = [
            glib::Object::new::<crate::sink::RtcSink>().upcast(),
            glib::Object::new::<crate::duplex::RtcPeer>().upcast(),
        ];
        for element in elements {
            element.set_property("uri", "listen://127.0.0.1:0/cam");
            let pipeline = gst::Pipeline::new();
            let source = gst::ElementFactory::make("videotestsrc")
                .property("is-live", true)
                .build()
                .unwrap();
            pipeline.add_many([&source, &element]).unwrap();
            source.link(&element).unwrap();
            let bin: &gst::Bin = element.downcast_ref().unwrap();
            let track = bin.by_name("track-video_0").unwrap().downgrade();
            for _ in 0..2 {
                pipeline.set_state(gst::State::Playing).unwrap();
                let pad = track.upgrade().unwrap().static_pad("sink").unwrap();
                while pad.current_caps().is_none() {
                    std::thread::yield_now();
                }
                drop(pad);
                pipeline.set_state(gst::State::Null).unwrap();
            }
            drop((source, element, pipeline));
            let end = Instant::now() + Duration::from_secs(10);
            while track.upgrade().is_some() {
                assert!(Instant::now() < end, "its sink pad's element is left");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn nothing_is_under_way_in_an_element_that_is_at_rest() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        gst::init().unwrap();
        let elements: [gst::Element; 3] = [
            glib::Object::new::<crate::sink::RtcSink>().upcast(),
            glib::Object::new::<crate::source::RtcSrc>().upcast(),
            glib::Object::new::<crate::duplex::RtcPeer>().upcast(),
        ];
        for element in elements {
            element.set_state(gst::State::Ready).unwrap();
            assert!(runtime::is_preparing(), "nothing is prepared");
            element.set_state(gst::State::Null).unwrap();
            assert!(!runtime::is_preparing(), "{}", element.type_());
        }
    }
}
