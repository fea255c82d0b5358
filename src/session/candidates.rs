//! Candidates of both sides: ours until they may leave, theirs until ICE can
//! take them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::Config;
use super::relays::is_relay;
use crate::sdp::{CandidateLine, check_candidate, seen_from_outside};

/// Our candidates, and when the description that waits for them leaves.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// Not sent yet.
    pub(super) waiting: Vec<String>,
    pub(super) complete: bool,
    /// When the last one came.
    last: Option<Instant>,
    /// When the local description was set.
    begun: Option<Instant>,
    /// Has there been any?
    seen: bool,
}

impl Local {
    /// Takes a candidate, unless it comes after the end (RFC 8838 section 13).
    pub(super) fn add(&mut self, now: Instant, line: String, external: &[IpAddr]) {
        if self.complete {
            return;
        }
        self.seen = true;
        let outside = external
            .iter()
            .filter_map(|it| seen_from_outside(&line, *it));
        let outside: Vec<_> = outside.collect();
        self.waiting.push(line);
        self.waiting.extend(outside);
        self.last = Some(now);
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    /// When it is clear that there is no local address to be had, if none comes
    /// before.
    pub(super) fn hopeless(&self, config: &Config) -> Option<Instant> {
        let waits = !self.seen && !config.relay_only;
        let at = self.begun?.checked_add(config.no_candidate);
        at.filter(|_| waits)
    }

    /// When the wait is over, as far as is known now; `None`: never, or not
    /// begun. With STUN or TURN the network decides when the last one comes,
    /// so a pause means nothing.
    pub(super) fn due(&self, config: &Config) -> Option<Instant> {
        let begun = self.begun?;
        if config.relay_only && self.waiting.is_empty() {
            // The owner asks the TURN servers what is wrong, and says it.
            return None;
        }
        if self.complete {
            return Some(begun);
        }
        let after = |from: Instant, wait: Duration| from.checked_add(wait);
        let bound = after(begun, config.gather_bound);
        let settled = self
            .last
            .filter(|_| !config.ice_servers)
            .and_then(|last| after(last, config.gather_settle));
        bound.into_iter().chain(settled).min()
    }
}

/// What became of the far side's candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CandidateCounts {
    /// Handed to ICE, or waiting for the remote description.
    pub taken: usize,
    /// Of a kind that is not used: mDNS names, TCP, the RTCP component.
    pub skipped: usize,
    /// No candidates at all, or beyond [`Config::max_candidates`].
    pub ignored: usize,
}

/// The far side's candidates.
#[derive(Debug, Default)]
pub(super) struct Remote {
    pub(super) counts: CandidateCounts,
    /// How many of those taken are relayed.
    relayed: usize,
    /// Came before the remote description was set.
    pub(super) early: Vec<String>,
}

impl Remote {
    /// Checks a candidate; answers it in the form that ICE takes.
    pub(super) fn check(&mut self, line: &str, tcp: bool, most: usize) -> Option<String> {
        let checked = match check_candidate(line) {
            Ok(CandidateLine::Tcp(line)) if tcp => Ok(CandidateLine::Usable(line)),
            checked => checked,
        };
        match checked {
            Ok(CandidateLine::Usable(line)) if self.counts.taken < most => {
                self.counts.taken += 1;
                self.relayed += usize::from(is_relay(&line));
                return Some(line);
            }
            // Never forwarded: webrtcbin needs no end, and text would confuse it.
            Ok(CandidateLine::End) => (),
            Ok(CandidateLine::Mdns | CandidateLine::Tcp(_) | CandidateLine::OtherTransport) => {
                self.counts.skipped += 1;
            }
            Ok(CandidateLine::Usable(_)) | Err(_) => self.counts.ignored += 1,
        }
        None
    }

    /// Has it sent relayed candidates only? Those that we skip may lead to a
    /// direct path all the same (RFC 8445 section 7.3.1.3).
    pub(super) fn is_relay_only(&self) -> bool {
        self.relayed > 0 && self.relayed == self.counts.taken && self.counts.skipped == 0
    }
}
