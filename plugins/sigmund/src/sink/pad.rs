//! The request pads of `rtcsink`.

use gst::subclass::prelude::*;

glib::wrapper! {
    /// A sink pad of `rtcsink`: one track.
    pub struct RtcSinkPad(ObjectSubclass<imp::RtcSinkPad>)
        @extends gst::GhostPad, gst::ProxyPad, gst::Pad, gst::Object;
}

impl RtcSinkPad {
    /// The user's settings for the encoder of this track.
    pub(super) fn encoder_settings(&self) -> Option<gst::Structure> {
        self.imp().encoder_settings()
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
