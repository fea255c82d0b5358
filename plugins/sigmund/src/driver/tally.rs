//! What servers are told of sessions, for their metrics.

use std::collections::HashMap;

use sigmund::message::PeerId;
use sigmund::message::v1::Report;

use crate::webrtcbin::NetworkReport;

/// Every so many looks at the network, which come once a second, are told.
const EVERY: u32 = 5;

/// The sums of all sessions.
#[derive(Debug, Default)]
pub(super) struct Tallies(HashMap<PeerId, Tally>);

#[derive(Debug, Default)]
struct Tally {
    looks: u32,
    packets: u64,
    /// In parts of packets: what is known is the part that was lost lately.
    lost: f64,
}

impl Tallies {
    /// Takes one look at the network; answers what is to be told now and then.
    pub(super) fn add(&mut self, peer: &PeerId, network: &NetworkReport) -> Option<Report> {
        let tally = self.0.entry(peer.clone()).or_default();
        let packets = network.senders.iter().map(|it| it.packets).sum::<u64>();
        let new = packets.saturating_sub(tally.packets);
        tally.packets = tally.packets.max(packets);
        tally.lost += new as f64 * network.loss.unwrap_or(0.0).clamp(0.0, 1.0);
        tally.looks += 1;
        tally.looks.is_multiple_of(EVERY).then(|| Report {
            bytes_sent: network.senders.iter().map(|it| it.bytes).sum(),
            bytes_received: 0,
            packets_sent: tally.packets,
            packets_lost: tally.lost as u64,
            rtt: network.round_trip.map(|it| it.as_secs_f64()),
        })
    }

    /// A session is over.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::webrtcbin::SenderReport;

    #[test]
    fn it_is_told_now_and_then_and_sums_what_was_lost() {
        let mut tallies = Tallies::default();
        let peer = PeerId::new("v1-x");
        let mut told = Vec::new();
        for second in 1..=10 {
            let network = NetworkReport {
                senders: vec![SenderReport {
                    packets: 100 * second,
                    bytes: 1000 * second,
                    ..SenderReport::default()
                }],
                loss: Some(if second > 5 { 0.1 } else { 0.0 }),
                round_trip: Some(Duration::from_millis(20)),
                ..NetworkReport::default()
            };
            told.extend(tallies.add(&peer, &network));
        }
        let [first, second] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((first.packets_sent, first.packets_lost), (500, 0));
        assert_eq!((second.packets_sent, second.packets_lost), (1000, 50));
        assert_eq!((second.bytes_sent, second.rtt), (10_000, Some(0.02)));
        tallies.forget(&peer);
        assert!(tallies.0.is_empty());
    }
}
