//! The request pads for media.

use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::media::{House, Track};

glib::wrapper! {
    /// A sink pad: one track.
    pub struct RtcSinkPad(ObjectSubclass<imp::RtcSinkPad>)
        @extends gst::GhostPad, gst::ProxyPad, gst::Pad, gst::Object;
}

impl RtcSinkPad {
    /// The user's settings for the encoder of this track.
    pub(crate) fn encoder_settings(&self) -> Option<gst::Structure> {
        self.imp().encoder_settings()
    }
}

/// Adds a pad `name` for a track, and the element behind it.
pub(crate) fn add_track(
    host: &gst::Bin,
    template: &gst::PadTemplate,
    name: &str,
    house: House,
    prerolls: bool,
) -> Option<(RtcSinkPad, Track)> {
    let track = Track::new(name, template.caps(), house, prerolls);
    host.add(track.element()).ok()?;
    let target = track.element().static_pad("sink")?;
    let pad = gst::PadBuilder::<RtcSinkPad>::from_template(template)
        .name(name)
        .build();
    pad.set_target(Some(&target)).ok()?;
    pad.set_active(true).ok()?;
    track.element().sync_state_with_parent().ok()?;
    host.add_pad(&pad).ok()?;
    Some((pad, track))
}

/// Takes a ghost pad off the element, and the element behind it.
pub(crate) fn drop_pad(host: &gst::Bin, ghost: &gst::GhostPad, element: &gst::Element) {
    let _ = ghost.set_active(false);
    let _ = ghost.set_target(None::<&gst::Pad>);
    let _ = host.remove_pad(ghost);
    element.set_locked_state(true);
    let _ = element.set_state(gst::State::Null);
    // When the host itself goes, it has let go of its children already.
    if element.parent().as_ref() == Some(host.upcast_ref()) {
        let _ = host.remove(element);
    }
}

mod imp {
    use std::sync::{LazyLock, Mutex, PoisonError};

    use gst::prelude::*;
    use gst::subclass::prelude::*;

    #[derive(Debug, Default)]
    pub struct RtcSinkPad {
        encoder_settings: Mutex<Option<gst::Structure>>,
    }

    impl RtcSinkPad {
        pub(super) fn encoder_settings(&self) -> Option<gst::Structure> {
            self.encoder_settings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RtcSinkPad {
        const NAME: &'static str = "SigmundRtcSinkPad";
        type Type = super::RtcSinkPad;
        type ParentType = gst::GhostPad;
    }

    impl ObjectImpl for RtcSinkPad {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                vec![
                    glib::ParamSpecBoxed::builder::<gst::Structure>("encoder-settings")
                        .nick("Encoder settings")
                        .blurb(
                            "Properties to set on the encoder of this track, over our own, e.g. \
                             'settings,speed-preset=veryfast'; read when the encoder starts",
                        )
                        .mutable_ready()
                        .build(),
                ]
            });
            &PROPERTIES
        }

        fn set_property(&self, _id: usize, value: &glib::Value, _spec: &glib::ParamSpec) {
            let settings = value.get().unwrap_or_default();
            *self
                .encoder_settings
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = settings;
        }

        fn property(&self, _id: usize, _spec: &glib::ParamSpec) -> glib::Value {
            self.encoder_settings().to_value()
        }
    }

    impl GstObjectImpl for RtcSinkPad {}
    impl PadImpl for RtcSinkPad {}
    impl ProxyPadImpl for RtcSinkPad {}
    impl GhostPadImpl for RtcSinkPad {}
}
