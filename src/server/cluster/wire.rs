//! What servers tell each other, and by which subjects.
//!
//! | subject | what |
//! |---|---|
//! | `sigmund.serve.all` | which streams a server has; that it is there; that it stops |
//! | `sigmund.serve.one.ID` | what one server has to say to another |
//! | `sigmund.serve.absent.ID.OTHER` | NATS tells ID that OTHER is not there |
//!
//! A server that has viewers of a stream is its *edge*; the one that has its
//! publisher is its *home*. To a home an edge is a carrier of viewers, to an edge
//! a home is a publisher that is far away.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::check_stream_name;
use crate::message::v1::{Envelope, MAX_STANDING, Standing};
use crate::server::hub::{Kind, Own};

/// Where all servers listen.
pub(super) const ALL: &str = "sigmund.serve.all";

/// The longest word, in bytes; what NATS takes unless configured otherwise.
pub(super) const MAX_WORD: usize = 1024 * 1024;

/// Names a server for as long as it runs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub(super) struct ServerId(String);

impl ServerId {
    /// `None` if it cannot stand in a subject.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let well = (1..=32).contains(&text.len()) && text.chars().all(usual);
        well.then(|| Self(text.to_owned()))
    }

    /// Where it listens.
    pub(super) fn subject(&self) -> String {
        format!("sigmund.serve.one.{}", self.0)
    }

    /// A subject to which nobody listens.
    pub(super) fn nobody(&self) -> String {
        format!("sigmund.serve.nobody.{}", self.0)
    }

    /// Where NATS tells it that somebody whom it spoke to is not there; or with
    /// `*` anybody.
    pub(super) fn absent(&self, who: &str) -> String {
        format!("sigmund.serve.absent.{}.{who}", self.0)
    }

    /// As it stands in subjects.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ServerId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no name of a server"))
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stream that a server has the publisher of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    /// What it is for: `publish`, `receive`, `call`.
    pub(super) kind: String,
    /// Is its publisher lost, and may it come back?
    #[serde(default)]
    pub(super) away: bool,
    /// Since when it is there, in milliseconds since 1970.
    #[serde(default)]
    pub(super) since: u64,
    /// How many take part, at all servers.
    #[serde(default)]
    pub(super) peers: usize,
}

impl From<Own> for Listed {
    fn from(own: Own) -> Self {
        Self {
            name: own.name,
            kind: own.kind.as_str().to_owned(),
            away: own.away,
            since: own.since,
            peers: own.peers,
        }
    }
}

impl Listed {
    /// `None` for one of a later server.
    pub(super) fn kind(&self) -> Option<Kind> {
        let kinds = [Kind::Publish, Kind::Receive, Kind::Call];
        kinds.into_iter().find(|it| it.as_str() == self.kind)
    }

    #[cfg(test)]
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: "publish".to_owned(),
            away: false,
            since: 0,
            peers: 0,
        }
    }
}

/// One word of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Word {
    /// Whose.
    pub(super) from: ServerId,
    #[serde(flatten)]
    pub(super) says: Says,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Says {
    /// To all: it is there, and its list is still of this edition.
    Here { edition: u64 },
    /// To all, or to one: its list. `asks`: for the lists of those who hear it.
    Streams {
        edition: u64,
        streams: Vec<Listed>,
        #[serde(default)]
        asks: bool,
    },
    /// To all: it stops.
    Stops,
    /// Edge to home: what its viewers say: `joined`, `note`, `left`.
    Up { stream: String, envelope: Envelope },
    /// Home to edge: what the publisher says: `note`, `refuse`, `end`.
    Down { stream: String, envelope: Envelope },
    /// Edge to home: all viewers of a stream that it carries. The home knows the
    /// others no more, and takes up those it does not carry yet.
    Carries {
        stream: String,
        sessions: Vec<Standing>,
    },
    /// To the home of a stream, as a request: a client that was its viewer, or its
    /// publisher, has come to us.
    Claim { stream: String, mark: String },
    /// The answer: its name, if it was let go.
    Claimed { peer: Option<String> },
}

impl Word {
    /// Reads one. `None` for what is none, or of a later kind.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_WORD {
            return None;
        }
        let word: Self = serde_json::from_slice(bytes).ok()?;
        word.says.is_sound().then_some(word)
    }

    /// Writes it.
    pub(super) fn write(&self) -> Vec<u8> {
        // Texts, numbers and lists of them: nothing that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Says {
    fn is_sound(&self) -> bool {
        let name = |name: &str| check_stream_name(name).is_ok();
        match self {
            Self::Here { .. } | Self::Stops | Self::Claimed { .. } => true,
            Self::Streams { streams, .. } => streams.iter().all(|it| name(&it.name)),
            Self::Claim { stream, .. } => name(stream),
            Self::Up { stream, envelope } | Self::Down { stream, envelope } => {
                name(stream) && envelope.check().is_ok()
            }
            Self::Carries { stream, sessions } => name(stream) && sessions.len() <= MAX_STANDING,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::PeerId;

    fn words() -> Vec<Word> {
        let from = ServerId::parse("aB3-_x").unwrap();
        let left = Envelope::Left {
            peer: PeerId::new("v1-x"),
            reason: "enough".into(),
        };
        let said = [
            Says::Here { edition: 7 },
            Says::Streams {
                edition: 8,
                streams: vec![Listed::new("cam")],
                asks: true,
            },
            Says::Stops,
            Says::Up {
                stream: "cam".into(),
                envelope: left.clone(),
            },
            Says::Down {
                stream: "cam".into(),
                envelope: left,
            },
            Says::Carries {
                stream: "cam".into(),
                sessions: vec![Standing {
                    peer: PeerId::new("v1-x"),
                    mark: "m".into(),
                }],
            },
            Says::Claim {
                stream: "cam".into(),
                mark: "m".into(),
            },
            Says::Claimed { peer: None },
        ];
        let word = |says| Word {
            from: from.clone(),
            says,
        };
        said.map(word).to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        for word in words() {
            assert_eq!(Word::read(&word.write()), Some(word));
        }
    }

    #[test]
    fn nonsense_is_not_read() {
        for text in [
            "",
            "{}",
            r#"{"from":"a","type":"applause"}"#,
            r#"{"from":"a.b","type":"stops"}"#,
            r#"{"from":"","type":"stops"}"#,
            r#"{"from":"a","type":"claim","stream":"x/y","mark":"m"}"#,
            r#"{"from":"a","type":"up","stream":"x","envelope":{"type":"left","peer":""}}"#,
        ] {
            assert_eq!(Word::read(text.as_bytes()), None, "{text}");
        }
        assert!(Word::read(br#"{"from":"a","type":"stops","later":1}"#).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Word::read(&bytes);
        }

        #[test]
        fn no_byte_out_of_place_panics(at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), new: u8) {
            let words = words();
            let mut text = words[at.index(words.len())].write();
            let byte = byte.index(text.len());
            text[byte] = new;
            let _ = Word::read(&text);
        }
    }
}
