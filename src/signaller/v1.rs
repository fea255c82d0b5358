//! `sigmund+ws(s)://HOST[:PORT]/STREAM` (short `ws(s)://`): a client of
//! `sigmund serve`, by the protocol `sigmund.v1`.
//!
//! Who receives waits at the server until somebody sends. In a call the first at
//! a stream is its host, and offers; the server says who was the first.
//!
//! A connection that is lost is resumed: peers and notes that were on their way
//! are kept on both sides. A server that has forgotten us (it was restarted, or
//! we were away too long) gets our stream anew, with the sessions that we still
//! have. Media that flows goes on: a viewer joins anew only when its owner has
//! ended the session of before.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::dial::{self, Tls, quote};
use super::envelope::{
    CHANNEL, from_publisher, from_viewer, handed_out, publisher_joined, to_incoming,
};
use super::socket::Socket;
use super::{
    Capabilities, Connection, Incoming, Offerer, OpenError, Options, Outgoing, Role, Signaller,
    SignallerError,
};
use crate::access::Token;
use crate::address::{SignallingUri, check_stream_name};
use crate::message::v1::{
    self, Code, Envelope, Failure, Hello, PUBLISHER, Secret, Standing, Welcome,
};
use crate::message::{Message, PeerId, VERSION};
use crate::sdp::Receives;

/// Of a publisher, whose peers say theirs when they join.
pub(super) const CAPABILITIES: Capabilities = CHANNEL;

/// How we name ourselves.
const AGENT: &str = concat!("sigmund/", env!("CARGO_PKG_VERSION"));

/// How many notes wait in each queue.
const QUEUE: usize = 4096;

/// How long the server may take to answer a hello.
const WELCOME: Duration = Duration::from_secs(10);

/// How long the connection before may take to end.
const LET_GO: Duration = Duration::from_secs(1);

/// How many peers a server may have us keep in mind.
const PEERS: usize = 65_536;

/// How much of a hello sessions may take, in bytes: a server takes no more than
/// [`MAX_TO_SERVER`](v1::MAX_TO_SERVER) in all.
const STANDING: usize = v1::MAX_TO_SERVER / 2;

/// Makes a signaller for `uri`.
pub(super) fn open(
    uri: &SignallingUri,
    options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    let role = match options.role {
        Role::Publish => v1::Role::Publish,
        Role::Subscribe => v1::Role::View,
        Role::Both => v1::Role::Call,
    };
    let stream = uri
        .stream
        .clone()
        .unwrap_or_else(|| options.default_stream.clone());
    check_stream_name(&stream).map_err(|error| OpenError(error.to_string()))?;
    Ok(Box::new(V1 {
        servers: servers(uri)?,
        at: 0,
        role,
        stream,
        token: options.token.clone(),
        receives: options.receives.clone(),
        tls: Tls::new(options.tls_ca.clone()),
        resume: None,
        side: match role {
            v1::Role::Publish => Side::Host,
            v1::Role::View | v1::Role::Call => Side::Guest,
        },
        state: Arc::default(),
        carrier: None,
        why: None,
    }))
}

/// Where the WebSockets of the servers are.
fn servers(uri: &SignallingUri) -> Result<Vec<Url>, OpenError> {
    let first = (uri.host.clone(), uri.port);
    let hosts = [first].into_iter().chain(uri.others.iter().cloned());
    hosts
        .map(|(host, port)| url(&uri.scheme, &host, port))
        .collect()
}

fn url(scheme: &str, host: &str, port: Option<u16>) -> Result<Url, OpenError> {
    let scheme = scheme.strip_prefix("sigmund+").unwrap_or(scheme);
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    if host.is_empty() {
        let right = "sigmund+wss://relay.example.net/camera";
        return Err(OpenError(format!("the URI has no host; write {right}")));
    }
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    Url::parse(&format!("{scheme}://{host}{port}/ws"))
        .map_err(|error| OpenError(format!("bad address: {error}")))
}

struct V1 {
    /// At least one; any of them will do.
    servers: Vec<Url>,
    /// Which of them it was last.
    at: usize,
    role: v1::Role,
    stream: String,
    token: Option<Token>,
    receives: Option<Receives>,
    tls: Tls,
    /// What the server has welcomed us with.
    resume: Option<Secret>,
    /// What we were at last.
    side: Side,
    state: Arc<Mutex<State>>,
    carrier: Option<JoinHandle<Carried>>,
    /// Why the last connection ended.
    why: Option<SignallerError>,
}

/// What a client is to the others at its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// They come to it.
    Host,
    /// It has come to one, which is there from the beginning.
    Guest,
    /// One may come, and others after that.
    Waiting,
}

/// What outlives connections. Never held across a wait.
#[derive(Default)]
struct State {
    /// Who has joined and not left, and by what mark a server knows it again.
    peers: HashMap<PeerId, Option<String>>,
    /// What has not been sent yet.
    unsent: VecDeque<Outgoing>,
}

impl State {
    /// The sessions that a server could take back, as many as fit.
    fn standing(&self) -> Vec<Standing> {
        let marked = self.peers.iter().filter_map(|(peer, mark)| {
            let (peer, mark) = (peer.clone(), mark.clone()?);
            Some(Standing { peer, mark })
        });
        let mut length = 0;
        let fits = |it: &Standing| {
            // What JSON puts around them.
            length += it.peer.as_str().len() + it.mark.len() + 24;
            length <= STANDING
        };
        marked.take_while(fits).take(v1::MAX_STANDING).collect()
    }

    /// Goes on with the sessions that a server could take back.
    fn keep_standing(&mut self) {
        self.peers.retain(|_, mark| mark.is_some());
        let peers = &self.peers;
        self.unsent.retain(|note| peers.contains_key(note.peer()));
    }
}

/// How a connection ended.
enum Carried {
    /// Our owner has had enough; the connection, if any, is still there.
    Enough(Option<Box<Socket>>),
    /// It was lost.
    Lost(SignallerError),
}

#[async_trait]
impl Signaller for V1 {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            offerer: match self.role {
                // In a call it may be they, who say so when they join.
                v1::Role::Publish | v1::Role::Call => Offerer::Us,
                v1::Role::View => Offerer::Them,
            },
            ..CAPABILITIES
        }
    }

    async fn connect(&mut self) -> Result<Connection, SignallerError> {
        self.let_go().await;
        let Some((socket, welcome)) = self.be_welcomed().await? else {
            return Ok(self.detach());
        };
        let known = self.resume.replace(welcome.resume.clone()).is_some();
        self.side = match self.role {
            v1::Role::Publish => Side::Host,
            v1::Role::Call if welcome.host => Side::Host,
            v1::Role::View if welcome.sessions.is_some() => Side::Waiting,
            v1::Role::Call | v1::Role::View => Side::Guest,
        };
        let mut news = self.reconcile(&welcome, known);
        if !welcome.ice_servers.is_empty() {
            news.insert(0, handed_out(&welcome.ice_servers));
        }
        let (incoming_in, incoming) = mpsc::channel(QUEUE.max(news.len()));
        for note in news {
            // The queue is as long as that.
            let _ = incoming_in.try_send(note);
        }
        let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
        let carrier = Carrier {
            side: self.side,
            has_met: false,
            socket: Box::new(socket),
            state: self.state.clone(),
            incoming: incoming_in,
            outgoing: outgoing_out,
        };
        self.carrier = Some(tokio::spawn(carrier.run()));
        Ok(Connection {
            // It is shown on terminals.
            address: welcome.address.filter(|it| !it.contains(char::is_control)),
            incoming,
            outgoing,
        })
    }

    async fn lost(&mut self) -> Option<SignallerError> {
        self.let_go().await;
        self.why.take()
    }

    async fn close(&mut self) {
        // It ends when the owner has dropped its sender and all is delivered.
        if let Some(carrier) = self.carrier.take()
            && let Ok(Carried::Enough(Some(socket))) = carrier.await
        {
            socket.close().await;
        }
    }
}

impl V1 {
    /// Waits for the end of the connection before, but not for long. Cancel safe.
    async fn let_go(&mut self) {
        let Some(carrier) = &mut self.carrier else {
            return;
        };
        match timeout(LET_GO, &mut *carrier).await {
            Ok(Ok(Carried::Lost(why))) => self.why = Some(why),
            Ok(_) => {}
            Err(_) => carrier.abort(),
        }
        self.carrier = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Goes on without the server, which has forgotten our session: its media may
    /// well be there still. The connection is over when the session is.
    fn detach(&mut self) -> Connection {
        let (incoming_in, incoming) = mpsc::channel(1);
        let (outgoing, mut outgoing_out) = mpsc::channel(QUEUE);
        let state = self.state.clone();
        self.carrier = Some(tokio::spawn(async move {
            let _open = incoming_in;
            loop {
                match outgoing_out.recv().await {
                    None => return Carried::Enough(None),
                    Some(
                        Outgoing::End { .. }
                        | Outgoing::Refuse { .. }
                        | Outgoing::Message {
                            message: Message::PleaseOffer { .. } | Message::Bye { .. },
                            ..
                        },
                    ) => break,
                    Some(Outgoing::Message { .. } | Outgoing::Report { .. }) => {}
                }
            }
            *lock(&state) = State::default();
            let why = "the server had forgotten the session; it is asked for another";
            Carried::Lost(SignallerError::Transient(why.to_owned()))
        }));
        Connection {
            address: None,
            incoming,
            outgoing,
        }
    }

    /// Dials the server and says hello. `None` for a guest whose session the
    /// server does not know any more.
    async fn be_welcomed(&mut self) -> Result<Option<(Socket, Welcome)>, SignallerError> {
        if self.side == Side::Waiting && self.state().peers.is_empty() {
            // There is nothing to come back to.
            self.resume = None;
        }
        loop {
            let mut socket = Socket::new(self.dial().await?);
            let hello = Envelope::Hello(Hello {
                version: VERSION.to_owned(),
                role: self.role,
                stream: self.stream.clone(),
                token: self.token.as_ref().map(|it| Secret::new(it.reveal())),
                resume: self.resume.clone(),
                sessions: match self.side {
                    Side::Host => self.state().standing(),
                    Side::Guest | Side::Waiting => Vec::new(),
                },
                wait: self.role == v1::Role::View,
                host: self.hosts_a_call() && self.resume.is_some(),
                receives: self.receives.clone(),
                agent: Some(AGENT.to_owned()),
            });
            let place = self.place();
            let answered = timeout(WELCOME, async {
                socket.send(&hello).await?;
                first(&mut socket).await
            });
            let silent = |_| SignallerError::Transient(format!("{place} does not answer"));
            match answered.await.map_err(silent)?? {
                Ok(welcome) => return Ok(Some((socket, welcome))),
                Err(Failure {
                    code: Code::Gone, ..
                }) if self.resume.take().is_some() => {
                    if !self.state().peers.is_empty() {
                        return Ok(None);
                    }
                }
                // Somebody else is host now, and nobody of ours is left.
                Err(Failure {
                    code: Code::Taken, ..
                }) if self.hosts_a_call()
                    && self.resume.is_some()
                    && self.state().peers.is_empty() =>
                {
                    self.resume = None;
                    self.side = Side::Guest;
                }
                Err(failure) => return Err(refused(&place, &failure)),
            }
        }
    }

    /// Are we the host of a call?
    fn hosts_a_call(&self) -> bool {
        self.role == v1::Role::Call && self.side == Side::Host
    }

    /// What has happened meanwhile. `known`: have we been welcomed before?
    fn reconcile(&self, welcome: &Welcome, known: bool) -> Vec<Incoming> {
        let mut state = self.state();
        let left = |peer| Incoming::Left {
            peer,
            reason: "it left while the connection to the server was lost".to_owned(),
        };
        match (self.side, &welcome.sessions) {
            (Side::Host, Some(here)) => {
                let here: HashSet<_> = here.iter().cloned().collect();
                let known: HashSet<_> = state.peers.keys().cloned().collect();
                let gone: Vec<_> = known.difference(&here).cloned().collect();
                let strange: Vec<_> = here.difference(&known).cloned().collect();
                // Their coming, or their end, was lost on the way.
                let ends = strange.into_iter().map(lost_with_a_connection);
                state.unsent.extend(ends);
                state.peers.retain(|peer, _| here.contains(peer));
                gone.into_iter().map(left).collect()
            }
            (Side::Host, None) => {
                // The server has forgotten all, and takes back what it was told of.
                // Those who have joined go on anyhow.
                state.keep_standing();
                Vec::new()
            }
            (Side::Waiting, Some(here)) if known => {
                let gone = here.is_empty().then(|| state.peers.drain().next());
                let gone = gone.flatten().map(|(peer, _)| peer);
                gone.into_iter().map(left).collect()
            }
            // It is told who is here.
            (Side::Waiting, _) => {
                *state = State::default();
                Vec::new()
            }
            (Side::Guest, _) if known && !state.peers.is_empty() => Vec::new(),
            (Side::Guest, _) => {
                *state = State::default();
                state.peers.insert(PeerId::new(PUBLISHER), None);
                let channel = Capabilities {
                    offerer: Offerer::Them,
                    ..CAPABILITIES
                };
                vec![publisher_joined("v1", channel)]
            }
        }
    }

    /// The server that it was last, or the next that there is.
    async fn dial(&mut self) -> Result<dial::WebSocket, SignallerError> {
        let mut tried = 0;
        loop {
            let url = &self.servers[self.at];
            let dialled = dial::websocket(url, &self.tls, Some(VERSION), None).await;
            tried += 1;
            if dialled.is_ok() || tried >= self.servers.len() {
                return dialled;
            }
            self.at = (self.at + 1) % self.servers.len();
        }
    }

    /// The server's name for errors.
    fn place(&self) -> String {
        self.servers[self.at][url::Position::BeforeScheme..url::Position::AfterPort].to_owned()
    }
}

/// The server's answer to a hello.
async fn first(socket: &mut Socket) -> Result<Result<Welcome, Failure>, SignallerError> {
    loop {
        match read(&socket.receive().await?) {
            Some(Envelope::Welcome(welcome)) => return Ok(Ok(welcome)),
            Some(Envelope::Error(failure)) => return Ok(Err(failure)),
            _ => {}
        }
    }
}

/// What makes no sense is skipped, as what is unknown.
fn read(text: &str) -> Option<Envelope> {
    Envelope::read(text).unwrap_or_else(|error| {
        tracing::debug!("a message that makes no sense: {error}");
        None
    })
}

fn refused(place: &str, failure: &Failure) -> SignallerError {
    let said = quote(failure.text.as_bytes());
    let hint = match failure.code {
        Code::Unauthorized => "; set the property `token` to one that it accepts",
        _ => "",
    };
    let text = format!("{place}: {said} ({}){hint}", failure.code.as_str());
    if failure.retry {
        SignallerError::Transient(text)
    } else {
        SignallerError::Permanent(text)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session of one whose coming was lost on the way cannot go on.
fn lost_with_a_connection(peer: PeerId) -> Outgoing {
    let reason = "its session was lost with a connection".to_owned();
    Outgoing::End { peer, reason }
}

/// Carries notes until the connection is lost, or its owner gone.
struct Carrier {
    side: Side,
    /// Has this very connection told that somebody has come?
    has_met: bool,
    socket: Box<Socket>,
    state: Arc<Mutex<State>>,
    incoming: mpsc::Sender<Incoming>,
    outgoing: mpsc::Receiver<Outgoing>,
}

impl Carrier {
    async fn run(mut self) -> Carried {
        let lost = loop {
            if let Err(error) = self.send().await {
                break error;
            }
            tokio::select! {
                note = self.outgoing.recv() => match note {
                    Some(note) => self.queue(note),
                    None => return Carried::Enough(Some(self.socket)),
                },
                text = self.socket.receive() => {
                    let heard = match text {
                        Ok(text) => self.hear(&text).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = heard {
                        break error;
                    }
                }
            }
        };
        self.outgoing.close();
        while let Ok(note) = self.outgoing.try_recv() {
            self.queue(note);
        }
        Carried::Lost(lost)
    }

    fn queue(&self, note: Outgoing) {
        let mut state = lock(&self.state);
        if let Outgoing::End { peer, .. } | Outgoing::Refuse { peer, .. } = &note {
            state.peers.remove(peer);
        }
        state.unsent.push_back(note);
    }

    /// Sends what waits. What cannot be sent is kept for the next connection.
    async fn send(&mut self) -> Result<(), SignallerError> {
        loop {
            let Some(note) = lock(&self.state).unsent.front().cloned() else {
                return Ok(());
            };
            if let (Side::Guest | Side::Waiting, Outgoing::Report { .. }) = (self.side, &note) {
                lock(&self.state).unsent.pop_front();
                continue;
            }
            let envelope = match self.side {
                Side::Host | Side::Waiting => note.into(),
                Side::Guest => from_viewer(note),
            };
            self.socket.send(&envelope).await?;
            lock(&self.state).unsent.pop_front();
        }
    }

    /// One that comes before the one that was here has left: that note was lost.
    fn replaced(&self) -> Option<Incoming> {
        let (peer, _) = lock(&self.state).peers.drain().next()?;
        let reason = "another has come in its place".to_owned();
        Some(Incoming::Left { peer, reason })
    }

    /// Fails when that was the server's last word.
    async fn hear(&mut self, text: &str) -> Result<(), SignallerError> {
        let Some(envelope) = read(text) else {
            return Ok(());
        };
        let note = match (self.side, envelope) {
            (_, Envelope::Error(failure)) => return Err(refused("the server", &failure)),
            (Side::Waiting, Envelope::Joined { info, .. }) => {
                let left = self.replaced();
                if let Some(left) = left {
                    let _ = self.incoming.send(left).await;
                }
                self.has_met = true;
                let peer = PeerId::new(PUBLISHER);
                to_incoming(Envelope::Joined { peer, info })
            }
            (Side::Waiting, Envelope::Left { reason, .. }) => {
                let peer = PeerId::new(PUBLISHER);
                Some(Incoming::Left { peer, reason })
            }
            (Side::Waiting | Side::Guest, envelope) => from_publisher(envelope),
            (Side::Host, envelope) => to_incoming(envelope),
        };
        let Some(note) = note else { return Ok(()) };
        let known = {
            let State { peers, unsent } = &mut *lock(&self.state);
            match &note {
                Incoming::Joined { peer, info } => {
                    if peers.len() >= PEERS {
                        let text = format!("the server announces more than {PEERS} peers");
                        return Err(SignallerError::Permanent(text));
                    }
                    peers.insert(peer.clone(), info.mark.clone()).is_none()
                }
                Incoming::Message { peer, .. } if peers.contains_key(peer) => true,
                Incoming::Message { peer, .. } => {
                    if self.side == Side::Waiting && !self.has_met {
                        unsent.push_back(lost_with_a_connection(peer.clone()));
                    }
                    false
                }
                Incoming::Left { peer, .. } => peers.remove(peer).is_some(),
                Incoming::IceServers(_) => true,
            }
        };
        if known {
            // An owner that listens no longer drops its sender, too.
            let _ = self.incoming.send(note).await;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "v1_tests.rs"]
mod tests;
