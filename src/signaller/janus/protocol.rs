//! The messages of Janus' API and of its plugin VideoRoom, as far as we use them.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::v1::MAX_CODECS;
use crate::message::{Candidate, Message};
use crate::sdp::{ReceivableCodec, Receives};
use crate::signaller::SignallerError;
use crate::signaller::dial::quote;

/// The plugin we talk to.
pub(super) const PLUGIN: &str = "janus.plugin.videoroom";

/// Errors of Janus itself and of the VideoRoom, by number.
pub(super) mod code {
    pub(in super::super) const UNAUTHORIZED: i64 = 403;
    pub(in super::super) const NO_SUCH_ROOM: i64 = 426;
    pub(in super::super) const MISSING_ELEMENT: i64 = 429;
    pub(in super::super) const INVALID_ELEMENT: i64 = 430;
    pub(in super::super) const NOT_ADMITTED: i64 = 433;
    pub(in super::super) const NO_SUCH_SESSION: i64 = 458;
    pub(in super::super) const NO_SUCH_PLUGIN: i64 = 460;
}

/// Anything that Janus sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::signaller) struct Packet {
    /// What it is: `success`, `ack`, `event`, `error`, `trickle`, `hangup`, …
    pub(super) janus: String,
    /// The request that it answers.
    pub(super) transaction: Option<String>,
    /// The handle that it is about.
    sender: Option<u64>,
    data: Option<Created>,
    error: Option<Fault>,
    plugindata: Option<PluginData>,
    jsep: Option<Jsep>,
    candidate: Option<Value>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Created {
    id: u64,
}

/// An error of Janus.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::signaller) struct Fault {
    pub(super) code: i64,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PluginData {
    data: Room,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Room {
    videoroom: String,
    error_code: Option<i64>,
    error: String,
    /// `"ok"` when it is we who leave, or else another's number.
    leaving: Value,
    reason: String,
    /// All rooms that are not private.
    list: Vec<Listed>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    room: Value,
    audiocodec: String,
    videocodec: String,
    h264_profile: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Jsep {
    r#type: String,
    sdp: String,
}

/// What a packet means for our session.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::signaller) enum News {
    /// A note from Janus.
    Note(Message),
    /// The session is over: why.
    Over(String),
}

impl Packet {
    /// The session or handle that was made.
    pub(in crate::signaller) fn created(&self) -> Option<u64> {
        self.data.as_ref().map(|created| created.id)
    }

    /// The error that it is, of Janus or of the room.
    pub(in crate::signaller) fn fault(&self) -> Option<Fault> {
        let room = self.plugindata.as_ref().and_then(|plugin| {
            Some(Fault {
                code: plugin.data.error_code?,
                reason: plugin.data.error.clone(),
            })
        });
        self.error.clone().or(room)
    }

    /// What a room takes, if it is in the list.
    pub(in crate::signaller) fn codecs(&self, room: &str) -> Option<Receives> {
        let is = |it: &&Listed| match &it.room {
            Value::String(name) => name == room,
            number => number
                .as_u64()
                .is_some_and(|number| room.parse() == Ok(number)),
        };
        let listed = self.plugindata.as_ref()?.data.list.iter().find(is)?;
        Some(Receives {
            video: codecs(&listed.videocodec, listed.h264_profile.as_ref()),
            audio: codecs(&listed.audiocodec, None),
            data: false,
        })
    }

    /// What it means for the session of `handle`, if anything.
    pub(in crate::signaller) fn news(&self, handle: u64) -> Option<News> {
        // A session's own end names no handle.
        if self.sender.is_some_and(|sender| sender != handle) {
            return None;
        }
        let reason = || {
            quote(
                self.reason
                    .as_deref()
                    .unwrap_or("no reason given")
                    .as_bytes(),
            )
        };
        match self.janus.as_str() {
            "event" => self.room_news(),
            "trickle" => candidate(self.candidate.as_ref()?).map(News::Note),
            "hangup" => Some(News::Over(format!("Janus hung up: {}", reason()))),
            "detached" => Some(News::Over("Janus has detached us from the room".to_owned())),
            "timeout" => Some(News::Over("Janus has not heard from us".to_owned())),
            _ => None,
        }
    }

    fn room_news(&self) -> Option<News> {
        if let Some(Jsep { r#type, sdp }) = &self.jsep
            && r#type == "answer"
        {
            return Some(News::Note(Message::Answer { sdp: sdp.clone() }));
        }
        let room = &self.plugindata.as_ref()?.data;
        match room.videoroom.as_str() {
            "destroyed" => Some(News::Over("the room was removed".to_owned())),
            "event" if room.leaving == "ok" => {
                let why = quote(room.reason.as_bytes());
                Some(News::Over(format!("we had to leave the room: {why}")))
            }
            _ => None,
        }
    }
}

/// Janus lists them separated by commas, the best first.
fn codecs(list: &str, profile: Option<&String>) -> Vec<ReceivableCodec> {
    let names = list.split(',').map(str::trim);
    let codec = |name: &str| ReceivableCodec {
        codec: name.to_ascii_uppercase(),
        profile: profile
            .filter(|_| name.eq_ignore_ascii_case("h264"))
            .cloned(),
    };
    names
        .filter(|it| !it.is_empty())
        .take(MAX_CODECS)
        .map(codec)
        .collect()
}

fn candidate(candidate: &Value) -> Option<Message> {
    if candidate.get("completed") == Some(&Value::Bool(true)) {
        return Some(Message::EndOfCandidates);
    }
    let candidate = serde_json::from_value::<Candidate>(candidate.clone()).ok()?;
    Some(if candidate.candidate.is_empty() {
        Message::EndOfCandidates
    } else {
        Message::Candidate(candidate)
    })
}

/// A request to the room. `room` is a number unless `as_text` says that this
/// Janus names rooms by texts. The token opens whatever asks for one.
pub(super) fn join(room: &str, as_text: bool, display: &str, token: Option<&str>) -> Value {
    let number = room.parse::<u64>().ok().filter(|_| !as_text);
    let mut body = json!({
        "request": "join",
        "ptype": "publisher",
        "room": number.map_or_else(|| Value::from(room), Value::from),
        "display": display,
    });
    if let Some(token) = token {
        body["pin"] = token.into();
        body["token"] = token.into();
    }
    json!({"janus": "message", "body": body})
}

/// A request for the rooms there are.
pub(super) fn list() -> Value {
    json!({"janus": "message", "body": {"request": "list"}})
}

/// Our offer.
pub(super) fn publish(sdp: &str) -> Value {
    json!({
        "janus": "message",
        "body": {"request": "publish"},
        "jsep": {"type": "offer", "sdp": sdp},
    })
}

/// Our candidate; `None`: there are no more.
pub(super) fn trickle(candidate: Option<&Candidate>) -> Value {
    let candidate = match candidate {
        // The first m-line has the transport, if nothing else is said.
        Some(candidate) => json!({
            "candidate": candidate.candidate,
            "sdpMid": candidate.sdp_mid,
            "sdpMLineIndex": candidate.sdp_m_line_index.unwrap_or(0),
        }),
        None => json!({"completed": true}),
    };
    json!({"janus": "trickle", "candidate": candidate})
}

/// What an error means for us.
pub(super) fn refused(fault: &Fault) -> SignallerError {
    let hint = match fault.code {
        code::UNAUTHORIZED => "set the property `token` to its API secret or a token of its own",
        // Of all that a room may want only the PIN is missing without a token.
        code::NOT_ADMITTED | code::MISSING_ELEMENT => "set the property `token` to the room's PIN",
        code::NO_SUCH_ROOM => {
            "add it to janus.plugin.videoroom.jcfg, or make it with the VideoRoom's request \"create\""
        }
        code::NO_SUCH_PLUGIN => "load the plugin VideoRoom (janus.jcfg, section plugins)",
        code::INVALID_ELEMENT => {
            "rooms are numbers, unless `string_ids` is set in janus.plugin.videoroom.jcfg"
        }
        _ => "",
    };
    let mut text = format!(
        "Janus says: {} ({})",
        quote(fault.reason.as_bytes()),
        fault.code
    );
    if !hint.is_empty() {
        text = format!("{text}; {hint}");
    }
    // What has a hint stays as it is configured; a publisher may leave a full room.
    if hint.is_empty() {
        SignallerError::Transient(text)
    } else {
        SignallerError::Permanent(text)
    }
}
