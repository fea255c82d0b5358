//! The virtual methods of `rtcsink`.
//!
//! Locks: `settings`, then `state`; see the crate's documentation.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gst::subclass::prelude::*;
use sigmund::signaller::app::AppHandle;

use super::settings::{self, Plan, Settings};
use super::signals;
use crate::data::pads::SOURCES;
use crate::data::{DataPad, DataPads, DataTrack};
use crate::driver::{self, Host, HostConfig, Snapshot};
use crate::element::{
    HouseClock, Life, Names, Opening, Property, RtcSinkPad, SENT_AUDIO, SENT_VIDEO, Tracks,
    add_track, change_state, child_by_index, child_by_name, drop_pad, goes_out, opening, read,
    specs,
};
use crate::media::encoders;
use crate::runtime;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcsink",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: publishes to WebRTC viewers"),
    )
});

#[derive(Debug, Default)]
pub struct RtcSink {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    pub(super) data: DataPads,
    house: HouseClock,
}

/// What streaming has made.
#[derive(Debug, Default)]
pub(super) struct State {
    tracks: Tracks,
    /// The channel on which viewers say what they do at the picture.
    pub(super) navigation: Option<DataTrack>,
    /// Pads requested so far, for their names.
    requested: u32,
    pub(super) host: Option<Host>,
    /// The application's end of `app:`.
    app: Option<AppHandle>,
}

impl RtcSink {
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

    /// What the application was told by the far side (`app:`).
    pub(super) fn feed(&self, json: &str) -> bool {
        let app = self.state().app.clone();
        opening::feed(*CAT, self.obj().upcast_ref(), app, json)
    }

    /// Are viewers' pointers and keys asked for?
    pub(super) fn wants_navigation(&self) -> bool {
        self.settings().navigation
    }

    /// A name for a pad that is asked for.
    pub(super) fn pad_name(&self, template: &gst::PadTemplate, name: Option<&str>) -> String {
        let prefix = template.name_template().trim_end_matches("_%u");
        name.map_or_else(
            || {
                let mut state = self.state();
                state.requested += 1;
                format!("{prefix}_{}", state.requested - 1)
            },
            str::to_owned,
        )
    }

    /// A ghost pad and the element behind it are gone.
    pub(super) fn drop_pad(&self, ghost: &gst::GhostPad, element: &gst::Element) {
        let obj = self.obj();
        obj.child_removed(ghost, &ghost.name());
        drop_pad(obj.upcast_ref(), ghost, element);
    }

    fn plan(&self) -> Result<Plan, gst::ErrorMessage> {
        let name = self.obj().name();
        let settings = self.settings().clone();
        settings
            .plan(&name)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ("{e}")))
    }

    fn check_data(&self, plan: &Plan) -> Result<(), gst::ErrorMessage> {
        self.data
            .check(plan.max_peers == 1)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ("{e}")))
    }
}

impl Life for RtcSink {
    fn prepare(&self) -> Result<(), gst::ErrorMessage> {
        let plan = self.plan()?;
        self.check_data(&plan)?;
        opening::check(&plan.uri, plan.options)?;
        // Probing encoders takes a moment: done before the first viewer comes.
        runtime::prepare(move || {
            for codec in plan.codecs {
                encoders::can_encode(codec);
            }
            driver::warm_up();
        });
        Ok(())
    }

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let plan = self.plan()?;
        self.check_data(&plan)?;
        let element = self.obj().clone().upcast::<gst::Element>();
        let Opening {
            signaller,
            announcer,
            app,
        } = opening::open(&element, "Watch", &plan.uri, plan.options)?;
        let known = self.state().tracks.known();
        let config = HostConfig {
            tracks: known.clone(),
            pads: self.start_data(),
            element: self.obj().clone().upcast::<gst::Bin>().downgrade(),
            signaller,
            house: self.house.subscribe(),
            codecs: plan.codecs,
            limits: plan.limits,
            max_peers: plan.max_peers,
            give_up: plan.give_up,
            reception: None,
            call: false,
            network: plan.network,
            announcer,
            on_encoder: opening::tell_of_encoders(&element),
            on_connection: opening::tell_of_connections(&element),
        };
        let host = opening::start(config)?;
        self.data.set_shared(plan.max_peers != 1);
        let mut state = self.state();
        state.tracks.tell_late(&host, &known);
        state.host = Some(host);
        state.app = Some(app);
        Ok(())
    }

    /// PAUSED → READY: ends all sessions and waits until they are gone.
    fn stop(&self) {
        self.data.flush();
        let mut state = self.state();
        let host = state.host.take();
        state.app = None;
        drop(state);
        if let Some(host) = host {
            runtime::wait_for(host.stop());
        }
        self.stop_data();
        self.house.clear();
    }

    fn house(&self) -> &HouseClock {
        &self.house
    }

    /// Sinks behind the source pads have nothing to wait for: what viewers send
    /// comes when they send it.
    fn is_live(&self) -> bool {
        !self.data.is_empty()
    }
}

#[glib::object_subclass]
impl ObjectSubclass for RtcSink {
    const NAME: &'static str = "SigmundRtcSink";
    type Type = super::RtcSink;
    type ParentType = gst::Bin;
    // A bin has it already, with its elements as children; ours are the pads.
    type Interfaces = (gst::ChildProxy,);
}

impl ObjectImpl for RtcSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            specs(
                settings::properties(),
                "Where to watch, once the element is at least PAUSED",
                "The sessions, a sub-structure each (bitrates in bit/s, loss 0 to 1, \
                 round trip in ms), as of the last second",
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
        signals::all()
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        static NAMES: Names = Names::new("rtcsink");
        NAMES.give(obj.upcast_ref());
        obj.set_element_flags(gst::ElementFlags::SINK);
        // Children set and clear it as they come and go.
        obj.set_suppressed_flags(gst::ElementFlags::SOURCE);
    }
}

impl GstObjectImpl for RtcSink {}

impl ElementImpl for RtcSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "WebRTC publisher",
                "Sink/Network/WebRTC",
                "Publishes audio and video to any number of WebRTC viewers (browsers, WHEP), \
                 encoding once for all",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            use gst::PadDirection::{Sink, Src};
            use gst::PadPresence::{Request, Sometimes};
            let any = gst::Caps::new_any();
            let caps = |text: &str| text.parse::<gst::Caps>().unwrap_or_else(|_| any.clone());
            let (media, data) = (RtcSinkPad::static_type(), DataPad::static_type());
            // A link takes the first that fits: data is for what fits nothing else.
            let all = [
                ("video_%u", Sink, Request, caps(SENT_VIDEO), media),
                ("audio_%u", Sink, Request, caps(SENT_AUDIO), media),
                ("data_%u", Sink, Request, any.clone(), data),
                (
                    SOURCES,
                    Src,
                    Sometimes,
                    any.clone(),
                    gst::Pad::static_type(),
                ),
            ];
            all.into_iter()
                .filter_map(|(name, direction, presence, caps, kind)| {
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
        if template.name_template().starts_with("data") {
            return self.request_data_pad(template, name);
        }
        let name = self.pad_name(template, name);
        let obj = self.obj();
        let prerolls = obj.current_state() < gst::State::Playing;
        let house = self.house.subscribe();
        let (pad, track) = add_track(obj.upcast_ref(), template, &name, house, prerolls)?;
        let mut state = self.state();
        let State { tracks, host, .. } = &mut *state;
        tracks.add(&pad, track, host.as_ref());
        drop(state);
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
        self.drop_pad(ghost.upcast_ref(), track.element());
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        change_state(self, *CAT, transition)
    }
}

impl BinImpl for RtcSink {
    fn handle_message(&self, message: gst::Message) {
        if goes_out(&message) {
            self.parent_handle_message(message);
        }
    }
}

impl RtcSink {
    /// The pads with properties of their own.
    fn pads(&self) -> Vec<gst::GhostPad> {
        let state = self.state();
        state.tracks.pads().chain(self.data.pads()).collect()
    }
}

impl ChildProxyImpl for RtcSink {
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
