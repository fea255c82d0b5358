//! The virtual methods of `rtcpeer`.
//!
//! Locks: `settings`, then `state`; see the crate's documentation.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gst::subclass::prelude::*;
use sigmund::signaller::app::AppHandle;

use super::settings::{self, Plan, Settings};
use crate::data::pads::SOURCES as DATA_SOURCES;
use crate::data::{DataPad, DataPads, IncomingChannels, data_signals};
use crate::driver::{self, Host, HostConfig, Reception, Snapshot};
use crate::element::{
    HEARD_AUDIO, HEARD_DATA, HEARD_VIDEO, HouseClock, Life, Names, Opening, Property, RtcSinkPad,
    SENT_AUDIO, SENT_VIDEO, Tracks, add_track, change_state, child_by_index, child_by_name,
    common_signals, drop_pad, encoder_setup, goes_out, opening, read, send_eos, specs,
};
use crate::media::encoders;
use crate::receive::Outlets;
use crate::runtime;

pub(crate) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcpeer",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: calls, sends and receives"),
    )
});

/// What follows the kind in the names of source pads: those of sink pads have
/// nothing there.
const SOURCES: &str = "_src";

#[derive(Debug, Default)]
pub struct RtcPeer {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    pub(super) data: DataPads,
    house: HouseClock,
}

/// What streaming has made.
#[derive(Debug, Default)]
pub(super) struct State {
    tracks: Tracks,
    /// Pads requested so far, for their names.
    requested: u32,
    pub(super) host: Option<Host>,
    outlets: Option<Arc<Outlets>>,
    pub(super) channels: Option<Arc<IncomingChannels>>,
    /// The application's end of `app:`.
    app: Option<AppHandle>,
}

impl RtcPeer {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Snapshot {
        self.state()
            .host
            .as_ref()
            .map(Host::snapshot)
            .unwrap_or_default()
    }

    fn plan(&self) -> Result<Plan, gst::ErrorMessage> {
        let name = self.obj().name();
        let settings = self.settings().clone();
        settings
            .plan(&name)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ("{e}")))
    }

    /// What the application was told by the far side (`app:`).
    fn feed(&self, json: &str) -> bool {
        let app = self.state().app.clone();
        opening::feed(*CAT, self.obj().upcast_ref(), app, json)
    }

    /// A name for a pad that is asked for.
    fn pad_name(&self, template: &gst::PadTemplate) -> String {
        let prefix = template.name_template().trim_end_matches("_%u");
        let mut state = self.state();
        state.requested += 1;
        format!("{prefix}_{}", state.requested - 1)
    }

    /// With sink pads, the end of the pipeline is an end of ours, too.
    pub(super) fn update_flags(&self) {
        let obj = self.obj();
        if self.state().tracks.is_empty() && self.data.is_empty() {
            obj.unset_element_flags(gst::ElementFlags::SINK);
        } else {
            obj.set_element_flags(gst::ElementFlags::SINK);
        }
    }
}

impl Life for RtcPeer {
    fn prepare(&self) -> Result<(), gst::ErrorMessage> {
        let plan = self.plan()?;
        self.data
            .check(true)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ("{e}")))?;
        opening::check(&plan.uri, plan.options)?;
        // Probing encoders takes a moment: done before anybody calls.
        runtime::prepare(move || {
            for codec in plan.sends {
                encoders::can_encode(codec);
            }
            driver::warm_up();
        });
        Ok(())
    }

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let plan = self.plan()?;
        let element = self.obj().clone().upcast::<gst::Element>();
        let Opening {
            signaller,
            announcer,
            app,
        } = opening::open(&element, "Call", &plan.uri, plan.options)?;
        let bin = self.obj().clone().upcast::<gst::Bin>();
        let outlets = opening::outlets(&bin, SOURCES, plan.latency, &announcer);
        let known = self.state().tracks.known();
        let (pads, channels) = self.start_data();
        let config = HostConfig {
            tracks: known.clone(),
            pads,
            element: bin.downgrade(),
            signaller,
            house: self.house.subscribe(),
            codecs: plan.sends,
            limits: plan.limits,
            // There is one far side.
            max_peers: 1,
            give_up: plan.give_up,
            reception: Some(Reception {
                codecs: plan.receives,
                outlets: outlets.clone(),
                latency: plan.latency,
                channels: channels.clone(),
            }),
            call: true,
            network: plan.network,
            announcer,
            on_encoder: opening::tell_of_encoders(&element),
            on_connection: opening::tell_of_connections(&element),
        };
        let host = opening::start(config)?;
        let mut state = self.state();
        state.tracks.tell_late(&host, &known);
        state.host = Some(host);
        state.outlets = Some(outlets);
        state.channels = channels;
        state.app = Some(app);
        Ok(())
    }

    /// PAUSED → READY: ends the session, then the source pads.
    fn stop(&self) {
        self.data.flush();
        let mut state = self.state();
        let (host, outlets) = (state.host.take(), state.outlets.take());
        state.app = None;
        drop(state);
        if let Some(host) = host {
            runtime::wait_for(host.stop());
        }
        if let Some(outlets) = outlets {
            outlets.remove_all();
        }
        self.stop_data();
        self.house.clear();
    }

    fn house(&self) -> &HouseClock {
        &self.house
    }

    fn is_live(&self) -> bool {
        true
    }
}

#[glib::object_subclass]
impl ObjectSubclass for RtcPeer {
    const NAME: &'static str = "SigmundRtcPeer";
    type Type = super::RtcPeer;
    type ParentType = gst::Bin;
    // A bin has it already, with its elements as children; ours are the pads.
    type Interfaces = (gst::ChildProxy,);
}

impl ObjectImpl for RtcPeer {
    fn properties() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            specs(
                settings::properties(),
                "Where a browser can call, once the element is at least PAUSED",
                "The session, a sub-structure for the far side (bitrates in bit/s, loss 0 \
                 to 1, round trip in ms), as of the last second",
            )
        });
        &SPECS
    }

    fn set_property(&self, id: usize, value: &glib::Value, _spec: &glib::ParamSpec) {
        if let Some(property) = settings::properties().get(id - 1) {
            property.set(&mut self.settings(), value);
        }
    }

    fn property(&self, id: usize, spec: &glib::ParamSpec) -> glib::Value {
        let get = |property: &Property<Settings>| property.get(&self.settings());
        read(settings::properties(), id, spec, get, || self.snapshot())
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(|| {
            let mut all = common_signals(|peer, json| {
                let peer = peer.get::<super::RtcPeer>().ok()?;
                Some(peer.imp().feed(json))
            });
            all.push(encoder_setup());
            all.extend(data_signals(|peer| {
                let peer = peer.get::<super::RtcPeer>().ok()?;
                Some(peer.imp().data_tracks())
            }));
            all
        });
        &SIGNALS
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        static NAMES: Names = Names::new("rtcpeer");
        NAMES.give(obj.upcast_ref());
        obj.set_element_flags(gst::ElementFlags::SOURCE);
        // Children set and clear them as they come and go.
        obj.set_suppressed_flags(gst::ElementFlags::SINK | gst::ElementFlags::SOURCE);
    }
}

impl GstObjectImpl for RtcPeer {}

impl ElementImpl for RtcPeer {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "WebRTC caller",
                "Source/Sink/Network/WebRTC",
                "Talks with one far side, a browser or another rtcpeer: sends and receives audio \
                 and video over one WebRTC connection",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            use gst::PadDirection::{Sink, Src};
            use gst::PadPresence::{Request, Sometimes};
            let (ours, theirs) = (RtcSinkPad::static_type(), gst::Pad::static_type());
            let all = [
                ("video_%u", Sink, Request, SENT_VIDEO, ours),
                ("audio_%u", Sink, Request, SENT_AUDIO, ours),
                ("video_src_%u", Src, Sometimes, HEARD_VIDEO, theirs),
                ("audio_src_%u", Src, Sometimes, HEARD_AUDIO, theirs),
                // A link takes the first that fits: data is for what fits nothing else.
                ("data_%u", Sink, Request, "ANY", DataPad::static_type()),
                (DATA_SOURCES, Src, Sometimes, HEARD_DATA, theirs),
            ];
            all.into_iter()
                .filter_map(|(name, direction, presence, caps, kind)| {
                    let caps = caps.parse::<gst::Caps>().ok()?;
                    gst::PadTemplate::with_gtype(name, direction, presence, &caps, kind).ok()
                })
                .collect()
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let named = name.is_some();
        let name = name.map_or_else(|| self.pad_name(template), str::to_owned);
        if template.name_template().starts_with("data") {
            return self.request_data_pad(template, &name, named);
        }
        let obj = self.obj();
        let house = self.house.subscribe();
        // Live: nothing waits for a first picture.
        let (pad, track) = add_track(obj.upcast_ref(), template, &name, house, false)?;
        let mut state = self.state();
        let State { tracks, host, .. } = &mut *state;
        tracks.add(&pad, track, host.as_ref());
        drop(state);
        self.update_flags();
        obj.child_added(&pad, &name);
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        if self.release_data_pad(pad) {
            return;
        }
        let mut state = self.state();
        let State { tracks, host, .. } = &mut *state;
        let removed = tracks.remove(pad, host.as_ref());
        drop(state);
        let Some((ghost, track)) = removed else {
            return;
        };
        self.update_flags();
        let obj = self.obj();
        obj.child_removed(&ghost, &ghost.name());
        drop_pad(obj.upcast_ref(), ghost.upcast_ref(), track.element());
    }

    /// EOS from the application: it is pushed out of our source pads, in the
    /// element's own time; what is downstream may be busy.
    fn send_event(&self, event: gst::Event) -> bool {
        if event.type_() != gst::EventType::Eos {
            return self.parent_send_event(event);
        }
        let (outlets, channels) = {
            let state = self.state();
            (state.outlets.clone(), state.channels.clone())
        };
        send_eos(outlets, channels)
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        change_state(self, *CAT, transition)
    }
}

impl BinImpl for RtcPeer {
    fn handle_message(&self, message: gst::Message) {
        if goes_out(&message) {
            self.parent_handle_message(message);
        }
    }
}

impl RtcPeer {
    /// The pads with properties of their own.
    fn pads(&self) -> Vec<gst::GhostPad> {
        let state = self.state();
        state.tracks.pads().chain(self.data.pads()).collect()
    }
}

impl ChildProxyImpl for RtcPeer {
    fn children_count(&self) -> u32 {
        self.pads().len() as u32
    }

    fn child_by_name(&self, name: &str) -> Option<glib::Object> {
        child_by_name(self.pads(), name)
    }

    fn child_by_index(&self, index: u32) -> Option<glib::Object> {
        child_by_index(self.pads(), index)
    }
}
