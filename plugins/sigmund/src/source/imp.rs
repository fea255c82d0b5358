//! The virtual methods of `rtcsrc`.
//!
//! Locks: `settings`, then `state`; see the crate's documentation.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gst::subclass::prelude::*;
use sigmund::ladder::Limits;
use sigmund::signaller::app::AppHandle;

use super::settings::{self, Plan, Settings};
use crate::data::{DataPads, IncomingChannels, data_signals};
use crate::driver::{self, Host, HostConfig, Reception, Snapshot};
use crate::element::{
    HEARD_AUDIO, HEARD_DATA, HEARD_VIDEO, HouseClock, Life, Names, Opening, Property, change_state,
    common_signals, goes_out, opening, read, send_eos, specs,
};
use crate::receive::Outlets;
use crate::runtime;

pub(crate) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "rtcsrc",
        gst::DebugColorFlags::empty(),
        Some("Sigmund: receives from a WebRTC publisher"),
    )
});

/// The data pads, by their template.
const DATA: &str = "data_%u";

#[derive(Debug, Default)]
pub struct RtcSrc {
    settings: Mutex<Settings>,
    state: Mutex<State>,
    house: HouseClock,
}

/// What streaming has made.
#[derive(Debug, Default)]
struct State {
    host: Option<Host>,
    outlets: Option<Arc<Outlets>>,
    channels: Option<Arc<IncomingChannels>>,
    /// The application's end of `app:`.
    app: Option<AppHandle>,
}

impl RtcSrc {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
}

impl Life for RtcSrc {
    fn prepare(&self) -> Result<(), gst::ErrorMessage> {
        let plan = self.plan()?;
        opening::check(&plan.uri, plan.options)?;
        runtime::prepare(driver::warm_up);
        Ok(())
    }

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let plan = self.plan()?;
        let element = self.obj().clone().upcast::<gst::Element>();
        let Opening {
            signaller,
            announcer,
            app,
        } = opening::open(&element, "Publish", &plan.uri, plan.options)?;
        let bin = self.obj().clone().upcast::<gst::Bin>();
        let outlets = opening::outlets(&bin, "", plan.latency, &announcer);
        let template = self.obj().pad_template(DATA);
        let template = template.filter(|_| plan.data_channels);
        let channels =
            template.map(|it| Arc::new(IncomingChannels::new(&element, it, DataPads::default())));
        if let Some(channels) = &channels {
            channels.agree(plan.agreed);
        }
        let config = HostConfig {
            tracks: Vec::new(),
            pads: Vec::new(),
            element: bin.downgrade(),
            signaller,
            house: self.house.subscribe(),
            codecs: Vec::new(),
            limits: Limits {
                min: 0,
                max: 0,
                start: 0,
            },
            call: false,
            // There is one publisher.
            max_peers: 1,
            give_up: plan.give_up,
            reception: Some(Reception {
                codecs: plan.codecs,
                outlets: outlets.clone(),
                channels: channels.clone(),
                latency: plan.latency,
            }),
            network: plan.network,
            announcer,
            // It encodes nothing.
            on_encoder: Arc::new(|_, _, _| ()),
            on_connection: opening::tell_of_connections(&element),
        };
        let host = opening::start(config)?;
        let mut state = self.state();
        state.host = Some(host);
        state.outlets = Some(outlets);
        state.channels = channels;
        state.app = Some(app);
        Ok(())
    }

    /// PAUSED → READY: ends the session, then the pads.
    fn stop(&self) {
        let mut state = self.state();
        let (host, outlets) = (state.host.take(), state.outlets.take());
        let channels = state.channels.take();
        state.app = None;
        drop(state);
        if let Some(host) = host {
            runtime::wait_for(host.stop());
        }
        if let Some(outlets) = outlets {
            outlets.remove_all();
        }
        if let Some(channels) = channels {
            channels.stop();
        }
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
impl ObjectSubclass for RtcSrc {
    const NAME: &'static str = "SigmundRtcSrc";
    type Type = super::RtcSrc;
    type ParentType = gst::Bin;
    type Interfaces = (gst::URIHandler,);
}

impl ObjectImpl for RtcSrc {
    fn properties() -> &'static [glib::ParamSpec] {
        static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            specs(
                settings::properties(),
                "Where to publish, once a listening element is at least PAUSED",
                "The session, a sub-structure for each peer (bitrates in bit/s, loss 0 \
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
            let mut all = common_signals(|source, json| {
                let source = source.get::<super::RtcSrc>().ok()?;
                Some(source.imp().feed(json))
            });
            all.extend(data_signals(|source| {
                let source = source.get::<super::RtcSrc>().ok()?;
                let channels = source.imp().state().channels.clone();
                Some(channels.map(|it| it.tracks()).unwrap_or_default())
            }));
            all
        });
        &SIGNALS
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        static NAMES: Names = Names::new("rtcsrc");
        NAMES.give(obj.upcast_ref());
        obj.set_element_flags(gst::ElementFlags::SOURCE);
        // Children set and clear them as they come and go.
        obj.set_suppressed_flags(gst::ElementFlags::SINK | gst::ElementFlags::SOURCE);
    }
}

impl GstObjectImpl for RtcSrc {}

impl ElementImpl for RtcSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "WebRTC receiver",
                "Source/Network/WebRTC",
                "Receives audio and video from a WebRTC publisher (WHEP, WHIP, browsers), raw, \
                 encoded or as RTP: as what is linked takes it",
                env!("CARGO_PKG_AUTHORS"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let data = (DATA, HEARD_DATA);
            [("video_%u", HEARD_VIDEO), ("audio_%u", HEARD_AUDIO), data]
                .into_iter()
                .filter_map(|(name, caps)| {
                    let caps = caps.parse::<gst::Caps>().ok()?;
                    gst::PadTemplate::new(
                        name,
                        gst::PadDirection::Src,
                        gst::PadPresence::Sometimes,
                        &caps,
                    )
                    .ok()
                })
                .collect()
        });
        &TEMPLATES
    }

    /// EOS from the application: it is pushed out of our pads, in the element's
    /// own time; what is downstream may be busy.
    fn send_event(&self, event: gst::Event) -> bool {
        if event.type_() != gst::EventType::Eos {
            return self.parent_send_event(event);
        }
        if self.obj().src_pads().is_empty() {
            // Whoever waits for the end behind a pad would wait for ever.
            gst::element_imp_error!(
                self,
                gst::ResourceError::NotFound,
                ("nothing has come from anybody before the end")
            );
            return false;
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

impl BinImpl for RtcSrc {
    fn handle_message(&self, message: gst::Message) {
        if goes_out(&message) {
            self.parent_handle_message(message);
        }
    }
}
