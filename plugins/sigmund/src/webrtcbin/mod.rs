//! The only folder that knows webrtcbin: a typed, asynchronous handle on it.
//!
//! Its callbacks run on webrtcbin's threads, several of them under its own
//! lock (PC_LOCK): they only hand an event to the owner, or decide from an
//! immutable snapshot (the [`guard`]). Quirks are named where they are met,
//! each with the GStreamer version that has it.

mod agent;
mod association;
mod certificate;
mod channel;
mod guard;
mod interfaces;
mod promise;
mod pulse;
mod receiver;
mod remb;
mod sender;
mod statistics;
mod text;
mod watch;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_webrtc::{
    WebRTCDTLSTransport, WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection, WebRTCSDPType,
};
use sigmund::access::TurnSecret;
use sigmund::address::{IceScheme, IceServer};
use sigmund::sdp::{Codec, Identity, MediaPlan};
use sigmund::session::ConnectionEvent;
use sigmund::signaller::are_ours;

use crate::data::Lane;
use crate::isolate::{HouseTime, IsolatedBin};
use crate::media::Feeder;
use crate::receive::{Inlet, Outlet};
use guard::Guard;

pub(crate) use agent::takes_late_relays;
pub(crate) use channel::{Accept, Arrivals, Channel, ChannelState};
pub(crate) use interfaces::{absent, has_ipv4};
pub(crate) use receiver::{IncomingStream, OnStream, Receiving, discard};
pub(crate) use statistics::{NetworkReport, SenderReport};

/// Tells the owner what happened. Never blocks; called from any thread.
pub(crate) type Report = Arc<dyn Fn(ConnectionEvent) + Send + Sync>;

/// What a connection is told about the network; from the element's properties.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    /// STUN and TURN servers.
    pub(crate) ice_servers: Vec<IceServer>,
    /// Use relayed candidates only.
    pub(crate) relay_only: bool,
    /// Makes credentials for TURN servers that have none.
    pub(crate) turn_secret: Option<TurnSecret>,
    /// Ports to use, `None` for any.
    pub(crate) port_range: Option<(u16, u16)>,
    /// Names or addresses of the interfaces to use; empty for all.
    pub(crate) interfaces: Vec<String>,
    /// Addresses that routers pass on to us.
    pub(crate) external: Vec<IpAddr>,
    /// Are candidates over TCP gathered, too?
    pub(crate) tcp: bool,
    /// Do candidates travel one by one, where signalling can?
    pub(crate) trickle: bool,
    /// Do TURN servers wait for [`PeerConnection::add_relays`]?
    pub(crate) late_relays: bool,
    /// A certificate authority that `turns:` servers may have, besides the
    /// system's: a PEM file.
    pub(crate) tls_ca: Option<PathBuf>,
}

/// One webrtcbin with its senders, in a bin of its own inside the element.
///
/// All methods that are not `async` may block: they belong on the pool.
pub(crate) struct PeerConnection {
    bin: IsolatedBin,
    webrtcbin: gst::Element,
    guard: Arc<Guard>,
    transceivers: Vec<WebRTCRTPTransceiver>,
    remb: remb::Remb,
    /// Has TURN servers, which want to be told when it ends.
    relays: Vec<IceServer>,
    /// This machine's, when it began.
    addresses: Vec<IpAddr>,
}

impl PeerConnection {
    /// Builds one and starts it in `host`. Nothing is negotiated yet.
    pub(crate) fn build(
        name: &str,
        host: &gst::Bin,
        time: &HouseTime,
        network: &Network,
        identity: Option<Identity>,
        receiving: Option<&Receiving>,
        report: &Report,
    ) -> Result<Self, String> {
        let failed = report.clone();
        let bin = IsolatedBin::new(
            name,
            Arc::new(move |text: String| {
                // An aborted SCTP association is a peer that has left: a browser
                // does that when its page closes.
                failed(match text.starts_with("sctp") {
                    true => ConnectionEvent::DtlsClosed,
                    false => ConnectionEvent::Failed(text),
                });
            }),
        );
        let webrtcbin = gst::ElementFactory::make("webrtcbin")
            .name(format!("{name}-webrtcbin"))
            .property_from_str("bundle-policy", "max-bundle")
            .build()
            .map_err(
                |_| "webrtcbin is missing; install gstreamer1.0-plugins-bad and gstreamer1.0-nice",
            )?;
        let guard = guard::attach(&webrtcbin, identity, report.clone());
        let addresses = interfaces::configure(&webrtcbin, network)?;
        interfaces::limit_streams(&webrtcbin);
        watch::attach(&webrtcbin, report);
        if let Some(receiving) = receiving {
            receiver::attach(&webrtcbin, receiving);
        }
        bin.add(&webrtcbin).map_err(|e| e.to_string())?;
        let mut connection = Self {
            bin,
            webrtcbin,
            guard,
            transceivers: Vec::new(),
            relays: Vec::new(),
            addresses,
            remb: remb::Remb::default(),
        };
        if let Err(error) = connection.start(host, time, network) {
            connection.stop(host);
            return Err(error);
        }
        Ok(connection)
    }

    fn start(
        &mut self,
        host: &gst::Bin,
        time: &HouseTime,
        network: &Network,
    ) -> Result<(), String> {
        self.bin.start_in(host, time)?;
        interfaces::hide_host_name(&self.webrtcbin);
        let servers = network.ice_servers.iter();
        self.relays = servers
            .filter(|s| s.scheme != IceScheme::Stun)
            .cloned()
            .collect();
        if network.late_relays {
            return Ok(());
        }
        for server in &self.relays {
            let uri = server.to_gstreamer_uri();
            if !self
                .webrtcbin
                .emit_by_name::<bool>("add-turn-server", &[&uri])
            {
                return Err(format!(
                    "webrtcbin does not take the TURN server {server:?}"
                ));
            }
        }
        Ok(())
    }

    /// Lets TURN servers that were kept back join the race.
    pub(crate) fn add_relays(&self, servers: &[IceServer]) {
        if let Some(agent) = agent::Agent::of(&self.webrtcbin) {
            for server in servers {
                if !agent.add_relay(server) {
                    gst::warning!(gst::CAT_DEFAULT, "libnice does not take {server:?}");
                }
            }
        }
    }

    /// The webrtcbin itself, for `webrtcbin-ready`.
    pub(crate) fn element(&self) -> &gst::Element {
        &self.webrtcbin
    }

    /// Adds a sender for m-line `index` of the narrowed offer, or of our own.
    pub(crate) fn add_sender(
        &mut self,
        index: usize,
        plan: &MediaPlan,
        offering: bool,
    ) -> Result<Feeder, String> {
        let (transceiver, feeder) = sender::add(&self.bin, &self.webrtcbin, index, plan, offering)?;
        self.transceivers.push(transceiver);
        Ok(feeder)
    }

    /// Data channels of the far side are taken; to be said before anything is
    /// negotiated. Without, webrtcbin keeps them and nobody hears them.
    pub(crate) fn accept_channels(&self, arrivals: &Arc<Arrivals>) {
        arrivals.attach(&self.webrtcbin);
    }

    /// Opens a data channel. One that is agreed on (`negotiated`) must be there
    /// before anything is negotiated: 1.22 takes no id afterwards.
    pub(crate) fn open_channel(
        &self,
        label: &str,
        settings: &sigmund::data::Channel,
        lane: Arc<Lane>,
    ) -> Result<Channel, String> {
        Channel::open(&self.webrtcbin, label, settings, lane)
    }

    /// Adds what m-line `index` of a call takes, in the middle of it.
    pub(crate) fn add_line(
        &self,
        index: usize,
        plan: &MediaPlan,
        offering: bool,
    ) -> Result<Feeder, String> {
        sender::add(&self.bin, &self.webrtcbin, index, plan, offering).map(|(_, feeder)| feeder)
    }

    /// Adds a receiver for the next m-line, in each of the codecs of `plans`.
    pub(crate) fn add_receiver(
        &mut self,
        plans: &[MediaPlan],
        offering: bool,
    ) -> Result<(), String> {
        let transceiver = receiver::add(&self.webrtcbin, plans, offering)?;
        self.transceivers.push(transceiver);
        Ok(())
    }

    /// Leads a stream to an outlet.
    pub(crate) fn receive(
        &self,
        stream: IncomingStream,
        codec: Codec,
        outlet: Outlet,
        time: HouseTime,
    ) -> Result<Inlet, String> {
        Inlet::open(&self.bin, stream, codec, outlet, time)
    }

    /// Makes an offer have an m-line for data channels, though we open none.
    pub(crate) fn hold_channels(&self) -> Result<Channel, String> {
        Channel::hold(&self.webrtcbin)
    }

    /// Whose certificate is expected; to be said before the remote description
    /// is set. Said twice, the first counts.
    pub(crate) fn expect_identity(&self, identity: Identity) {
        self.guard.expect(identity);
    }

    /// Follows the DTLS transport and RTCP; to be called between making and setting the
    /// local description, when the transport exists and is still idle.
    pub(crate) fn watch_transport(&self, report: &Report) {
        let transport = self.transceivers.first().and_then(|transceiver| {
            // Read through `property`: 1.22 hands the object out floating, and
            // a plain reference is the safe way to hold it.
            let sender = transceiver.property::<Option<glib::Object>>("sender")?;
            sender.property::<Option<WebRTCDTLSTransport>>("transport")
        });
        let transport = transport.or_else(|| {
            let webrtcbin = &self.webrtcbin;
            let sctp = webrtcbin.property::<Option<glib::Object>>("sctp-transport")?;
            sctp.property::<Option<WebRTCDTLSTransport>>("transport")
        });
        if let Some(transport) = transport {
            watch::follow_dtls(&transport, report);
        }
        if let Some(rtpbin) = statistics::rtpbin(&self.webrtcbin) {
            remb::follow(&rtpbin, &self.remb);
        }
    }

    /// Emits an action that replies through a promise, on the pool.
    fn description(offer: bool, sdp: &str) -> Result<gst_webrtc::WebRTCSessionDescription, String> {
        let message = gst_sdp::SDPMessage::parse_buffer(sdp.as_bytes())
            .map_err(|_| "the description cannot be parsed".to_string())?;
        let kind = if offer {
            WebRTCSDPType::Offer
        } else {
            WebRTCSDPType::Answer
        };
        Ok(gst_webrtc::WebRTCSessionDescription::new(kind, message))
    }

    /// Sets the remote description.
    pub(crate) fn set_remote(
        &self,
        offer: bool,
        sdp: &str,
    ) -> impl Future<Output = Result<(), String>> + use<> {
        let description = Self::description(offer, sdp);
        let webrtcbin = self.webrtcbin.clone();
        async move { promise::set(webrtcbin, "set-remote-description", description?).await }
    }

    /// Sets the local description.
    pub(crate) fn set_local(
        &self,
        offer: bool,
        sdp: &str,
    ) -> impl Future<Output = Result<(), String>> + use<> {
        let description = Self::description(offer, sdp);
        let webrtcbin = self.webrtcbin.clone();
        async move { promise::set(webrtcbin, "set-local-description", description?).await }
    }

    /// Makes an offer or an answer.
    pub(crate) fn create(
        &self,
        offer: bool,
    ) -> impl Future<Output = Result<String, String>> + use<> {
        let made = promise::create(self.webrtcbin.clone(), offer);
        async move { made.await.map(certificate::announce) }
    }

    /// Hands a checked remote candidate to ICE. All media are bundled, so it
    /// belongs to the first m-line; webrtcbin parks any other for ever.
    pub(crate) fn add_candidate(&self, candidate: &str) {
        self.webrtcbin
            .emit_by_name::<()>("add-ice-candidate", &[&0u32, &candidate]);
    }

    /// Media is about to flow. rtpsession wants to be told the latency of the
    /// pipeline, as `gst_bin_recalculate_latency` would in a pipeline of its
    /// own: without, it gives its sender reports no time, and browsers cannot
    /// keep sound and picture together. Ours is zero, frames leave when made.
    pub(crate) fn tell_latency(&self) {
        let session = statistics::session(&self.webrtcbin);
        if let Some(pad) = session.and_then(|session| session.static_pad("send_rtp_src")) {
            pad.send_event(gst::event::Latency::new(gst::ClockTime::ZERO));
        }
    }

    /// How long nothing has been heard from the far side.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        self.guard.silence(now)
    }

    /// The longest time without a packet so far, between two that have come in.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.guard.longest_pause()
    }

    /// Has this machine lost an address that it may have used?
    pub(crate) fn has_moved(&self) -> bool {
        !are_ours(&self.addresses)
    }

    /// Is there SCTP that answers when it is asked?
    pub(crate) fn answers(&self) -> bool {
        self.guard.answers()
    }

    /// Asks the far side's SCTP for a sign of life, which ends the silence.
    pub(crate) fn ask(&self) {
        self.guard.ask();
    }

    /// What the network and the far side report of our senders.
    pub(crate) fn statistics(&self) -> NetworkReport {
        let remb = self.remb.load(std::sync::atomic::Ordering::Relaxed);
        NetworkReport {
            remb: (remb > 0).then_some(remb),
            ..statistics::read(&self.webrtcbin)
        }
    }

    /// Says good-bye: DTLS close_notify goes out, so the far side need not
    /// wait for a time-out. The caller gives it a moment before [`stop`](Self::stop).
    pub(crate) fn say_goodbye(&self) {
        self.guard.say_goodbye();
    }

    /// Frees everything, in the order that does not hang on 1.22: webrtcbin
    /// first, whose sink pads may hold a parked push, then what feeds it.
    pub(crate) fn stop(&self, host: &gst::Bin) {
        self.guard.settle();
        self.webrtcbin.set_locked_state(true);
        let _ = self.webrtcbin.set_state(gst::State::Null);
        if !self.relays.is_empty()
            && let Some(agent) = agent::Agent::of(&self.webrtcbin)
        {
            agent.close();
        }
        self.bin.stop_in(host);
    }
}

/// Loads webrtcbin with all its plugins and makes the DTLS certificate that
/// the connections of the process share, so that the first viewer need not
/// wait for them (85 ms). Blocks.
pub(crate) fn warm_up() {
    let Ok(webrtcbin) = gst::ElementFactory::make("webrtcbin")
        .property_from_str("bundle-policy", "max-bundle")
        .build()
    else {
        return;
    };
    let caps = gst::Caps::builder("application/x-rtp")
        .field("media", "audio")
        .field("encoding-name", "OPUS")
        .field("clock-rate", 48_000i32)
        .field("payload", 111i32)
        .field("ssrc", 1u32)
        .build();
    if webrtcbin.set_state(gst::State::Ready).is_ok() {
        webrtcbin.emit_by_name::<Option<WebRTCRTPTransceiver>>(
            "add-transceiver",
            &[&WebRTCRTPTransceiverDirection::Sendonly, &caps],
        );
        // Making an offer makes the transport, and that the certificate.
        let promise = gst::Promise::new();
        webrtcbin.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
        promise.wait();
    }
    let _ = webrtcbin.set_state(gst::State::Null);
}
