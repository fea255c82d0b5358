//! The server over real TCP, spoken to by hand, so that every byte is ours.

mod gstwebrtc;
mod lifecycle;
mod limits;
mod socket;
mod tls;
mod whep;
mod whip;
mod who;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::message::{Message, PeerId};
use crate::signaller::supervisor::{Event, Supervisor};
use crate::signaller::{
    Connection, Incoming, Options, Outgoing, Registry, Role, Signaller, SignallerError,
};

/// Longer than anything should take; only a failure waits for it.
const LONG: Duration = Duration::from_secs(20);

/// An offer as far as the server reads it.
const OFFER: &str = "v=0\r\na=ice-ufrag:abcd\r\n";

fn options() -> Options {
    Options::new(Role::Publish, "cam")
}

fn signaller(uri: &str, options: &Options) -> Box<dyn Signaller> {
    Registry::builtin().open(uri, options).unwrap()
}

/// Why it does not open, which trying again does not change.
fn failure(result: Result<Publisher, SignallerError>) -> String {
    match result {
        Err(SignallerError::Permanent(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

/// A publisher: a connected `listen://` signaller that the test speaks for.
struct Publisher {
    signaller: Box<dyn Signaller>,
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Outgoing>,
    /// What it announces.
    url: String,
}

impl Publisher {
    async fn open(uri: &str, options: &Options) -> Self {
        Self::try_open(uri, options).await.unwrap()
    }

    async fn try_open(uri: &str, options: &Options) -> Result<Self, SignallerError> {
        let mut signaller = signaller(uri, options);
        let Connection {
            address,
            incoming,
            outgoing,
        } = signaller.connect().await?;
        Ok(Self {
            signaller,
            incoming,
            outgoing,
            url: address.unwrap(),
        })
    }

    /// On a free port of loopback.
    async fn new() -> Self {
        Self::open("listen://127.0.0.1:0/cam", &options()).await
    }

    fn address(&self) -> SocketAddr {
        let url = url::Url::parse(&self.url).unwrap();
        url.socket_addrs(|| None).unwrap()[0]
    }

    async fn hear(&mut self) -> Incoming {
        timeout(LONG, self.incoming.recv())
            .await
            .expect("nothing was heard")
            .expect("the channel is open")
    }

    /// The next peer, and its offer.
    async fn joined(&mut self) -> (PeerId, String) {
        self.offered("whep").await
    }

    /// The next peer, which comes by `protocol`, and its offer.
    async fn offered(&mut self, protocol: &str) -> (PeerId, String) {
        let joined = self.hear().await;
        let Incoming::Joined { peer, info } = joined else {
            panic!("{joined:?}")
        };
        assert_eq!(info.protocol, protocol);
        // A publisher's peers come the usual way, a receiver's say which.
        let said = (protocol == "whip").then_some(crate::server::resource::CHANNEL);
        assert!(said.is_none() || info.channel == said, "{info:?}");
        let offer = self.hear().await;
        let Incoming::Message {
            peer: from,
            message: Message::Offer { sdp },
        } = offer
        else {
            panic!("{offer:?}")
        };
        assert_eq!(from, peer);
        (peer, sdp)
    }

    async fn left(&mut self) -> PeerId {
        let left = self.hear().await;
        let Incoming::Left { peer, .. } = left else {
            panic!("{left:?}")
        };
        peer
    }

    async fn tell(&self, note: Outgoing) {
        self.outgoing.send(note).await.unwrap();
    }

    async fn answer(&self, peer: PeerId) {
        self.tell(Outgoing::Message {
            peer,
            message: Message::Answer {
                sdp: "v=0\r\nthe answer\r\n".into(),
            },
        })
        .await;
    }

    /// A session that has its answer.
    async fn session(&mut self) -> (PeerId, Reply) {
        let post = tokio::spawn(post(self.address(), "/whep/cam", OFFER));
        let (peer, _) = self.joined().await;
        self.answer(peer.clone()).await;
        let reply = post.await.unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
        (peer, reply)
    }

    async fn close(mut self) {
        drop((self.outgoing, self.incoming));
        timeout(LONG, self.signaller.close())
            .await
            .expect("it closes");
    }
}

/// An HTTP response.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no response: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// All values of a header.
    fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The value of a header that must be there once.
    fn header(&self, name: &str) -> &str {
        let all = self.headers(name);
        assert_eq!(all.len(), 1, "{name} in {self:?}");
        all[0]
    }

    /// Checks that it is a failure that explains itself.
    #[track_caller]
    fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["status"], status);
        for part in ["title", "detail", "error", "hint"] {
            assert!(
                body[part].as_str().is_some_and(|text| !text.is_empty()),
                "{part} in {self:?}"
            );
        }
    }
}

/// A request's text, with what every request needs.
fn request(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Writes `text` and reads until the end.
async fn exchange(to: SocketAddr, text: String) -> Reply {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // The server may answer, and close, before it has read everything.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut bytes = Vec::new();
    timeout(LONG, stream.read_to_end(&mut bytes))
        .await
        .expect("no response")
        .unwrap();
    Reply::read(&bytes)
}

async fn send(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    exchange(to, request(to, method, path, headers, body)).await
}

async fn get(to: SocketAddr, path: &str) -> Reply {
    send(to, "GET", path, "", "").await
}

async fn post(to: SocketAddr, path: &str, offer: &str) -> Reply {
    send(to, "POST", path, "Content-Type: application/sdp\r\n", offer).await
}

/// An element with viewers of its own: answers whoever joins.
fn answering(mut supervisor: Supervisor) -> JoinHandle<usize> {
    tokio::spawn(async move {
        let mut joined = 0;
        while let Some(event) = supervisor.events.recv().await {
            if let Event::Incoming(Incoming::Message {
                peer,
                message: Message::Offer { .. },
            }) = event
            {
                joined += 1;
                assert!(supervisor.send(Outgoing::Message {
                    peer,
                    message: Message::Answer { sdp: "v=0".into() }
                }));
            }
        }
        joined
    })
}
