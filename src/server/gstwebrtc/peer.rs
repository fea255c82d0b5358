//! One client.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::producer::Producer;
use super::sessions::Sessions;
use crate::access::{Action, Grant, Limits};
use crate::address::check_stream_name;
use crate::server::hub::{Kind, random_name};
use crate::server::routes::App;
use crate::server::socket::Caller;
use crate::signaller::gstwebrtc::protocol::{Listed, Note, Role, Status, ToPeer, ToServer};

/// How often a producer may speak, as a multiple of what others may.
const PRODUCER_SHARE: u32 = 64;

/// The versions that say why a session ends.
const WITH_REASONS: &str = "v1_1";

pub(super) struct Peer {
    app: Arc<App>,
    caller: Caller,
    token: Option<String>,
    /// What it is welcomed as.
    id: String,
    /// Does it want to hear why sessions end?
    reasons: bool,
    listening: Option<Listening>,
    producer: Option<Producer>,
    sessions: Sessions,
}

/// Of one that is told who produces.
struct Listening {
    changed: watch::Receiver<()>,
    /// The streams that it knows of.
    shown: BTreeSet<String>,
}

impl Peer {
    /// `None` if the system gives no random numbers.
    pub(super) fn new(app: Arc<App>, caller: Caller, token: Option<String>) -> Option<Self> {
        Some(Self {
            id: random_name::<16>().ok()?,
            app,
            caller,
            token,
            reasons: false,
            listening: None,
            producer: None,
            sessions: Sessions::default(),
        })
    }

    pub(super) fn welcome(&self) -> ToPeer {
        ToPeer::Welcome {
            peer_id: self.id.clone(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.app.rules().limits
    }

    pub(super) fn share(&self) -> u32 {
        match self.producer {
            Some(_) => PRODUCER_SHARE,
            None => 1,
        }
    }

    /// What the client says, and what it is told to that.
    pub(super) fn hear(&mut self, note: ToServer) -> Vec<ToPeer> {
        let answer = match note {
            ToServer::SetProtocolVersion { version } => {
                self.reasons = version == WITH_REASONS;
                Ok(Vec::new())
            }
            ToServer::SetPeerStatus(status) => self.set_status(status),
            ToServer::List => self.list(),
            ToServer::ListConsumers => Ok(vec![ToPeer::ListConsumers {
                consumers: Vec::new(),
            }]),
            ToServer::StartSession { peer_id, offer } => self.start(&peer_id, offer),
            ToServer::EndSession { session_id } => {
                self.end(&session_id, "it has left");
                Ok(Vec::new())
            }
            ToServer::EndSessionWhy { session_id, error } => {
                self.end(&session_id, error.as_deref().unwrap_or("it has left"));
                Ok(Vec::new())
            }
            ToServer::Peer(note) => self.pass_on(note).map(|()| Vec::new()),
        };
        answer.unwrap_or_else(|details| vec![ToPeer::Error { details }])
    }

    /// What it is told next. Cancel safe.
    pub(super) async fn told(&mut self) -> Vec<ToPeer> {
        let reasons = self.reasons;
        tokio::select! {
            told = producing(&mut self.producer) => match told {
                Some(told) => told,
                None => {
                    self.producer = None;
                    let details = "another producer has the stream now".to_owned();
                    vec![ToPeer::Error { details }]
                }
            },
            told = self.sessions.told(reasons) => vec![told],
            () = changed(&mut self.listening) => self.changes(),
        }
    }

    fn set_status(&mut self, mut status: Status) -> Result<Vec<ToPeer>, String> {
        let has = |role| status.roles.contains(&role);
        if has(Role::Producer) && has(Role::Consumer) {
            return Err("one cannot be both producer and consumer".to_owned());
        }
        match has(Role::Producer) {
            true => self.produce(status.meta.as_ref())?,
            false => self.producer = None,
        }
        if !has(Role::Listener) {
            self.listening = None;
            return Ok(Vec::new());
        }
        if self.listening.is_none() {
            let shown = self.streams()?;
            self.listening = Some(Listening {
                changed: self.app.hub.changes(),
                shown,
            });
        }
        // It waits for that.
        status.peer_id = Some(self.id.clone());
        Ok(vec![ToPeer::PeerStatusChanged(status)])
    }

    fn produce(&mut self, meta: Option<&Value>) -> Result<(), String> {
        let named = |key| meta?.get(key)?.as_str();
        let name = named("name")
            .or_else(|| named("display-name"))
            .unwrap_or(&self.id);
        check_stream_name(name).map_err(|error| error.0)?;
        if self.producer.as_ref().is_some_and(|it| it.name() == name) {
            return Ok(());
        }
        if !self.app.remote_publishers {
            let text = "this server belongs to one program and takes no producers from elsewhere; \
                        run `sigmund serve` for that";
            return Err(text.to_owned());
        }
        self.allowed(Action::Publish, Some(name))?;
        self.producer = None;
        let producer = Producer::new(&self.app.hub, name, self.caller.address)?;
        self.producer = Some(producer);
        Ok(())
    }

    fn list(&self) -> Result<Vec<ToPeer>, String> {
        let own = self
            .producer
            .as_ref()
            .map(|it| (it.name().to_owned(), self.id.clone()));
        let others = self.streams()?.into_iter().map(|name| (name.clone(), name));
        let producers = own.into_iter().chain(others).map(|(name, id)| Listed {
            id,
            meta: Some(meta(&name)),
        });
        Ok(vec![ToPeer::List {
            producers: producers.collect(),
        }])
    }

    fn start(&mut self, stream: &str, offer: Option<String>) -> Result<Vec<ToPeer>, String> {
        let grant = self.allowed(Action::View, Some(stream))?;
        let session_id = self
            .sessions
            .start(&self.app.hub, stream, offer, &self.caller, &grant)?;
        Ok(vec![ToPeer::SessionStarted {
            peer_id: stream.to_owned(),
            session_id,
        }])
    }

    fn pass_on(&mut self, note: Note) -> Result<(), String> {
        if self.sessions.has(&note.session_id) {
            return self.sessions.hear(note);
        }
        if let Some(producer) = &mut self.producer {
            producer.hear(note);
        }
        Ok(())
    }

    fn end(&mut self, session: &str, reason: &str) {
        if !self.sessions.end(session, reason)
            && let Some(producer) = &mut self.producer
        {
            producer.end(session, reason);
        }
    }

    /// What has changed since it was told last.
    fn changes(&mut self) -> Vec<ToPeer> {
        let now = self.streams().unwrap_or_default();
        let Some(listening) = &mut self.listening else {
            return Vec::new();
        };
        let before = std::mem::replace(&mut listening.shown, now);
        let told = |name: &String, roles| {
            ToPeer::PeerStatusChanged(Status {
                roles,
                meta: Some(meta(name)),
                peer_id: Some(name.clone()),
            })
        };
        let gone = before
            .difference(&listening.shown)
            .map(|it| told(it, Vec::new()));
        let come = listening.shown.difference(&before);
        let come = come.map(|it| told(it, vec![Role::Producer]));
        gone.chain(come).collect()
    }

    /// The streams of others that it may watch.
    fn streams(&self) -> Result<BTreeSet<String>, String> {
        let grant = self.allowed(Action::View, None)?;
        let own = self.producer.as_ref().map(Producer::name);
        let streams = self.app.hub.list().into_iter();
        let watchable = streams.filter(|stream| stream.kind == Kind::Publish);
        let streams = watchable.map(|stream| stream.name);
        let others = streams.filter(|name| grant.covers(name) && Some(name.as_str()) != own);
        Ok(others.collect())
    }

    fn allowed(&self, action: Action, stream: Option<&str>) -> Result<Grant, String> {
        let grant = self.app.check(self.token.as_deref(), action, stream);
        grant.map_err(|denied| {
            format!("{denied}; the token goes into the request's header Authorization: Bearer")
        })
    }
}

fn meta(name: &str) -> Value {
    json!({ "name": name })
}

/// `None`: the stream is another's now.
async fn producing(producer: &mut Option<Producer>) -> Option<Vec<ToPeer>> {
    match producer {
        Some(producer) => producer.told().await,
        None => std::future::pending().await,
    }
}

async fn changed(listening: &mut Option<Listening>) {
    if let Some(listening) = listening
        && listening.changed.changed().await.is_ok()
    {
        return;
    }
    // It does not listen; or the hub is gone, and we soon are, too.
    std::future::pending().await
}
