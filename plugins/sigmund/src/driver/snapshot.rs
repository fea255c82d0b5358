//! What the element's properties show: where it can be watched, and the last
//! report of each session.

use std::collections::BTreeMap;
use std::time::Duration;

use sigmund::message::PeerId;
use sigmund::sdp::Codec;

use crate::webrtcbin::NetworkReport;

/// All sessions, as of their last report (once a second).
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Where to watch, when that is known.
    pub(crate) address: Option<String>,
    /// Sessions whose media flows.
    pub(crate) peers: BTreeMap<PeerId, PeerStats>,
}

/// One session.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerStats {
    /// How it speaks to us.
    pub(crate) protocol: String,
    /// What it receives.
    pub(crate) codecs: Vec<Codec>,
    /// From the first note to proven identity and keys.
    pub(crate) joined_in: Duration,
    /// How long it has been here.
    pub(crate) age: Duration,
    /// How many connections it has had; each that was lost was followed by another.
    pub(crate) connections: u32,
    /// What we think its path can carry, in bit/s.
    pub(crate) estimate: u32,
    /// What the network says.
    pub(crate) network: NetworkReport,
}

impl Snapshot {
    /// As the GstStructure `sigmund-stats`, a field a session.
    pub(crate) fn to_structure(&self) -> gst::Structure {
        let mut all =
            gst::Structure::builder("sigmund-stats").field("peers", self.peers.len() as u32);
        for (id, peer) in &self.peers {
            all = all.field(id.as_str(), peer.to_structure());
        }
        all.build()
    }
}

impl PeerStats {
    fn to_structure(&self) -> gst::Structure {
        let senders = &self.network.senders;
        let codecs = self.codecs.iter().map(|c| c.encoding_name());
        let mut peer = gst::Structure::builder("sigmund-peer-stats")
            .field("protocol", &self.protocol)
            .field("codecs", gst::Array::new(codecs))
            .field("joined-in-ms", self.joined_in.as_millis() as u64)
            .field("age-ms", self.age.as_millis() as u64)
            .field("connections", self.connections)
            .field("estimate", self.estimate)
            .field(
                "packets-sent",
                senders.iter().map(|s| s.packets).sum::<u64>(),
            )
            .field("bytes-sent", senders.iter().map(|s| s.bytes).sum::<u64>())
            .field("bitrate", senders.iter().map(|s| s.bitrate).sum::<u64>())
            .field("nack-count", senders.iter().map(|s| s.nacks).sum::<u32>())
            .field("pli-count", senders.iter().map(|s| s.plis).sum::<u32>())
            .field("fir-count", senders.iter().map(|s| s.firs).sum::<u32>());
        if let Some(loss) = self.network.loss {
            peer = peer.field("loss", loss);
        }
        if let Some(trip) = self.network.round_trip {
            peer = peer.field("round-trip-ms", trip.as_secs_f64() * 1e3);
        }
        if let Some(received) = self.network.received {
            peer = peer.field("bitrate-received", received);
        }
        peer.build()
    }
}
