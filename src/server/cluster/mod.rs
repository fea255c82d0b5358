//! Several servers as one, joined by NATS: a publisher on one of them, viewers on
//! any (`--nats`).
//!
//! A stream that another server has is in our hub, too, as a *proxy*: to our
//! viewers it is a stream like any other, only that its publisher is reached
//! through its home. When a server dies its publishers go to another one, with
//! their sessions (`docs/sigmund-v1.md`), and all others follow them there.
//!
//! | module | it is |
//! |---|---|
//! | [`wire`] | what servers tell each other |
//! | [`directory`] | which servers there are, and what they have. Pure |
//! | [`proxies`] | streams of others that our viewers watch |
//! | [`links`] | viewers of others that watch streams of ours |
//! | [`post`] | what leaves |

mod directory;
mod links;
mod post;
mod proxies;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::client::PublishErrorKind;
use async_nats::{Client, ConnectOptions, Message, RequestErrorKind, StatusCode, Subscriber};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::directory::{Beat, Directory};
use self::links::Links;
use self::post::{Letter, Post};
use self::proxies::{Proxies, Taken};
use self::wire::{ALL, Listed, Says, ServerId, Word};
use super::elsewhere::Ask;
use super::hub::{Hub, random_name};
use super::rules::Current;
use super::socket::Slots;
use crate::access::Token;
use crate::message::PeerId;
use crate::message::v1::PUBLISHER;
use crate::signaller::SignallerError;
use crate::signaller::dial::Tls;

/// How often a server says that it is there.
const BEAT: Duration = Duration::from_millis(500);

/// How often changed numbers of viewers are told.
const LOOK: Duration = Duration::from_millis(250);

/// How often an edge tells its homes all that it carries, in case a word was lost.
const SETTLE: Duration = Duration::from_secs(15);

/// How long another server may take to let go of a client.
const CLAIM: Duration = Duration::from_secs(3);

/// How many words may wait for us: those of thousands of viewers.
const INBOX: usize = 64 * 1024;

/// How long NATS may take to say that nobody listens.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// How long the system may take to send our last words.
const FAREWELL: Duration = Duration::from_millis(500);

/// Where NATS is, and how it lets us in.
#[derive(Clone, Debug, PartialEq)]
pub struct Nats {
    /// `nats://HOST:PORT` or `nats+tls://…`; any of them will do.
    pub servers: Vec<String>,
    /// A token, or `USER:PASSWORD`.
    pub token: Option<NatsToken>,
    /// PEM file of certificates that are trusted besides the system's roots.
    pub tls_ca: Option<std::path::PathBuf>,
}

/// What lets us in at NATS; compared in constant time, never shown.
#[derive(Clone, Debug)]
pub struct NatsToken(pub Token);

impl PartialEq for NatsToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

/// What a cluster works with.
pub(super) struct House {
    pub(super) hub: Arc<Hub>,
    pub(super) slots: Slots,
    pub(super) rules: Arc<Current>,
    pub(super) asks: mpsc::Receiver<Ask>,
    /// Its sender's end means that the server stops.
    pub(super) stop: watch::Receiver<()>,
}

/// Joins the others. Goes on without them while NATS cannot be reached.
pub(super) async fn run(nats: Nats, house: House) {
    let mut stop = house.stop.clone();
    let joined = tokio::select! {
        joined = Cluster::join(&nats, house) => joined,
        _ = stop.changed() => return,
    };
    match joined {
        Ok((cluster, client, out)) => {
            let posting = tokio::spawn(send(client.clone(), out));
            cluster.run().await;
            // The senders are gone: it ends with the last word.
            let last = async {
                let _ = posting.await;
                let _ = client.flush().await;
            };
            let _ = timeout(FAREWELL, last).await;
        }
        Err(error) => tracing::error!("servers are not joined: {error}"),
    }
}

async fn send(client: Client, mut out: mpsc::Receiver<Letter>) {
    let mut told = false;
    while let Some(letter) = out.recv().await {
        let Letter {
            subject,
            absent,
            word,
        } = letter;
        let sent = match absent {
            Some(absent) => client.publish_with_reply(subject, absent, word).await,
            None => client.publish(subject, word).await,
        };
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::Send => return,
            // One word that cannot be said is no reason to say nothing any more.
            Err(error) => complain(&mut told, &error),
        }
    }
}

/// Once is enough: what is too long is often too long again.
fn complain(told: &mut bool, error: &dyn std::fmt::Display) {
    if !std::mem::replace(told, true) {
        tracing::error!(
            "other servers do not learn all: {error}; raise max_payload in the configuration of NATS"
        );
    }
}

async fn connect(nats: &Nats, news: mpsc::Sender<bool>) -> Result<Client, SignallerError> {
    let mut options = ConnectOptions::new()
        .name("sigmund serve")
        .connection_timeout(Duration::from_secs(5))
        .ping_interval(Duration::from_secs(5))
        .subscription_capacity(INBOX)
        .retry_on_initial_connect()
        .reconnect_delay_callback(|attempt| {
            let steps = u32::try_from(attempt).unwrap_or(u32::MAX);
            Duration::from_millis(100).saturating_mul(steps.min(10))
        })
        .event_callback(move |event| {
            let news = news.clone();
            async move {
                match event {
                    async_nats::Event::Connected => drop(news.send(true).await),
                    async_nats::Event::Disconnected => drop(news.send(false).await),
                    // Words were dropped: as if the connection had been lost.
                    async_nats::Event::SlowConsumer(_) => drop(news.try_send(true)),
                    event => tracing::warn!("NATS: {event}"),
                }
            }
        });
    let config = Tls::new(nats.tls_ca.clone()).config().await?;
    let encrypted = nats.servers.iter().any(|it| it.starts_with("nats+tls:"));
    options = options
        .tls_client_config((*config).clone())
        .require_tls(encrypted);
    if let Some(NatsToken(token)) = &nats.token {
        options = match token.reveal().split_once(':') {
            Some((user, password)) => {
                options.user_and_password(user.to_owned(), password.to_owned())
            }
            None => options.token(token.reveal().to_owned()),
        };
    }
    let places = nats
        .servers
        .iter()
        .map(|it| it.replacen("nats+tls:", "tls:", 1));
    let places = places
        .map(|it| it.parse::<async_nats::ServerAddr>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| SignallerError::Permanent(error.to_string()))?;
    let client = options.connect(places).await;
    client.map_err(|error| SignallerError::Permanent(error.to_string()))
}

/// One server among others. One task owns it all.
struct Cluster {
    me: ServerId,
    house: House,
    client: Client,
    post: Post,
    directory: Directory,
    proxies: Proxies,
    links: Links,
    /// What we have told of ourselves.
    listed: Vec<Listed>,
    edition: u64,
    connected: bool,
    all: Subscriber,
    own: Subscriber,
    absent: Subscriber,
    news: mpsc::Receiver<bool>,
}

impl Cluster {
    async fn join(
        nats: &Nats,
        house: House,
    ) -> Result<(Self, Client, mpsc::Receiver<Letter>), SignallerError> {
        let failed = |error: &dyn std::fmt::Display| SignallerError::Transient(error.to_string());
        let name = random_name::<9>().map_err(|_| failed(&"the system gives no random numbers"))?;
        let me = ServerId::parse(&name).ok_or_else(|| failed(&"a name that is none"))?;
        let (news_in, news) = mpsc::channel(16);
        let client = connect(nats, news_in).await?;
        let all = client.subscribe(ALL).await.map_err(|it| failed(&it))?;
        let own = client
            .subscribe(me.subject())
            .await
            .map_err(|it| failed(&it))?;
        let absent = client.subscribe(me.absent("*")).await;
        let absent = absent.map_err(|it| failed(&it))?;
        let (post, out) = Post::new(me.clone());
        let links = Links::new(
            house.hub.clone(),
            house.slots.clone(),
            post.clone(),
            house.stop.clone(),
        );
        let proxies = Proxies::new(house.hub.clone(), post.clone());
        let cluster = Self {
            me,
            house,
            client: client.clone(),
            post,
            directory: Directory::default(),
            proxies,
            links,
            listed: Vec::new(),
            edition: 0,
            connected: false,
            all,
            own,
            absent,
            news,
        };
        Ok((cluster, client, out))
    }

    async fn run(mut self) {
        let mut stop = self.house.stop.clone();
        let mut changes = self.house.hub.changes();
        let [mut beat, mut look, mut settle] = [BEAT, LOOK, SETTLE].map(interval);
        for ticks in [&mut beat, &mut look, &mut settle] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                Some(connected) = self.news.recv() => self.connection(connected).await,
                Some(message) = self.all.next() => self.hear(&message),
                Some(message) = self.own.next() => self.hear(&message),
                Some(message) = self.absent.next() => self.miss(&message),
                Some((stream, number, note)) = self.proxies.said() => self.proxies.up(&stream, number, note),
                Some(ask) = self.house.asks.recv() => self.ask(ask),
                Ok(()) = changes.changed() => { self.tell(false); self.reconcile(); }
                _ = look.tick() => { self.expire(); self.tell(false); }
                _ = beat.tick() => self.post.all(Says::Here { edition: self.edition }),
                _ = settle.tick() => self.proxies.settle_all(),
            }
        }
        self.post.all(Says::Stops);
    }

    async fn connection(&mut self, connected: bool) {
        if connected {
            // It answers in turn: when it has, it knows again what we listen to.
            let answer = self.client.request(self.me.nobody(), Vec::new().into());
            let _ = timeout(ROUND_TRIP, answer).await;
            tracing::info!("joined to other servers by NATS");
            self.directory.excuse(Instant::now());
            self.tell(true);
            self.proxies.settle_all();
        } else if self.connected {
            tracing::warn!("NATS is lost: until it is back, this server is alone");
        }
        self.connected = connected;
    }

    /// Tells the others what we have, if that is news. `asks`: for theirs, too.
    fn tell(&mut self, asks: bool) {
        // A server that stops has no streams any more, which have not ended for all that.
        if self.house.stop.has_changed().is_err() {
            return;
        }
        let listed = self.own();
        if listed == self.listed && !asks {
            return;
        }
        self.edition += u64::from(listed != self.listed);
        self.listed = listed;
        self.post.all(self.streams(asks));
    }

    fn own(&self) -> Vec<Listed> {
        let own = self.house.hub.own_streams().into_iter();
        own.map(Listed::from).collect()
    }

    fn streams(&self, asks: bool) -> Says {
        Says::Streams {
            edition: self.edition,
            streams: self.listed.clone(),
            asks,
        }
    }

    fn hear(&mut self, message: &Message) {
        let Some(Word { from, says }) = Word::read(&message.payload) else {
            tracing::debug!("a word of another server that makes no sense");
            return;
        };
        if from == self.me {
            return;
        }
        let now = Instant::now();
        match says {
            Says::Here { edition } => {
                if self.directory.beat(&from, edition, now) == Beat::Stale {
                    self.post.one(&from, self.streams(true));
                }
            }
            Says::Streams {
                edition,
                streams,
                asks,
            } => {
                self.directory.list(&from, edition, streams, now);
                if asks {
                    self.post.one(&from, self.streams(false));
                }
                self.reconcile();
            }
            Says::Stops => self.lose(&from),
            Says::Up { stream, envelope } => self.links.hear(&from, &stream, envelope),
            Says::Carries { stream, sessions } => self.links.settle(&from, &stream, sessions),
            Says::Down { stream, envelope } => self.proxies.down(&from, &stream, envelope),
            Says::Claim { stream, mark } => self.claimed(&from, stream, mark, message),
            Says::Claimed { .. } => {}
        }
    }

    /// Somebody whom we spoke to is not there any more.
    fn miss(&mut self, message: &Message) {
        let is_missing = message.status == Some(StatusCode::NO_RESPONDERS);
        let name = message.subject.rsplit('.').next().unwrap_or_default();
        if let (true, Some(server)) = (is_missing, ServerId::parse(name)) {
            self.lose(&server);
        }
    }

    fn expire(&mut self) {
        if self.connected {
            for server in self.directory.expire(Instant::now()) {
                tracing::warn!(%server, "another server is gone");
                self.links.lose(&server);
            }
        }
        let grace = self.house.rules.get().limits.resume_timeout;
        self.proxies.expire(grace);
        self.reconcile();
    }

    fn lose(&mut self, server: &ServerId) {
        if self.directory.forget(server) {
            self.links.lose(server);
            self.reconcile();
        }
    }

    /// Has a proxy for each stream that others have and we have not.
    fn reconcile(&mut self) {
        let own = self.own();
        let names = self.directory.streams();
        for name in &names {
            let Some((home, listed)) = self.directory.home(name) else {
                continue;
            };
            let mine = own.iter().find(|it| it.name == *name);
            // Ours makes way only when its publisher has gone there.
            if mine.is_some_and(|it| !it.away || listed.away) {
                continue;
            }
            if mine.is_some() {
                self.links.give_up(name);
            }
            let links = &self.links;
            self.proxies
                .follow(home, listed, |peer| links.carries(peer));
        }
        let directory = &self.directory;
        self.proxies
            .orphan(|stream, home| (directory.home(stream).is_some(), directory.has(home)));
    }

    /// One of our clients says that it has been elsewhere.
    fn ask(&mut self, ask: Ask) {
        let Some((home, _)) = self.directory.home(&ask.stream) else {
            let _ = ask.reply.send(None);
            return;
        };
        let (client, subject) = (self.client.clone(), home.subject());
        let says = Says::Claim {
            stream: ask.stream.clone(),
            mark: ask.mark.clone(),
        };
        let word = self.post.word(says);
        let taken = self.proxies.taken();
        tokio::spawn(async move {
            let answer = timeout(CLAIM, client.request(subject, word)).await;
            let peer = match answer {
                Ok(Ok(message)) => match Word::read(&message.payload) {
                    Some(Word {
                        says: Says::Claimed { peer },
                        ..
                    }) => peer.map(PeerId::new),
                    _ => None,
                },
                // It is dead: what it had is lost, and whoever has it may come.
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders && ask.hosts => {
                    Some(PeerId::new(PUBLISHER))
                }
                _ => None,
            };
            if let Some(peer) = peer.clone() {
                let let_go = if ask.hosts {
                    Taken::Host(ask.stream)
                } else {
                    Taken::Viewer(ask.stream, peer, ask.mark)
                };
                let _ = taken.send(let_go).await;
            }
            let _ = ask.reply.send(peer);
        });
    }

    /// A client of ours is at another server now.
    fn claimed(&self, from: &ServerId, stream: String, mark: String, message: &Message) {
        let Some(reply) = message.reply.clone() else {
            return;
        };
        let (links, post, from) = (self.links.clone(), self.post.clone(), from.clone());
        let grace = self.house.rules.get().limits.resume_timeout;
        tokio::spawn(async move {
            let peer = links.claim(&from, &stream, &mark, grace).await;
            let peer = peer.map(|it| it.as_str().to_owned());
            post.answer(reply.to_string(), Says::Claimed { peer });
        });
    }
}
