//! What a server counts, as Prometheus reads it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::events::{Event, Media, Observer};
use super::hub::Hub;

/// The media type of [`Metrics::text`].
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the join times that are told apart, in seconds. Some tens of
/// milliseconds are usual; 20 s is when an unanswered offer is given up.
const JOIN_BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
];

/// Upper bounds of the round-trip times that are told apart, in seconds: a house,
/// a country, a continent, the world, and beyond.
const TRIP_BOUNDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0, 4.0];

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter<u64, AtomicU64>>;
type JoinTimes = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// The counters of one server.
pub(super) struct Metrics {
    registry: Registry,
    counters: Arc<Events>,
    streams: Gauge,
    sessions: Family<Labels<1>, Gauge>,
    viewers: Family<Labels<1>, Gauge>,
}

/// Those that follow events.
struct Events {
    connections: Gauge,
    connected: Counter,
    turned_away: Counters<1>,
    denied: Counters<1>,
    published: Counter,
    joins: Counters<1>,
    failures: Counters<2>,
    join_times: JoinTimes,
    bytes: Counters<1>,
    packets: Counter,
    lost: Counter,
    round_trips: Histogram,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let counters = Arc::new(Events {
            connections: Gauge::default(),
            connected: Counter::default(),
            turned_away: Family::default(),
            denied: Family::default(),
            published: Counter::default(),
            joins: Family::default(),
            failures: Family::default(),
            join_times: Family::new_with_constructor(|| Histogram::new(JOIN_BOUNDS)),
            bytes: Family::default(),
            packets: Counter::default(),
            lost: Counter::default(),
            round_trips: Histogram::new(TRIP_BOUNDS),
        });
        let mut new = Self {
            registry: Registry::with_prefix("sigmund"),
            counters,
            streams: Gauge::default(),
            sessions: Family::default(),
            viewers: Family::default(),
        };
        new.register();
        new
    }

    fn register(&mut self) {
        let (registry, counters) = (&mut self.registry, &self.counters);
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", version);
        registry.register("streams", "Streams that are here", self.streams.clone());
        let help = "Sessions of viewers, live or waiting for their answer";
        registry.register("sessions", help, self.sessions.clone());
        let help = "Live viewers of each stream";
        registry.register("stream_viewers", help, self.viewers.clone());
        let help = "Open connections";
        registry.register("connections", help, counters.connections.clone());
        let help = "Connections taken";
        registry.register("connections_opened", help, counters.connected.clone());
        let help = "Connections not taken, by cause";
        registry.register("connections_refused", help, counters.turned_away.clone());
        let help = "Requests refused for want of a right, by cause";
        registry.register("denied", help, counters.denied.clone());
        let help = "Streams that have come";
        registry.register("publications", help, counters.published.clone());
        let help = "Viewers whose session has its answer, by protocol";
        registry.register("joins", help, counters.joins.clone());
        let help = "Viewers whose session did not come about, by protocol and cause";
        registry.register("join_failures", help, counters.failures.clone());
        let help = "From a viewer's arrival until the answer has passed";
        let times = counters.join_times.clone();
        registry.register_with_unit("join", help, Unit::Seconds, times);
        let help = "Media between publishers and viewers, as publishers report it, by direction";
        let bytes = counters.bytes.clone();
        registry.register_with_unit("media", help, Unit::Bytes, bytes);
        let help = "RTP packets that publishers have sent to viewers";
        registry.register("media_packets", help, counters.packets.clone());
        let help = "Those of them that viewers have not got";
        registry.register("media_packets_lost", help, counters.lost.clone());
        let help = "Round-trip times between publishers and viewers, at each report";
        let trips = counters.round_trips.clone();
        registry.register_with_unit("media_rtt", help, Unit::Seconds, trips);
    }

    /// What a server must tell.
    pub(super) fn observer(&self) -> Observer {
        let counters = self.counters.clone();
        Observer::new(move |event| {
            log(event);
            counters.count(event);
        })
    }

    /// All of it, as text.
    pub(super) fn text(&self, hub: &Hub) -> String {
        let (mut live, all) = (0, hub.sessions());
        let mut list = hub.list();
        list.retain(|stream| stream.hosted && !stream.elsewhere);
        self.viewers.clear();
        for stream in &list {
            live += stream.peers;
            let labels = [("stream", stream.name.clone())];
            let viewers = self.viewers.get_or_create(&labels);
            viewers.set(whole(stream.peers));
        }
        self.streams.set(whole(list.len()));
        for (state, count) in [("live", live), ("waiting", all.saturating_sub(live))] {
            let labels = [("state", state.to_owned())];
            self.sessions.get_or_create(&labels).set(whole(count));
        }
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::warn!("the metrics cannot be written");
        }
        text
    }
}

impl Events {
    fn count(&self, event: &Event<'_>) {
        let one = |name, value: &str| [(name, value.to_owned())];
        match event {
            Event::Connected => {
                self.connections.inc();
                self.connected.inc();
            }
            Event::Disconnected => {
                self.connections.dec();
            }
            Event::TurnedAway { cause } => {
                self.turned_away.get_or_create(&one("cause", cause)).inc();
            }
            Event::Denied { cause } => {
                self.denied.get_or_create(&one("cause", cause)).inc();
            }
            Event::Published { .. } => {
                self.published.inc();
            }
            Event::Unpublished { .. } => {}
            Event::Media(media) => self.media(media),
            Event::Joined { protocol, took } => self.joined(protocol, *took),
            Event::NotJoined { protocol, cause } => {
                let labels = [
                    ("protocol", (*protocol).to_owned()),
                    ("cause", (*cause).to_owned()),
                ];
                self.failures.get_or_create(&labels).inc();
            }
        }
    }

    fn media(&self, media: &Media) {
        for (direction, bytes) in [("sent", media.sent), ("received", media.received)] {
            let labels = [("direction", direction.to_owned())];
            self.bytes.get_or_create(&labels).inc_by(bytes);
        }
        self.packets.inc_by(media.packets);
        self.lost.inc_by(media.lost);
        if let Some(rtt) = media.rtt {
            self.round_trips.observe(rtt);
        }
    }

    fn joined(&self, protocol: &str, took: Duration) {
        let labels = [("protocol", protocol.to_owned())];
        self.joins.get_or_create(&labels).inc();
        self.join_times
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }
}

/// Streams come and go at `info`; viewers, who are many, at `debug`.
fn log(event: &Event<'_>) {
    match event {
        Event::Published { stream } => tracing::info!(stream, "a stream is here"),
        Event::Unpublished { stream } => tracing::info!(stream, "a stream is gone"),
        Event::Joined { protocol, took } => {
            tracing::debug!(
                protocol,
                seconds = took.as_secs_f64(),
                "a viewer has joined"
            );
        }
        Event::NotJoined { protocol, cause } => {
            tracing::debug!(protocol, cause, "a viewer has not joined");
        }
        Event::Denied { cause } => tracing::debug!(cause, "a right was lacking"),
        Event::TurnedAway { cause } => tracing::debug!(cause, "a connection was not taken"),
        Event::Connected | Event::Disconnected | Event::Media(_) => {}
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The metrics as a response.
pub(super) fn page(text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text.to_owned()).into_response()
}
