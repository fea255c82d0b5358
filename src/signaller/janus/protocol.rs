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
    /// Who is in a room.
    participants: Vec<Participant>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Participant {
    id: Value,
    publisher: bool,
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

    /// The first one in a room who publishes.
    pub(in crate::signaller) fn feed(&self) -> Option<&Value> {
        let mut there = self.plugindata.as_ref()?.data.participants.iter();
        there.find(|it| it.publisher).map(|it| &it.id)
    }

    /// What Janus offers to a viewer.
    pub(in crate::signaller) fn offer(&self) -> Option<Message> {
        let jsep = self.jsep.as_ref().filter(|jsep| jsep.r#type == "offer")?;
        let sdp = without_idle_feedback(&jsep.sdp);
        Some(Message::Offer { sdp })
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
        match &self.jsep {
            Some(Jsep { r#type, sdp }) if r#type == "answer" => {
                return Some(News::Note(Message::Answer { sdp: sdp.clone() }));
            }
            // The first one comes as the answer to a request.
            Some(Jsep { r#type, .. }) if r#type == "offer" => {
                let why = "who was watched has left, or sends something else";
                return Some(News::Over(why.to_owned()));
            }
            _ => (),
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

/// An offer without the feedback that Janus offers and makes nothing of:
/// transport-wide congestion control, and full intra requests, of which its
/// VideoRoom tells no publisher. Without those, keyframes are asked for by PLI.
fn without_idle_feedback(sdp: &str) -> String {
    let idle = |line: &str| {
        let line = line.trim_end();
        let feedback = line.starts_with("a=rtcp-fb:");
        feedback && (line.ends_with(" transport-cc") || line.ends_with(" ccm fir"))
            || line.starts_with("a=extmap:") && line.contains("transport-wide-cc")
    };
    let lines = sdp.split_inclusive('\n');
    lines.filter(|line| !idle(line)).collect()
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

/// A room's name: a number unless `as_text` says that this Janus names rooms by
/// texts.
fn name(room: &str, as_text: bool) -> Value {
    let number = room.parse::<u64>().ok().filter(|_| !as_text);
    number.map_or_else(|| Value::from(room), Value::from)
}

/// A request to enter the room, and to publish. The token opens whatever asks for
/// one.
pub(super) fn join(room: &str, as_text: bool, display: &str, token: Option<&str>) -> Value {
    let body = json!({
        "request": "join",
        "ptype": "publisher",
        "room": name(room, as_text),
        "display": display,
    });
    json!({"janus": "message", "body": opened(body, token)})
}

/// A request for who is in the room.
pub(super) fn participants(room: &str, as_text: bool) -> Value {
    let body = json!({"request": "listparticipants", "room": name(room, as_text)});
    json!({"janus": "message", "body": body})
}

/// A request to watch one who is in the room.
pub(super) fn subscribe(room: &str, as_text: bool, feed: &Value, token: Option<&str>) -> Value {
    let body = json!({
        "request": "join",
        "ptype": "subscriber",
        "room": name(room, as_text),
        "streams": [{"feed": feed}],
    });
    json!({"janus": "message", "body": opened(body, token)})
}

fn opened(mut body: Value, token: Option<&str>) -> Value {
    if let Some(token) = token {
        body["pin"] = token.into();
        body["token"] = token.into();
    }
    body
}

/// A viewer's answer.
pub(super) fn start(sdp: &str) -> Value {
    json!({
        "janus": "message",
        "body": {"request": "start"},
        "jsep": {"type": "answer", "sdp": sdp},
    })
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
