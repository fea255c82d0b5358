//! One publisher and its viewers on public hosts, with a TURN server between:
//! where it is not the path that is asked about, but what is said and sent.

use std::time::Duration;

use crate::coturn::{Accounts, Coturn};
use crate::eventually;
use crate::internet::Internet;
use crate::network::Host;
use crate::publisher::{Event, Publisher};
use crate::whep;

/// A small moving picture.
const PICTURE: &str = "videotestsrc is-live=true pattern=ball ! \
     video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! tee name=t";

/// The hosts of a play.
#[derive(Debug)]
pub struct Stage {
    /// All of it.
    pub internet: Internet,
    /// coturn, on 203.0.113.10.
    pub turn: Coturn,
    /// Where the publisher runs: 203.0.113.11.
    pub publisher: Host,
    /// Where the viewers are: 203.0.113.12.
    pub viewer: Host,
}

impl Stage {
    /// A new one, where `accounts` may use the TURN server; `more` are lines of
    /// its configuration. `None` as in [`crate::Lab::new`].
    pub fn new(accounts: &Accounts, more: &str) -> Option<Self> {
        let mut internet = Internet::new()?;
        let turn = internet.public("turn");
        let (publisher, viewer) = (internet.public("publisher"), internet.public("viewer"));
        Some(Self {
            turn: Coturn::start(&turn, accounts, more),
            internet,
            publisher,
            viewer,
        })
    }

    /// One process with a stream for each of these: its name, and the
    /// properties of its `rtcsink`.
    pub fn publish(&self, streams: &[(&str, &str)]) -> Publisher {
        let sinks = streams.iter().map(|(name, properties)| {
            format!(
                " t. ! queue ! rtcsink name={name} uri=listen://0.0.0.0:8080/{name} \
                 allow-anonymous=true {properties}"
            )
        });
        let pipeline = PICTURE.to_owned() + &sinks.collect::<String>();
        let log = [("GST_DEBUG", "rtcsession:4")];
        let publisher = Publisher::start_with(&self.publisher, &pipeline, &log);
        publisher.address();
        eventually(Duration::from_secs(15), "all streams are there", || {
            let told =
                |it: &Event| matches!(it, Event::Message { name, .. } if name == "sigmund-address");
            let count = publisher.events().iter().filter(|it| told(it)).count();
            (count >= streams.len()).then_some(())
        });
        publisher
    }

    /// Where WHEP viewers find a stream.
    pub fn whep(&self, stream: &str) -> String {
        let page = format!("http://{}:8080/", self.publisher.address());
        whep::endpoint(&page, stream)
    }

    /// The sockets through which the publisher may send to the viewer are
    /// counted from now on, and those to the TURN server.
    pub fn count(&self) {
        let (viewer, turn) = (self.viewer.address(), self.turn.host().address());
        let rules = format!(
            "table ip watch {{\n \
             set sent {{ type ipv4_addr . inet_proto . inet_service; flags dynamic; counter; size 4096; }}\n \
             chain leaving {{ type filter hook output priority 10\n \
             ip daddr {viewer} meta l4proto udp counter name \"direct\"\n \
             ip daddr {turn} meta l4proto {{ tcp, udp }} update @sent {{ ip daddr . meta l4proto . th dport }}\n }}\n \
             counter direct {{ }}\n }}"
        );
        self.publisher.output("nft", &[&rules]);
    }

    /// UDP packets that the publisher has sent to the viewer's host by itself.
    pub fn direct(&self) -> u64 {
        let counted = self
            .publisher
            .output("nft", &["list", "counter", "ip", "watch", "direct"]);
        let packets = counted.split_once("packets ").map_or("", |it| it.1);
        let digits = packets.split_whitespace().next().unwrap_or_default();
        digits.parse().expect("nft counts packets")
    }

    /// What the publisher has sent to the TURN server, in bytes, by transport
    /// (`udp`, `tcp`) and port.
    pub fn to_turn(&self, transport: &str, port: u16) -> u64 {
        let listed = self
            .publisher
            .output("nft", &["-n", "list", "set", "ip", "watch", "sent"]);
        let number = if transport == "tcp" { "6" } else { "17" };
        let keys = [transport, number].map(|it| format!(". {it} . {port} counter"));
        let found = keys.iter().find_map(|key| listed.split_once(key.as_str()));
        let bytes = found.and_then(|(_, rest)| rest.split_once("bytes "));
        let digits = bytes.and_then(|(_, rest)| rest.split([' ', ',']).next());
        digits.and_then(|it| it.trim().parse().ok()).unwrap_or(0)
    }

    /// Waits for a warning of an element that has all these words.
    #[track_caller]
    pub fn warning(publisher: &Publisher, element: &str, words: &[&str]) -> String {
        let what = format!("a warning of {element} with {words:?}");
        eventually(Duration::from_secs(15), &what, || {
            publisher
                .events()
                .into_iter()
                .find_map(|event| match event {
                    Event::Warning { source, text } if source == element => {
                        words.iter().all(|it| text.contains(it)).then_some(text)
                    }
                    _ => None,
                })
        })
    }
}
