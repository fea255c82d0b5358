//! The data sink pads of the elements: their properties.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gst::subclass::prelude::*;

use super::DataTrack;

glib::wrapper! {
    /// A data sink pad: one data channel to each peer.
    pub struct DataPad(ObjectSubclass<imp::DataPad>)
        @extends gst::GhostPad, gst::ProxyPad, gst::Pad, gst::Object;
}

impl DataPad {
    /// The track behind it; its settings are the pad's properties. `shared`: is
    /// it for several peers at present?
    pub(crate) fn set_track(&self, track: &DataTrack, shared: &Arc<AtomicBool>) {
        self.imp().set_track(track, shared);
    }
}

/// What happens where a peer does not keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "SigmundDataOverflow")]
#[repr(i32)]
pub enum DataOverflow {
    /// A new message takes the place of the oldest ones.
    #[default]
    DropOldest,
    /// A new message is dropped.
    DropNewest,
    /// Whoever sends waits; on rtcsink with max-peers=1 alone, since one viewer
    /// may not stop the others.
    Block,
}

mod imp {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

    use gst::prelude::*;
    use gst::subclass::prelude::*;
    use sigmund::data::{Channel, MAX_ID, Overflow};

    use super::{DataOverflow, DataTrack};
    use crate::data::pads::NOT_HERE;

    #[derive(Debug)]
    pub struct DataPad {
        track: Mutex<DataTrack>,
        shared: OnceLock<Arc<AtomicBool>>,
    }

    impl Default for DataPad {
        fn default() -> Self {
            let track = DataTrack::new("", Channel::default(), Overflow::default());
            Self {
                track: Mutex::new(track),
                shared: OnceLock::new(),
            }
        }
    }

    impl DataPad {
        pub(super) fn set_track(&self, track: &DataTrack, shared: &Arc<AtomicBool>) {
            let _ = self.shared.set(shared.clone());
            *self.track.lock().unwrap_or_else(PoisonError::into_inner) = track.clone();
        }

        /// While it runs for several peers, nobody is made to wait.
        fn refuses(&self, overflow: DataOverflow) -> bool {
            let shared = self.shared.get();
            let shared = shared.is_some_and(|it| it.load(Ordering::SeqCst));
            if !shared || overflow != DataOverflow::Block {
                return false;
            }
            if let Some(element) = self.obj().parent_element() {
                let name = self.obj().name();
                gst::element_warning!(
                    element,
                    gst::ResourceError::Settings,
                    ("{name}: {NOT_HERE}; it stays as it was")
                );
            }
            true
        }

        fn track(&self) -> DataTrack {
            let track = self.track.lock().unwrap_or_else(PoisonError::into_inner);
            track.clone()
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DataPad {
        const NAME: &'static str = "SigmundDataPad";
        type Type = super::DataPad;
        type ParentType = gst::GhostPad;
    }

    fn limit(name: &'static str, blurb: &'static str, maximum: u16) -> glib::ParamSpec {
        glib::ParamSpecInt::builder(name)
            .minimum(-1)
            .maximum(maximum.into())
            .default_value(-1)
            .blurb(blurb)
            .build()
    }

    fn number(value: &glib::Value) -> Option<u16> {
        value
            .get::<i32>()
            .ok()
            .and_then(|it| u16::try_from(it).ok())
    }

    fn shown(value: Option<u16>) -> glib::Value {
        value.map_or(-1, i32::from).to_value()
    }

    impl ObjectImpl for DataPad {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                vec![
                    glib::ParamSpecString::builder("label")
                        .blurb(
                            "Name of the channel. Default: that of the pad, which then takes \
                             channels of any name that peers open and no other pad has",
                        )
                        .build(),
                    glib::ParamSpecString::builder("protocol")
                        .blurb("Subprotocol of the channel, for whoever looks at it")
                        .build(),
                    glib::ParamSpecBoolean::builder("ordered")
                        .default_value(true)
                        .blurb("Do messages arrive in the order in which they were sent?")
                        .build(),
                    limit(
                        "max-retransmits",
                        "How often a message is sent again before it is given up; -1: until it \
                         arrives",
                        u16::MAX,
                    ),
                    limit(
                        "max-packet-lifetime",
                        "For how many ms a message is sent again before it is given up; -1: \
                         until it arrives",
                        u16::MAX,
                    ),
                    glib::ParamSpecBoolean::builder("negotiated")
                        .blurb("Both sides know of the channel by its id, and nobody announces it")
                        .build(),
                    limit("id", "Id of a negotiated channel; -1: none", MAX_ID),
                    glib::ParamSpecEnum::builder_with_default("overflow", DataOverflow::DropOldest)
                        .blurb("What happens to messages for a peer that does not keep up")
                        .build(),
                ]
            });
            &PROPERTIES
        }

        fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
            if spec.name() == "overflow" && self.refuses(value.get().unwrap_or_default()) {
                return;
            }
            self.track().change_settings(|channel, overflow| {
                let text = || value.get::<Option<String>>().ok().flatten();
                match spec.name() {
                    "label" => channel.label = text(),
                    "protocol" => channel.protocol = text().unwrap_or_default(),
                    "ordered" => channel.ordered = value.get().unwrap_or(true),
                    "max-retransmits" => channel.max_retransmits = number(value),
                    "max-packet-lifetime" => channel.max_packet_lifetime = number(value),
                    "negotiated" => channel.negotiated = value.get().unwrap_or(false),
                    "id" => channel.id = number(value),
                    _ => {
                        *overflow = match value.get().unwrap_or_default() {
                            DataOverflow::DropOldest => Overflow::DropOldest,
                            DataOverflow::DropNewest => Overflow::DropNewest,
                            DataOverflow::Block => Overflow::Block,
                        }
                    }
                }
            });
        }

        fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
            let (channel, overflow) = self.track().settings();
            match spec.name() {
                "label" => channel.label.to_value(),
                "protocol" => channel.protocol.to_value(),
                "ordered" => channel.ordered.to_value(),
                "max-retransmits" => shown(channel.max_retransmits),
                "max-packet-lifetime" => shown(channel.max_packet_lifetime),
                "negotiated" => channel.negotiated.to_value(),
                "id" => shown(channel.id),
                _ => match overflow {
                    Overflow::DropOldest => DataOverflow::DropOldest,
                    Overflow::DropNewest => DataOverflow::DropNewest,
                    Overflow::Block => DataOverflow::Block,
                }
                .to_value(),
            }
        }
    }

    impl GstObjectImpl for DataPad {}
    impl PadImpl for DataPad {}
    impl ProxyPadImpl for DataPad {}
    impl GhostPadImpl for DataPad {}
}
