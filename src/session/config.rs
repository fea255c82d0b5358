//! How a session behaves, and on which side it is.

use std::net::IpAddr;
use std::time::Duration;

use crate::sdp::{CallLines, Codec, TrackOffer};

/// Which side of the offer/answer exchange we are on, for life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// They offer: we answer with these tracks, and receive in these codecs.
    Answerer {
        /// What we can send.
        tracks: Vec<TrackOffer>,
        /// What we can receive, best first.
        receives: Vec<Codec>,
        /// Do we take data channels?
        data: bool,
    },
    /// We offer.
    Offerer,
}

/// How a session behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which side we are on.
    pub side: Side,
    /// Is it a call? Then other exchanges of descriptions may follow the first.
    pub call: bool,
    /// What we offer in a call.
    pub lines: Option<CallLines>,
    /// Do our candidates travel after the description, one by one?
    pub trickle_out: bool,
    /// How long to wait for further candidates after the last one when they
    /// must travel in the description and no ICE server is configured.
    pub gather_settle: Duration,
    /// How long to wait for candidates at most then, from the moment that the
    /// local description is set; with STUN and TURN, too.
    pub gather_bound: Duration,
    /// Is a STUN or TURN server configured?
    pub ice_servers: bool,
    /// How long direct paths are looked for alone, from when both descriptions
    /// are there; relayed candidates wait meanwhile. Only with `trickle_out`.
    /// Zero: not at all. A check that came before the far side's router was open
    /// is repeated after 500 ms (RFC 8445 section 14.3).
    pub head_start: Duration,
    /// Do our own relays wait for [`Action::AddRelays`](super::Action::AddRelays)?
    pub late_relays: bool,
    /// How long to wait for a first candidate of ours, from when the local
    /// description is set: a libnice that finds no free port says nothing at
    /// all, in any version.
    pub no_candidate: Duration,
    /// Are only relays used? They may come late, or not at all.
    pub relay_only: bool,
    /// Are candidates over TCP taken (RFC 6544)?
    pub tcp: bool,
    /// The addresses under which routers pass on to us what comes to them, port
    /// by port; they are announced besides our own.
    pub external: Vec<IpAddr>,
    /// From the beginning to `Connected`.
    pub negotiation_timeout: Duration,
    /// How many candidates are taken from the far side, besides those in its
    /// description.
    pub max_candidates: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            side: Side::Answerer {
                tracks: Vec::new(),
                receives: Vec::new(),
                data: false,
            },
            call: false,
            lines: None,
            trickle_out: false,
            gather_settle: Duration::from_millis(10),
            gather_bound: Duration::from_millis(500),
            ice_servers: false,
            head_start: Duration::from_millis(600),
            late_relays: false,
            no_candidate: Duration::from_secs(2),
            relay_only: false,
            tcp: false,
            external: Vec::new(),
            negotiation_timeout: Duration::from_secs(15),
            max_candidates: 128,
        }
    }
}
