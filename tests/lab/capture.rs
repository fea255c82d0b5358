//! What goes over a host's wire: captured by tcpdump, told apart by its first
//! byte (RFC 7983). What goes by TCP is taken out of its framing first.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::eventually;
use crate::network::Host;
use crate::process::{Process, log_directory};
use crate::stream::Stream;

/// tcpdump at work.
#[derive(Debug)]
pub struct Capture {
    file: PathBuf,
    process: Process,
}

/// One UDP datagram, or what TCP carries in its stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it, and to whom.
    pub ends: [(IpAddr, u16); 2],
    /// What carried it.
    pub carrier: Carrier,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// What a datagram came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carrier {
    /// UDP
    Udp,
    /// TCP to a TURN server (RFC 8656 section 3.1).
    Turn,
    /// TCP between peers (RFC 6544, in frames of RFC 4571).
    Ice,
    /// TLS; the payload is a record.
    Tls,
    /// TCP that is none of these; the payload is what came at a time.
    Stranger,
}

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// STUN, TURN's requests and indications.
    Stun,
    /// TURN's ChannelData, whose content is looked at by [`Datagram::inner`].
    Channel,
    /// DTLS.
    Dtls,
    /// SRTP.
    Rtp,
    /// SRTCP.
    Rtcp,
    /// A record of TLS.
    Tls,
    /// None of these.
    Other,
}

impl Capture {
    /// Starts one of all IPv4 and IPv6 on `eth0`.
    pub fn start(host: &Host, name: &str) -> Self {
        let file = log_directory().join(format!("{}-{name}.pcap", std::process::id()));
        let mut command = host.command("tcpdump");
        let path = file.to_string_lossy().into_owned();
        command.args(["-i", "eth0", "-n", "-U", "--immediate-mode", "-s", "0"]);
        command.args(["-B", "16384", "-w", &path, "ip or ip6"]);
        let process = Process::spawn("tcpdump", command);
        let what = "tcpdump listens";
        eventually(Duration::from_secs(10), what, || {
            process.log().contains("listening on").then_some(())
        });
        Self { file, process }
    }

    /// Ends it; the datagrams in their order.
    pub fn finish(mut self) -> Vec<Datagram> {
        // What the kernel has is written a moment later.
        std::thread::sleep(Duration::from_millis(300));
        self.process.kill();
        let bytes = fs::read(&self.file).unwrap_or_default();
        let _ = fs::remove_file(&self.file);
        assert!(bytes.len() > 24, "tcpdump has written nothing");
        datagrams(&bytes)
    }
}

impl Datagram {
    /// What it is.
    pub fn class(&self) -> Class {
        match self.carrier {
            Carrier::Tls => Class::Tls,
            Carrier::Stranger => Class::Other,
            Carrier::Udp | Carrier::Turn | Carrier::Ice => classify(&self.payload),
        }
    }

    /// What TURN wraps: of ChannelData and of Send and Data indications. Else
    /// itself.
    pub fn inner(&self) -> Vec<u8> {
        match self.class() {
            Class::Channel => self.payload.get(4..).unwrap_or_default().to_vec(),
            Class::Stun => wrapped(&self.payload).unwrap_or_else(|| self.payload.clone()),
            _ => self.payload.clone(),
        }
    }
}

/// By the first byte, as RFC 7983 section 7 has it; RTCP by RFC 5761 section 4.
pub fn classify(payload: &[u8]) -> Class {
    match (payload.first(), payload.get(1)) {
        (Some(0..=3), _) => Class::Stun,
        (Some(20..=63), _) => Class::Dtls,
        (Some(64..=79), _) => Class::Channel,
        (Some(128..=191), Some(192..=223)) => Class::Rtcp,
        (Some(128..=191), _) => Class::Rtp,
        _ => Class::Other,
    }
}

/// The DATA attribute (RFC 8656 section 18.4) of a Send or Data indication.
fn wrapped(stun: &[u8]) -> Option<Vec<u8>> {
    let kind = u16::from_be_bytes([*stun.first()?, *stun.get(1)?]);
    if !matches!(kind, 0x0016 | 0x0017) {
        return None;
    }
    let mut rest = stun.get(20..)?;
    loop {
        let kind = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        if kind == 0x0013 {
            return rest.get(4..4 + length).map(<[u8]>::to_vec);
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
}

/// All datagrams of a pcap file in this machine's byte order. What TCP carries
/// counts when its last byte has come.
fn datagrams(file: &[u8]) -> Vec<Datagram> {
    let mut streams = HashMap::<[(IpAddr, u16); 2], Stream>::new();
    let mut all = Vec::new();
    for packet in packets(file).filter_map(packet) {
        let Packet { ends, tcp, rest } = packet;
        match tcp {
            false => all.extend(rest.get(8..).map(|payload| Datagram {
                ends,
                carrier: Carrier::Udp,
                payload: payload.to_vec(),
            })),
            true => {
                let stream = streams.entry(ends).or_default();
                stream.take(rest);
                let come = std::iter::from_fn(|| stream.pop());
                all.extend(come.map(|(carrier, payload)| Datagram {
                    ends,
                    carrier,
                    payload,
                }));
            }
        }
    }
    all
}

/// The packets of a pcap file in this machine's byte order.
fn packets(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = file.get(24..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = rest.get(8..12)?.try_into().ok()?;
        let length = u32::from_ne_bytes(length) as usize;
        let packet = rest.get(16..16 + length)?;
        rest = rest.get(16 + length..)?;
        Some(packet)
    })
}

/// What a packet says of itself.
struct Packet<'a> {
    ends: [(IpAddr, u16); 2],
    /// TCP, or else UDP.
    tcp: bool,
    /// From that protocol's header on.
    rest: &'a [u8],
}

/// Of Ethernet, IPv4 or IPv6 without extensions, UDP or TCP, not fragmented.
fn packet(frame: &[u8]) -> Option<Packet<'_>> {
    let ip = frame.get(14..)?;
    let (protocol, from, to, rest) = match ip.first()? >> 4 {
        4 => {
            let header = usize::from(ip.first()? & 15) * 4;
            let length = usize::from(u16_at(ip, 2)?);
            (
                *ip.get(9)?,
                v4(ip, 12)?,
                v4(ip, 16)?,
                ip.get(header..length)?,
            )
        }
        6 => {
            let length = usize::from(u16_at(ip, 4)?);
            (
                *ip.get(6)?,
                v6(ip, 8)?,
                v6(ip, 24)?,
                ip.get(40..40 + length)?,
            )
        }
        _ => return None,
    };
    matches!(protocol, 6 | 17).then_some(())?;
    Some(Packet {
        ends: [(from, u16_at(rest, 0)?), (to, u16_at(rest, 2)?)],
        tcp: protocol == 6,
        rest,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn v4(ip: &[u8], at: usize) -> Option<IpAddr> {
    let four: [u8; 4] = ip.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(four).into())
}

fn v6(ip: &[u8], at: usize) -> Option<IpAddr> {
    let sixteen: [u8; 16] = ip.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}
