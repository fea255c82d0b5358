//! Asks a TURN server what is wrong with it, for a library that does not say.
//!
//! libnice gathers what it gets from TURN servers and keeps silent about the
//! rest: a wrong password, credentials that have expired and a server that is
//! dead all look like a server that was never configured. So when relays are
//! missing, each server is asked once more, by a client that reads its answer:
//! an allocation (RFC 8656 section 7), given back at once.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stun_types::attribute::{
    AlternateServer, AttributeFromRaw, AttributeType, ErrorCode, Nonce, RawAttribute, Realm,
    Username,
};
use stun_types::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageWriteVec, Method,
};
use stun_types::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::address::{IceServer, Transport};

const ALLOCATE: Method = Method::new(3);
const REFRESH: Method = Method::new(4);
const LIFETIME: AttributeType = AttributeType::new(0x000d);
const REQUESTED_TRANSPORT: AttributeType = AttributeType::new(0x0019);

/// What is relayed: UDP, by its protocol number.
const UDP: [u8; 4] = [17, 0, 0, 0];

/// How long a server may take for an answer, with two repetitions by UDP.
const ANSWER: Duration = Duration::from_millis(2500);
const REPEAT: Duration = Duration::from_millis(700);

/// The longest answer that is read, in bytes.
const MOST: usize = 1500;

/// Does this server give relays to this user? If not, why, in words for the
/// user. Where both transports are allowed, one that works is enough.
///
/// Speaks TURN in clear text: a `turns:` server is given as the door of its
/// [tunnel](crate::tunnel).
pub async fn check(server: &IceServer) -> Result<(), String> {
    let both = [Transport::Udp, Transport::Tcp];
    let wanted = |it: &Transport| server.transport.is_none_or(|transport| transport == *it);
    let mut trouble = Err("it has no transport".to_owned());
    for transport in both.into_iter().filter(wanted) {
        match check_by(server.clone(), transport).await {
            Ok(()) => return Ok(()),
            Err(why) => trouble = Err(why),
        }
    }
    trouble
}

/// The same by one transport, and at most one server further on.
async fn check_by(mut server: IceServer, transport: Transport) -> Result<(), String> {
    for _ in 0..2 {
        let asked = match Line::open(&server, transport).await {
            Ok(mut line) => allocate(&server, &mut line).await,
            Err(error) => Err(format!("it cannot be reached: {error}")),
        };
        match asked? {
            None => return Ok(()),
            Some(other) => {
                server.host = other.ip().to_string();
                server.port = other.port();
            }
        }
    }
    Err("it sends us from server to server (300)".to_owned())
}

/// Which server is named instead, in an answer (300, RFC 8489 section 10).
pub(crate) fn alternate(answer: &[u8]) -> Option<SocketAddr> {
    let message = Message::from_bytes(answer).ok()?;
    let (code, _) = refusal(answer).ok()??;
    let other = message.attribute::<AlternateServer>().ok()?;
    (code == 300).then(|| other.server())
}

/// Allocates and gives back; `Some` where another server is named instead.
async fn allocate(server: &IceServer, line: &mut Line) -> Result<Option<SocketAddr>, String> {
    let silent = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => format!("it cannot be reached: {error}"),
    };
    // The first refusal names the realm, and a nonce.
    let answer = line.ask(&request(ALLOCATE, None)?).await.map_err(silent)?;
    if let Some(other) = alternate(&answer) {
        return Ok(Some(other));
    }
    let Some(identity) = Identity::from(server, &answer)? else {
        return Ok(None);
    };
    let asked = request(ALLOCATE, Some(&identity))?;
    let answer = line.ask(&asked).await.map_err(silent)?;
    if let Some(other) = alternate(&answer) {
        return Ok(Some(other));
    }
    if let Some((code, reason)) = refusal(&answer)? {
        return Err(explain(server, code, &reason));
    }
    // Nobody needs it; where that is not heard, it ends by itself.
    let _ = line.say(&request(REFRESH, Some(&identity))?).await;
    Ok(None)
}

/// Who asks, as the server wants it.
struct Identity {
    user: Username,
    realm: Realm,
    nonce: Nonce,
    key: LongTermKeyCredentials,
}

impl Identity {
    /// From the server's first refusal; `None` if it did not refuse.
    fn from(server: &IceServer, answer: &[u8]) -> Result<Option<Self>, String> {
        let Some((code, reason)) = refusal(answer)? else {
            return Ok(None);
        };
        let message = Message::from_bytes(answer).map_err(|e| e.to_string())?;
        let (realm, nonce) = match (message.attribute::<Realm>(), message.attribute::<Nonce>()) {
            (Ok(realm), Ok(nonce)) if code == 401 => (realm, nonce),
            _ => return Err(explain(server, code, &reason)),
        };
        let user = server.username.clone().unwrap_or_default();
        let password = server.password.clone().unwrap_or_default();
        Ok(Some(Self {
            key: LongTermKeyCredentials::new(user.clone(), password, realm.realm().to_owned()),
            user: Username::new(&user).map_err(|e| e.to_string())?,
            realm,
            nonce,
        }))
    }
}

fn request(method: Method, identity: Option<&Identity>) -> Result<Vec<u8>, String> {
    let mut message = Message::builder_request(method, MessageWriteVec::new());
    let attribute = match method {
        ALLOCATE => RawAttribute::new(REQUESTED_TRANSPORT, &UDP),
        _ => RawAttribute::new(LIFETIME, &[0; 4]),
    };
    let write = |message: &mut MessageWriteVec| {
        message.add_attribute(&attribute)?;
        if let Some(identity) = identity {
            message.add_attribute(&identity.user)?;
            message.add_attribute(&identity.realm)?;
            message.add_attribute(&identity.nonce)?;
            let key = identity.key.clone().into();
            message.add_message_integrity(&key, IntegrityAlgorithm::Sha1)?;
        }
        Ok::<_, stun_types::message::StunWriteError>(())
    };
    write(&mut message).map_err(|e| e.to_string())?;
    Ok(message.finish())
}

/// The code and the reason of an answer that is an error.
fn refusal(answer: &[u8]) -> Result<Option<(u16, String)>, String> {
    let garbage = |_| "what it answers is no STUN".to_owned();
    let message = Message::from_bytes(answer).map_err(garbage)?;
    if message.has_class(MessageClass::Success) {
        return Ok(None);
    }
    let raw = message.raw_attribute(AttributeType::new(0x0009));
    let code = raw.and_then(|raw| ErrorCode::from_raw(raw).ok());
    let code = code.ok_or("what it answers is no answer of TURN")?;
    let shown = code.reason().chars().filter(|it| !it.is_control());
    Ok(Some((code.code(), shown.take(80).collect())))
}

fn explain(server: &IceServer, code: u16, reason: &str) -> String {
    let user = server.username.as_deref().unwrap_or_default();
    match (code, expired(user, SystemTime::now())) {
        (401, Some(ago)) => format!(
            "its credentials have expired {ago} s ago (401); set new ones in ice-servers, or \
             turn-secret to have them made"
        ),
        (401, None) => "it does not take the user name and password (401)".to_owned(),
        (486, _) => "the user has as many relays there as it may have (486, quota)".to_owned(),
        (508, _) => "it has no relays left (508)".to_owned(),
        (442, _) => "it does not relay UDP (442)".to_owned(),
        _ => format!("it refuses ({code} {reason})"),
    }
}

/// How many seconds ago a user name of the TURN REST scheme has ended.
fn expired(user: &str, now: SystemTime) -> Option<u64> {
    let ends: u64 = user.split(':').next()?.parse().ok()?;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    // Ten digits: a number that may be a time, and no telephone extension.
    let is_time = (1_000_000_000..10_000_000_000).contains(&ends);
    now.checked_sub(ends).filter(|_| is_time)
}

/// A way to the server.
enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Line {
    async fn open(server: &IceServer, transport: Transport) -> io::Result<Self> {
        let unknown = |why: &str| io::Error::other(format!("its name is not known (DNS): {why}"));
        let found = timeout(ANSWER, lookup_host((server.host.as_str(), server.port))).await;
        let found = found
            .map_err(|_| unknown("no answer"))?
            .map_err(|error| unknown(&error.to_string()))?;
        let mut last = unknown("no address");
        for address in found {
            let opened = match transport {
                Transport::Tcp => match timeout(ANSWER, TcpStream::connect(address)).await {
                    Ok(stream) => stream.map(Self::Tcp),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                },
                Transport::Udp => udp(address).await.map(Self::Udp),
            };
            match opened {
                Ok(line) => return Ok(line),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn say(&mut self, request: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(request).await.map(drop),
            Self::Tcp(stream) => stream.write_all(request).await,
        }
    }

    /// Says something, and reads the answer to it.
    async fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let ours = request.get(8..20);
        let answer = async {
            loop {
                self.say(request).await?;
                // By TCP nothing is repeated; the whole is bounded below.
                let wait = match self {
                    Self::Udp(_) => REPEAT,
                    Self::Tcp(_) => ANSWER,
                };
                let heard = async {
                    loop {
                        let answer = self.hear().await?;
                        if answer.get(8..20) == ours {
                            return Ok::<_, io::Error>(answer);
                        }
                    }
                };
                if let Ok(answer) = timeout(wait, heard).await {
                    return answer;
                }
            }
        };
        timeout(ANSWER, answer)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn hear(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = vec![0; MOST];
        match self {
            Self::Udp(socket) => {
                let length = socket.recv(&mut answer).await?;
                answer.truncate(length);
            }
            Self::Tcp(stream) => {
                let (header, body) = answer.split_at_mut(20);
                stream.read_exact(header).await?;
                let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
                let body = body.get_mut(..length);
                let body = body.ok_or(io::ErrorKind::InvalidData)?;
                stream.read_exact(body).await?;
                answer.truncate(20 + length);
            }
        }
        Ok(answer)
    }
}

async fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address.is_ipv4() {
        true => "0.0.0.0:0",
        false => "[::]:0",
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

#[cfg(test)]
#[path = "turn_check_tests.rs"]
mod tests;
