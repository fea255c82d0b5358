//! Identity before media: the far side's certificate is checked inside the
//! DTLS handshake, against what its description announced.
//!
//! webrtcbin up to 1.28.4 accepts any certificate, later ones still send to an
//! impostor. `notify::peer-pem` of `dtlssrtpdec` runs synchronously in the
//! handshake, before keys exist and before our next flight leaves. A mismatch
//! shuts both directions there and then; the owner tears the peer down later.
//!
//! In that callback the DTLS connection's mutex is held: nothing is read there
//! but the certificate, nothing set, nothing waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sigmund::sdp::Identity;
use sigmund::session::ConnectionEvent;

use super::association::Association;
use super::pulse::Pulse;
use super::{Report, certificate};

/// What the callbacks decide from: an immutable snapshot, and the doors.
pub(super) struct Guard {
    /// Set before the remote description is; nobody is let in without.
    identity: OnceLock<Identity>,
    /// The two pads that all packets pass: `dtlssrtpdec` in, `nicesink` out.
    doors: Mutex<Vec<gst::Pad>>,
    /// The sink pad of `dtlsenc`, where EOS makes DTLS say good-bye.
    farewell: Mutex<Option<gst::Pad>>,
    /// When the last packet came in, in ms since `created`.
    heard: AtomicU64,
    /// The longest time between two, in ms.
    pause: AtomicU64,
    association: Option<Association>,
    pulse: Pulse,
    created: Instant,
    report: Report,
}

/// Watches `webrtcbin` from its first element on.
pub(super) fn attach(
    webrtcbin: &gst::Element,
    identity: Option<Identity>,
    report: Report,
) -> Arc<Guard> {
    let guard = Arc::new(Guard {
        identity: identity.map(OnceLock::from).unwrap_or_default(),
        doors: Mutex::default(),
        farewell: Mutex::default(),
        heard: AtomicU64::new(0),
        pause: AtomicU64::new(0),
        association: Association::new(),
        pulse: Pulse::default(),
        created: Instant::now(),
        report,
    });
    let weak = Arc::downgrade(&guard);
    webrtcbin.connect("deep-element-added", false, move |args| {
        let element = args.get(2)?.get::<gst::Element>().ok()?;
        let guard = weak.upgrade()?;
        guard.element_added(&element);
        None
    });
    guard
}

impl Guard {
    /// Whose certificate is expected. The first one counts.
    pub(super) fn expect(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// May run under PC_LOCK: touches only the new element.
    fn element_added(self: &Arc<Self>, element: &gst::Element) {
        let factory = element.factory().map(|f| f.name());
        match factory.as_deref() {
            Some("dtlssrtpdec") => {
                certificate::give(element);
                self.watch_certificate(element);
            }
            Some("nicesink") => self.add_door(element),
            Some("dtlsenc") => {
                let pad = element.static_pad("sink");
                *self.farewell.lock().unwrap_or_else(PoisonError::into_inner) = pad;
            }
            // It would wait for the running time of each buffer plus the whole
            // latency of the host; the clock was met at our sink pad.
            Some("clocksync") => element.set_property("sync", false),
            Some(name @ ("sctpdec" | "sctpenc")) => {
                if name == "sctpenc" {
                    self.pulse.watch(element);
                }
                if let Some(association) = &self.association {
                    element.set_property("sctp-association-id", association.number());
                }
            }
            _ => (),
        }
    }

    fn watch_certificate(self: &Arc<Self>, dtlssrtpdec: &gst::Element) {
        self.add_door(dtlssrtpdec);
        let weak = Arc::downgrade(self);
        dtlssrtpdec.connect_notify(Some("peer-pem"), move |dtlssrtpdec, _| {
            let Some(pem) = dtlssrtpdec.property::<Option<String>>("peer-pem") else {
                return;
            };
            if let Some(guard) = weak.upgrade() {
                guard.check(&pem);
            }
        });
        let weak = Arc::downgrade(self);
        if let Some(pad) = dtlssrtpdec.static_pad("sink") {
            let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
            pad.add_probe(mask, move |_, _| {
                if let Some(guard) = weak.upgrade() {
                    let now = guard.created.elapsed().as_millis() as u64;
                    let before = guard.heard.swap(now, Ordering::Relaxed);
                    // The first one ends no pause.
                    if before > 0 {
                        let pause = now.saturating_sub(before);
                        guard.pause.fetch_max(pause, Ordering::Relaxed);
                    }
                }
                gst::PadProbeReturn::Ok
            });
        }
    }

    fn add_door(&self, element: &gst::Element) {
        if let Some(pad) = element.static_pad("sink") {
            let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
            doors.push(pad);
        }
    }

    fn check(&self, pem: &str) {
        let proven = self.identity.get().is_some_and(|identity| {
            CertificateDer::from_pem_slice(pem.as_bytes())
                .is_ok_and(|der: CertificateDer<'_>| identity.matches(der.as_ref()))
        });
        if proven {
            (self.report)(ConnectionEvent::IdentityProven);
        } else {
            self.shut();
            (self.report)(ConnectionEvent::IdentityMismatch);
        }
    }

    /// No packet passes any more, in or out.
    fn shut(&self) {
        for pad in self.doors() {
            let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
            // Not `Drop`: with that, 1.22 frees the buffer twice.
            pad.add_probe(mask, |_, _| gst::PadProbeReturn::Handled);
        }
    }

    /// Before the connection is stopped: lets nothing more in, and waits until
    /// what is in has been dealt with. A handshake that is stopped in the midst
    /// of a flight begins that flight again, and OpenSSL 3.5 frees it twice.
    pub(super) fn settle(&self) {
        self.shut();
        self.pulse.stop();
        let entrances = self.doors();
        for pad in entrances.iter().filter(|pad| is_entrance(pad)) {
            drop(pad.stream_lock());
        }
    }

    fn doors(&self) -> Vec<gst::Pad> {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.clone()
    }

    /// How long no packet has come in.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        now.saturating_duration_since(self.created + heard)
    }

    /// The longest time so far without a packet, between two that have come in.
    pub(super) fn longest_pause(&self) -> Duration {
        Duration::from_millis(self.pause.load(Ordering::Relaxed))
    }

    /// Does a far side that is there answer when it is asked?
    pub(super) fn answers(&self) -> bool {
        self.pulse.is_known()
    }

    /// Asks it for a sign of life.
    pub(super) fn ask(&self) {
        self.pulse.ask();
    }

    /// Makes DTLS send close_notify: webrtcbin itself leaves without a word.
    pub(super) fn say_goodbye(&self) {
        let pad = self
            .farewell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(pad) = pad {
            pad.send_event(gst::event::Eos::new());
        }
    }
}

/// Is it the pad of `dtlssrtpdec`, and not that of `nicesink`?
fn is_entrance(pad: &gst::Pad) -> bool {
    let element = pad.parent_element();
    let factory = element.and_then(|element| element.factory());
    factory.is_some_and(|factory| factory.name() == "dtlssrtpdec")
}
