//! A crowd that is there, one of it stalled, and others who come: nobody waits.
//!
//! `make load` runs the whole of it on a release build and prints the figures.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_tungstenite::tokio::{TokioAdapter, client_async};
use async_tungstenite::tungstenite::Message as Frame;
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::http::HeaderValue;
use async_tungstenite::{WebSocketSender, WebSocketStream};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::*;

pub(super) type Socket = WebSocketStream<TokioAdapter<tokio::net::TcpStream>>;

/// How many clients share an address, as those behind a NAT do.
const NEIGHBOURS: usize = 64;

/// How large the descriptions are that the stalled one is sent.
const HEAVY: usize = 60 * 1024;

/// How large it is.
struct Scale {
    idle: usize,
    joins: usize,
    per_second: u32,
}

/// What was measured.
#[derive(Debug)]
struct Figures {
    /// From dialling to the publisher's offer, shortest first.
    joins: Vec<Duration>,
    /// From the first that it did not read until it was dropped.
    dropped: Duration,
    /// Of the server, in KiB: alone, with the crowd, at most.
    memory: [u64; 3],
}

impl Figures {
    fn percentile(&self, percent: usize) -> Duration {
        self.joins[(self.joins.len() * percent / 100).min(self.joins.len() - 1)]
    }
}

/// Opens a connection from one of loopback's sixteen million addresses.
pub(super) async fn dial(server: SocketAddr, from: usize, narrow: bool) -> Socket {
    let socket = TcpSocket::new_v4().unwrap();
    if narrow {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    let [high, low] = u16::try_from(from).unwrap().to_be_bytes();
    let own = Ipv4Addr::new(127, 1, high, low);
    socket.bind((own, 0).into()).unwrap();
    let stream = socket.connect(server).await.unwrap();
    let mut request = format!("ws://{server}/ws").into_client_request().unwrap();
    let spoken = HeaderValue::from_static("sigmund.v1");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", spoken);
    client_async(request, stream).await.unwrap().0
}

/// Sends one message.
pub(super) async fn tell(socket: &mut Socket, message: &Value) {
    socket.send(Frame::text(message.to_string())).await.unwrap();
}

/// Says hello, and is welcomed.
async fn enter(server: SocketAddr, from: usize, role: &str, narrow: bool) -> Socket {
    let mut socket = dial(server, from, narrow).await;
    let hello = json!({"type": "hello", "version": "sigmund.v1", "role": role, "stream": "cam"});
    tell(&mut socket, &hello).await;
    let welcome = hear(&mut socket).await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    socket
}

pub(super) async fn hear(socket: &mut Socket) -> Value {
    loop {
        match socket.next().await.expect("it is open").unwrap() {
            Frame::Text(text) => return serde_json::from_str(&text).unwrap(),
            Frame::Ping(_) | Frame::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn offer(peer: &str, length: usize) -> Frame {
    let sdp = "x".repeat(length);
    let note = json!({"type": "note", "peer": peer, "note": {"type": "offer", "sdp": sdp}});
    Frame::text(note.to_string())
}

/// Offers to whoever joins. Floods the one whose name it is told, and tells how
/// long that one was borne.
async fn publish(
    server: SocketAddr,
    mut victim: mpsc::Receiver<String>,
    dropped: oneshot::Sender<Duration>,
) {
    let (mut sender, mut receiver) = enter(server, 0, "publish", false).await.split();
    let mut dropped = Some(dropped);
    let mut stalled: Option<(String, Instant)> = None;
    let mut flood = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            Some(name) = victim.recv() => stalled = Some((name, Instant::now())),
            _ = flood.tick() => if let Some((peer, _)) = &stalled {
                say(&mut sender, offer(peer, HEAVY)).await;
            },
            frame = receiver.next() => {
                let Some(Ok(Frame::Text(text))) = frame else { continue };
                let said: Value = serde_json::from_str(&text).unwrap();
                let peer = said["peer"].as_str().unwrap_or_default();
                if said["type"] == "joined" {
                    say(&mut sender, offer(peer, 3000)).await;
                } else if said["type"] == "left"
                    && stalled.as_ref().is_some_and(|(name, _)| name == peer)
                    && let Some((_, since)) = stalled.take()
                    && let Some(dropped) = dropped.take()
                {
                    assert!(said["reason"].as_str().unwrap().contains("slow"), "{said}");
                    let _ = dropped.send(since.elapsed());
                }
            }
        }
    }
}

async fn say(sender: &mut WebSocketSender<TokioAdapter<tokio::net::TcpStream>>, frame: Frame) {
    sender.send(frame).await.unwrap();
}

/// Comes, is offered something, answers and leaves.
async fn join(server: SocketAddr, from: usize) -> Duration {
    let began = Instant::now();
    let mut socket = enter(server, from, "view", false).await;
    while hear(&mut socket).await["note"]["type"] != "offer" {}
    let took = began.elapsed();
    for note in [
        json!({"type": "answer", "sdp": "v=0"}),
        json!({"type": "bye", "reason": ""}),
    ] {
        let note = json!({"type": "note", "peer": "publisher", "note": note});
        tell(&mut socket, &note).await;
    }
    let _ = socket.close(None).await;
    while let Some(Ok(_)) = socket.next().await {}
    took
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(server: &Server, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let found = status.lines().find_map(|it| it.strip_prefix(line));
    let number = found.unwrap().split_whitespace().next().unwrap();
    number.parse().unwrap()
}

async fn run(server: &Server, scale: &Scale) -> Figures {
    let to = server.address();
    let alone = memory(server, "VmRSS:");
    let (victim, told) = mpsc::channel(1);
    let (dropped_in, dropped) = oneshot::channel();
    let publisher = tokio::spawn(publish(to, told, dropped_in));
    while !server.get("/streams", "").body.contains("cam") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The stalled one reads its name, and never again.
    let mut stalled = dial(to, 1, true).await;
    let hello = json!({"type": "hello", "version": "sigmund.v1", "role": "view", "stream": "cam"});
    tell(&mut stalled, &hello).await;
    let name = hear(&mut stalled).await["peer"]
        .as_str()
        .unwrap()
        .to_owned();

    let crowd = crowd(to, scale.idle).await;
    let full = memory(server, "VmRSS:");
    victim.send(name).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / scale.per_second);
    // One that is late does not bring the others together.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut joining = JoinSet::new();
    for number in 0..scale.joins {
        ticks.tick().await;
        let from = 0x8000 + number % 1000;
        joining.spawn(tokio::time::timeout(LONG, join(to, from)));
    }
    let mut joins = Vec::new();
    while let Some(joined) = joining.join_next().await {
        joins.push(joined.unwrap().expect("nobody waits that long"));
    }
    joins.sort_unstable();
    let dropped = tokio::time::timeout(LONG, dropped).await.unwrap().unwrap();
    assert_eq!(crowd.gone.load(Ordering::Relaxed), 0, "the idle ones stay");
    publisher.abort();
    let memory = [alone, full, memory(server, "VmHWM:")];
    drop((crowd, stalled));
    Figures {
        joins,
        dropped,
        memory,
    }
}

/// Those who just sit there.
struct Crowd {
    _tasks: JoinSet<()>,
    /// How many have been lost.
    gone: Arc<AtomicUsize>,
}

async fn crowd(server: SocketAddr, idle: usize) -> Crowd {
    let (mut tasks, gone) = (JoinSet::new(), Arc::<AtomicUsize>::default());
    let (sat, mut seated) = mpsc::channel(64);
    // A few hundred at a time: the kernel's queue of connections is not endless.
    for first in (0..idle).step_by(200) {
        let those = first..idle.min(first + 200);
        let many = those.len();
        for number in those {
            let (gone, sat) = (gone.clone(), sat.clone());
            tasks.spawn(async move {
                let mut socket = enter(server, 2 + number / NEIGHBOURS, "view", false).await;
                let _ = sat.send(()).await;
                // Pings are answered by the library.
                while let Some(Ok(_)) = socket.next().await {}
                gone.fetch_add(1, Ordering::Relaxed);
            });
        }
        for _ in 0..many {
            let sat = tokio::time::timeout(LONG, seated.recv()).await;
            sat.expect("it gets its seat");
        }
    }
    Crowd {
        _tasks: tasks,
        gone,
    }
}

fn measure(scale: &Scale) -> Figures {
    let viewers = format!("viewers-per-stream={}", scale.idle + scale.joins + 2);
    let server = Server::start(&["--limit", &viewers, "--log", "warn"]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(&server, scale))
}

#[test]
fn nobody_waits_for_one_that_does_not_read() {
    let figures = measure(&Scale {
        idle: 400,
        joins: 200,
        per_second: 100,
    });
    assert_eq!(figures.joins.len(), 200);
    // A stalled one is given 10 s by TCP: who had to wait for it would take that.
    let p99 = figures.percentile(99);
    assert!(p99 < Duration::from_secs(3), "{p99:?}");
}

#[test]
#[ignore = "it takes a minute and wants a machine of its own: make load"]
fn five_thousand_idle_and_two_hundred_joins_a_second() {
    let scale = Scale {
        idle: 5000,
        joins: 4000,
        per_second: 200,
    };
    let figures = measure(&scale);
    let [alone, crowd, most] = figures.memory.map(|kib| kib / 1024);
    println!(
        "{} idle viewers, one more stalled, {} joins at {} a second",
        scale.idle, scale.joins, scale.per_second
    );
    println!(
        "join: p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        figures.percentile(50),
        figures.percentile(99),
        figures.percentile(100)
    );
    println!("the stalled one was dropped after {:.1?}", figures.dropped);
    println!(
        "RSS of the server: {alone} MiB alone, {crowd} MiB with the crowd, {most} MiB at most"
    );
    assert!(figures.percentile(99) < Duration::from_secs(1));
}
