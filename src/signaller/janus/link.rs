//! A session with Janus: requests and their answers.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::protocol::{self, Fault, PLUGIN, Packet, code, refused};
use crate::access::Token;
use crate::message::Message;
use crate::sdp::Receives;
use crate::signaller::SignallerError;
use crate::signaller::socket::Socket;

/// How many packets are kept that come while an answer is waited for.
const BACKLOG: usize = 256;

/// What Janus calls us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    id: u64,
    /// Our place at the plugin.
    pub(super) handle: u64,
}

/// A WebSocket to Janus.
pub(super) struct Link {
    socket: Socket,
    token: Option<Token>,
    session: Option<Session>,
    /// Counts requests, for their names.
    asked: u64,
    backlog: VecDeque<Packet>,
}

/// Why a request has failed.
enum Failure {
    /// Janus says no.
    Refused(Fault),
    /// It says nothing.
    Lost(SignallerError),
}

impl From<Failure> for SignallerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(fault) => refused(&fault),
            Failure::Lost(error) => error,
        }
    }
}

impl Link {
    pub(super) fn new(socket: Socket, token: Option<Token>) -> Self {
        Self {
            socket,
            token,
            session: None,
            asked: 0,
            backlog: VecDeque::new(),
        }
    }

    /// Takes up a session from before. `false` if Janus has ended it.
    pub(super) async fn claim(&mut self, session: Session) -> Result<bool, SignallerError> {
        self.session = Some(session);
        match self.ask(json!({"janus": "claim"})).await {
            Ok(_) => Ok(true),
            Err(Failure::Refused(Fault {
                code: code::NO_SUCH_SESSION,
                ..
            })) => {
                self.session = None;
                Ok(false)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Begins a session at the plugin.
    pub(super) async fn create(&mut self) -> Result<Session, SignallerError> {
        let made_none = || SignallerError::Transient("Janus made no session".to_owned());
        let made = self.ask(json!({"janus": "create"})).await?;
        let id = made.created().ok_or_else(made_none)?;
        self.session = Some(Session { id, handle: 0 });
        let made = self
            .ask(json!({"janus": "attach", "plugin": PLUGIN}))
            .await?;
        let handle = made.created().ok_or_else(made_none)?;
        let session = Session { id, handle };
        self.session = Some(session);
        Ok(session)
    }

    /// Enters a room as `display`.
    pub(super) async fn join(&mut self, room: &str, display: &str) -> Result<(), SignallerError> {
        let token = self.token.clone();
        let token = token.as_ref().map(Token::reveal);
        match self.ask(protocol::join(room, false, display, token)).await {
            // This Janus may name rooms by texts that look like numbers.
            Err(Failure::Refused(Fault {
                code: code::INVALID_ELEMENT,
                ..
            })) => {
                self.ask(protocol::join(room, true, display, token)).await?;
            }
            joined => drop(joined?),
        }
        Ok(())
    }

    /// Asks to watch the first one in the room who publishes; what is offered.
    pub(super) async fn subscribe(&mut self, room: &str) -> Result<Message, SignallerError> {
        let mut as_text = false;
        let there = match self.ask(protocol::participants(room, as_text)).await {
            Err(Failure::Refused(Fault {
                code: code::INVALID_ELEMENT,
                ..
            })) => {
                as_text = true;
                self.ask(protocol::participants(room, as_text)).await?
            }
            there => there?,
        };
        let nobody = || {
            let text = "nobody publishes to this room of Janus yet";
            SignallerError::Transient(text.to_owned())
        };
        let feed = there.feed().ok_or_else(nobody)?;
        let token = self.token.clone();
        let token = token.as_ref().map(Token::reveal);
        let request = protocol::subscribe(room, as_text, feed, token);
        let offer = self.ask(request).await?.offer().ok_or_else(nobody)?;
        let checked = offer.check();
        checked.map_err(|error| SignallerError::Transient(error.to_string()))?;
        Ok(offer)
    }

    /// What the room takes; `None` if Janus does not say, as of private rooms.
    pub(super) async fn codecs(&mut self, room: &str) -> Result<Option<Receives>, SignallerError> {
        match self.ask(protocol::list()).await {
            Ok(rooms) => Ok(rooms.codecs(room)),
            Err(Failure::Refused(_)) => Ok(None),
            Err(Failure::Lost(error)) => Err(error),
        }
    }

    /// Our place at the plugin.
    pub(super) fn handle(&self) -> u64 {
        self.session.map_or(0, |session| session.handle)
    }

    /// Sends a request; answers its name.
    pub(super) async fn post(&mut self, mut request: Value) -> Result<String, SignallerError> {
        self.asked += 1;
        let transaction = self.asked.to_string();
        request["transaction"] = transaction.as_str().into();
        if let Some(Session { id, handle }) = self.session {
            request["session_id"] = id.into();
            // The others are about the session, and refused with a handle.
            if matches!(request["janus"].as_str(), Some("message" | "trickle")) {
                request["handle_id"] = handle.into();
            }
        }
        // One of both is asked for, if any, and the other is not looked at.
        if let Some(token) = &self.token {
            request["apisecret"] = token.reveal().into();
            request["token"] = token.reveal().into();
        }
        self.socket.send(&request).await?;
        Ok(transaction)
    }

    /// The next packet. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Packet, SignallerError> {
        match self.backlog.pop_front() {
            Some(packet) => Ok(packet),
            None => self.socket.receive_json().await,
        }
    }

    /// Ends the session, and the WebSocket.
    pub(super) async fn destroy(mut self) {
        if self.post(json!({"janus": "destroy"})).await.is_ok() {
            self.socket.close().await;
        }
    }

    /// Sends a request and waits for its answer.
    async fn ask(&mut self, request: Value) -> Result<Packet, Failure> {
        let transaction = self.post(request).await.map_err(Failure::Lost)?;
        loop {
            let packet: Packet = self.socket.receive_json().await.map_err(Failure::Lost)?;
            if packet.transaction.as_ref() != Some(&transaction) {
                if self.backlog.len() < BACKLOG {
                    self.backlog.push_back(packet);
                }
                continue;
            }
            match packet.fault() {
                Some(fault) => return Err(Failure::Refused(fault)),
                // The answer proper follows.
                None if packet.janus == "ack" => (),
                None => return Ok(packet),
            }
        }
    }
}
