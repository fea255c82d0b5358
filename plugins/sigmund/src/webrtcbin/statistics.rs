//! What the network and the far side report: RTCP and transport-wide feedback.
//!
//! Read from rtpbin's session 0 (all media are bundled); cheaper than
//! webrtcbin's `get-stats`, which runs on the thread that negotiates.

use std::time::Duration;

use gst::prelude::*;
use sigmund::ladder::Report;

/// All that is known of the path to one peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NetworkReport {
    /// Our senders.
    pub(crate) senders: Vec<SenderReport>,
    /// The part of packets lost lately, 0 to 1.
    pub(crate) loss: Option<f64>,
    /// Round-trip time from receiver reports (RFC 3550 section 6.4.1).
    pub(crate) round_trip: Option<Duration>,
    /// What reached the far side, in bit/s (transport-wide feedback).
    pub(crate) received: Option<u32>,
    /// What the far side says it can take, in bit/s (REMB), where it says so.
    pub(crate) remb: Option<u32>,
}

impl NetworkReport {
    /// What the bitrate is decided from.
    pub(crate) fn to_report(&self) -> Report {
        Report {
            loss: self.loss.unwrap_or(0.0),
            received: self.received,
            remb: self.remb,
        }
    }
}

/// One of our RTP streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SenderReport {
    pub(crate) ssrc: u32,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Bit/s, as sent.
    pub(crate) bitrate: u64,
    pub(crate) nacks: u32,
    pub(crate) plis: u32,
    pub(crate) firs: u32,
}

impl SenderReport {
    /// Adds up what the two have counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.nacks += other.nacks;
        self.plis += other.plis;
        self.firs += other.firs;
    }
}

/// Reads them. Takes rtpbin's locks: belongs on the pool.
pub(super) fn read(webrtcbin: &gst::Element) -> NetworkReport {
    let mut report = NetworkReport::default();
    let Some(rtpbin) = rtpbin(webrtcbin) else {
        return report;
    };
    let internal = rtpbin.emit_by_name::<Option<glib::Object>>("get-internal-session", &[&0u32]);
    if let Some(session) = internal {
        read_sources(&session, &mut report);
    }
    if let Some(session) = session(webrtcbin) {
        read_transport_wide(&session, &mut report);
    }
    report
}

/// The rtpbin inside.
pub(super) fn rtpbin(webrtcbin: &gst::Element) -> Option<gst::Element> {
    webrtcbin.downcast_ref::<gst::Bin>()?.by_name("rtpbin")
}

/// The rtpsession element of the one transport.
pub(super) fn session(webrtcbin: &gst::Element) -> Option<gst::Element> {
    rtpbin(webrtcbin)?.emit_by_name("get-session", &[&0u32])
}

fn read_sources(session: &glib::Object, report: &mut NetworkReport) {
    let Some(stats) = session.property::<Option<gst::Structure>>("stats") else {
        return;
    };
    let Ok(sources) = stats.get::<glib::ValueArray>("source-stats") else {
        return;
    };
    for source in sources
        .iter()
        .filter_map(|v| v.get::<gst::Structure>().ok())
    {
        if source.get("internal").unwrap_or(false) {
            report.senders.extend(sender(&source));
        } else if source.get("have-rb").unwrap_or(false) {
            let lost = source.get::<u32>("rb-fractionlost").unwrap_or(0);
            let loss = f64::from(lost) / 256.0;
            report.loss = Some(report.loss.unwrap_or(0.0).max(loss));
            // 16.16 fixed point seconds.
            let trip = source.get::<u32>("rb-round-trip").unwrap_or(0);
            let trip = Duration::from_secs_f64(f64::from(trip) / 65536.0);
            report.round_trip = report.round_trip.max((!trip.is_zero()).then_some(trip));
        }
    }
}

fn sender(source: &gst::Structure) -> Option<SenderReport> {
    let packets = source.get::<u64>("packets-sent").ok()?;
    (packets > 0).then(|| SenderReport {
        ssrc: source.get("ssrc").unwrap_or(0),
        packets,
        bytes: source.get("octets-sent").unwrap_or(0),
        bitrate: source.get("bitrate").unwrap_or(0),
        nacks: source.get("recv-nack-count").unwrap_or(0),
        plis: source.get("recv-pli-count").unwrap_or(0),
        firs: source.get("recv-fir-count").unwrap_or(0),
    })
}

/// Null until the first feedback; it covers the last second or so.
fn read_transport_wide(session: &gst::Element, report: &mut NetworkReport) {
    let Some(stats) = session.property::<Option<gst::Structure>>("twcc-stats") else {
        return;
    };
    report.received = stats.get::<u32>("bitrate-recv").ok();
    if let Ok(percent) = stats.get::<f64>("packet-loss-pct") {
        report.loss = Some(percent / 100.0);
    }
}
