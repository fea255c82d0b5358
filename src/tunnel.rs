//! TLS for those who have none: a port of this machine, behind which a server
//! is reached by TLS.
//!
//! libnice sends what is meant for a `turns:` server in clear text, in every
//! version. So it is given a port on loopback, where it may speak TURN over TCP
//! in clear text; what it says there leaves this machine encrypted, to a server
//! whose certificate was verified. Nothing falls back to clear text.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::signaller::dial::Tls;
use crate::turn_check::alternate;

/// How long a server may take until TLS stands.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections through one tunnel at the same time: some for each session.
const CONNECTIONS: usize = 1024;

/// The longest answer that is looked at: what comes before an allocation is
/// shorter.
const ANSWER: usize = 4096;

/// Servers that have a tunnel. What is configured has a handful.
const TUNNELS: usize = 16;

/// Told what keeps a server from being reached, in words for the user; once,
/// until it has been reached again.
pub type Trouble = Arc<dyn Fn(String) + Send + Sync>;

/// The tunnels of an element. Dropping it closes them, with all that goes
/// through them.
pub struct Tunnels {
    trust: Tls,
    trouble: Trouble,
    open: Mutex<HashMap<(String, u16, bool), Tunnel>>,
}

struct Tunnel {
    door: SocketAddr,
    // Ends the task when it goes.
    _task: JoinSet<()>,
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnels")
    }
}

impl Tunnels {
    /// None yet. Servers are verified by the system's roots, and by the
    /// certificates in the PEM file `ca`.
    pub fn new(ca: Option<PathBuf>, trouble: Trouble) -> Self {
        Self {
            trust: Tls::new(ca),
            trouble,
            open: Mutex::default(),
        }
    }

    /// The port on this machine behind which the server `host:port` is; on
    /// `127.0.0.1`, or on `::1`. The first call opens it.
    pub async fn door(&self, host: &str, port: u16, v6: bool) -> io::Result<SocketAddr> {
        let mut open = self.open.lock().await;
        let key = (host.to_owned(), port, v6);
        if let Some(tunnel) = open.get(&key) {
            return Ok(tunnel.door);
        }
        if open.len() >= TUNNELS {
            return Err(io::Error::other(format!(
                "{TUNNELS} servers have a tunnel, which is the most"
            )));
        }
        let loopback = match v6 {
            false => IpAddr::V4(Ipv4Addr::LOCALHOST),
            true => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let listener = TcpListener::bind((loopback, 0)).await?;
        let door = listener.local_addr()?;
        let far = Arc::new(Far {
            host: host.to_owned(),
            port,
            trust: self.trust.clone(),
            trouble: self.trouble.clone(),
            troubled: AtomicBool::new(false),
        });
        let mut task = JoinSet::new();
        task.spawn(serve(listener, far));
        open.insert(key, Tunnel { door, _task: task });
        Ok(door)
    }
}

/// A server behind a tunnel.
struct Far {
    host: String,
    port: u16,
    trust: Tls,
    trouble: Trouble,
    troubled: AtomicBool,
}

async fn serve(listener: TcpListener, far: Arc<Far>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut pipes = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((near, _)) = listener.accept().await else {
            // Descriptors may be free again in a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let far = far.clone();
        pipes.spawn(async move {
            far.pipe(near).await;
            drop(place);
        });
        while pipes.try_join_next().is_some() {}
    }
}

impl Far {
    /// One connection, to its end. Where the server cannot be reached it just
    /// closes, as if nobody listened.
    async fn pipe(&self, mut near: TcpStream) {
        let _ = near.set_nodelay(true);
        let reached = timeout(CONNECT, self.reach()).await;
        let reached = reached
            .unwrap_or_else(|_| Err(format!("it does not answer within {} s", CONNECT.as_secs())));
        let mut stream = match reached {
            Ok(stream) => stream,
            Err(why) => return self.complain(&format!("cannot be reached by TLS: {why}")),
        };
        // How it ends is no news: TURN has its own time-outs.
        match introduce(&mut near, &mut stream).await {
            Ok(None) => {
                self.troubled.store(false, Ordering::Relaxed);
                let _ = copy_bidirectional(&mut near, &mut stream).await;
            }
            // libnice would go there by itself, in clear text.
            Ok(Some(other)) => self.complain(&format!(
                "sends us on to {other} (300), which by TLS is not followed; write that one's name \
                 into ice-servers"
            )),
            Err(_) => (),
        }
    }

    fn complain(&self, what: &str) {
        if !self.troubled.swap(true, Ordering::Relaxed) {
            (self.trouble)(format!(
                "the TURN server {}:{} {what}",
                self.host, self.port
            ));
        }
    }

    async fn reach(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let config = self.trust.config().await.map_err(|e| e.to_string())?;
        let name = ServerName::try_from(self.host.clone()).map_err(|e| e.to_string())?;
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|e| e.to_string())?;
        // What libnice sends are whole datagrams.
        let _ = stream.set_nodelay(true);
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|e| e.to_string())
    }
}

/// Passes on what is said until the server has agreed to something, or says what
/// is no STUN. `Some` if it names another server instead, which is not passed on.
async fn introduce(
    near: &mut TcpStream,
    far: &mut tokio_rustls::client::TlsStream<TcpStream>,
) -> io::Result<Option<SocketAddr>> {
    let (mut asked, mut answer) = ([0; ANSWER], Vec::with_capacity(ANSWER));
    loop {
        tokio::select! {
            read = near.read(&mut asked) => {
                let length = read?;
                if length == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                far.write_all(&asked[..length]).await?;
                far.flush().await?;
            }
            read = far.read_buf(&mut answer) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                loop {
                    match said(&answer) {
                        Said::Unfinished => break,
                        Said::Refusal(length) => {
                            if let Some(other) = alternate(&answer[..length]) {
                                return Ok(Some(other));
                            }
                            near.write_all(&answer[..length]).await?;
                            answer.drain(..length);
                        }
                        Said::Other => {
                            near.write_all(&answer).await?;
                            return Ok(None);
                        }
                    }
                }
            }
        }
    }
}

/// What a server has said first.
enum Said {
    Unfinished,
    /// An error response of STUN, so long.
    Refusal(usize),
    Other,
}

/// By the first bytes (RFC 8489 section 5).
fn said(bytes: &[u8]) -> Said {
    let [high, low, first, second, ..] = *bytes else {
        return Said::Unfinished;
    };
    let length = 20 + usize::from(u16::from_be_bytes([first, second]));
    let is_refusal = high & 0b1100_0001 == 1 && low & 0b0001_0000 != 0;
    match is_refusal && length <= ANSWER {
        true if length <= bytes.len() => Said::Refusal(length),
        true => Said::Unfinished,
        false => Said::Other,
    }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
