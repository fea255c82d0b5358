//! A network that takes its time: delay, loss, a rate, a queue.
//!
//! All that a host sends (or that a router without NAT passes on) goes into a
//! TUN device first. A thread reads it there, and another one sends it on by a
//! raw socket when its time has come. Sockets that are bound to a device go
//! past it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::network::Host;

/// What leaves by the raw socket carries this mark, and is not led back.
const MARK: u32 = 7;

/// How a host's line is.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// How long each packet takes.
    pub delay: Duration,
    /// Packets that are lost, of a hundred.
    pub loss: u8,
    /// In bytes a second; 0: no limit.
    pub rate: u64,
    /// How many bytes may wait for their turn; what does not fit is lost.
    pub queue: u64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            loss: 0,
            rate: 0,
            queue: u64::MAX,
        }
    }
}

/// Such a line, until it is dropped.
#[derive(Debug)]
pub struct Slow {
    host: Host,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

struct Packet {
    due: Instant,
    bytes: Vec<u8>,
}

impl Slow {
    /// Everything that the programs of `host` send takes this line.
    pub fn sending(host: &Host, line: Line) -> Self {
        Self::start(host, line, &["lo"])
    }

    /// Everything that a router passes on takes it, both ways. It must not
    /// translate addresses.
    pub fn passing(router: &Host, line: Line) -> Self {
        Self::start(router, line, &["lan", "wan"])
    }

    fn start(host: &Host, line: Line, from: &[&str]) -> Self {
        let device = host.run(|| DeviceBuilder::new().name("slow").mtu(1500).build_sync());
        let device = device.unwrap_or_else(|e| panic!("a TUN device is needed: {e}"));
        let nonblocking = device.set_nonblocking(true);
        nonblocking.unwrap_or_else(|e| panic!("the TUN device: {e}"));
        host.output("ip", &["link", "set", "slow", "up"]);
        for family in ["-4", "-6"] {
            let ip = |arguments: &[&str]| host.output("ip", &[&[family], arguments].concat());
            ip(&["route", "add", "default", "dev", "slow", "table", "100"]);
            ip(&[
                "rule", "add", "fwmark", "7", "lookup", "main", "priority", "10",
            ]);
            for interface in from {
                ip(&[
                    "rule", "add", "iif", interface, "lookup", "100", "priority", "20",
                ]);
            }
        }
        let over = Arc::new(AtomicBool::new(false));
        let waiting = Arc::new(Mutex::new(VecDeque::<Packet>::new()));
        let sockets = host.run(|| (raw(Domain::IPV4), raw(Domain::IPV6)));
        let reader = thread::spawn({
            let (over, waiting) = (over.clone(), waiting.clone());
            move || read(&device, line, &over, &waiting)
        });
        let writer = thread::spawn({
            let over = over.clone();
            move || write(&sockets, &over, &waiting)
        });
        Self {
            host: host.clone(),
            over,
            threads: vec![reader, writer],
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for family in ["-4", "-6"] {
            // One for each interface, and that of the mark.
            for priority in ["20", "20", "10"] {
                let mut command = self.host.command("ip");
                command.args([family, "rule", "delete", "priority", priority]);
                let _ = command.output();
            }
        }
    }
}

fn raw(domain: Domain) -> Socket {
    // 255: headers are ours.
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(255)));
    let socket = socket.unwrap_or_else(|e| panic!("a raw socket: {e}"));
    let set = match domain {
        Domain::IPV4 => socket.set_header_included_v4(true),
        _ => socket.set_header_included_v6(true),
    };
    set.and_then(|()| socket.set_mark(MARK))
        .unwrap_or_else(|e| panic!("a raw socket: {e}"));
    socket
}

fn read(device: &SyncDevice, line: Line, over: &AtomicBool, waiting: &Mutex<VecDeque<Packet>>) {
    let mut buffer = [0; 2048];
    let mut free = Instant::now();
    let mut dice = 1_u32;
    while !over.load(Ordering::Relaxed) {
        let Ok(length) = device.recv(&mut buffer) else {
            thread::sleep(Duration::from_micros(300));
            continue;
        };
        // Numerical Recipes' generator: the same losses in each run.
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if (dice >> 16) % 100 < u32::from(line.loss) {
            continue;
        }
        let now = Instant::now();
        let mut due = now;
        if line.rate > 0 {
            let ahead = free.saturating_duration_since(now).as_secs_f64() * line.rate as f64;
            if ahead as u64 + length as u64 > line.queue {
                continue;
            }
            free = free.max(now) + Duration::from_secs_f64(length as f64 / line.rate as f64);
            due = free;
        }
        let packet = Packet {
            due: due + line.delay,
            bytes: buffer[..length].to_vec(),
        };
        lock(waiting).push_back(packet);
    }
}

fn write(sockets: &(Socket, Socket), over: &AtomicBool, waiting: &Mutex<VecDeque<Packet>>) {
    while !over.load(Ordering::Relaxed) {
        let next = {
            let mut waiting = lock(waiting);
            let due = waiting.front().is_some_and(|it| it.due <= Instant::now());
            due.then(|| waiting.pop_front()).flatten()
        };
        let Some(packet) = next else {
            thread::sleep(Duration::from_micros(300));
            continue;
        };
        let Some(to) = destination(&packet.bytes) else {
            continue;
        };
        let socket = if to.is_ipv4() { &sockets.0 } else { &sockets.1 };
        let _ = socket.send_to(&packet.bytes, &SocketAddr::new(to, 0).into());
    }
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => {
            let four: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            Some(Ipv4Addr::from(four).into())
        }
        6 => {
            let sixteen: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            Some(Ipv6Addr::from(sixteen).into())
        }
        _ => None,
    }
}

fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
