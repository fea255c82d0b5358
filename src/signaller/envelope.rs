//! What owners of signallers say, as `sigmund.v1` writes it.

use super::{Capabilities, Incoming, Offerer, Outgoing, PeerInfo, Refusal};
use crate::message::v1::{self, Envelope, Info, Kind, PUBLISHER};
use crate::message::{MAX_REASON, Message, PeerId};

/// How notes travel over `sigmund.v1` to and from a viewer, seen from its publisher.
pub(crate) const CHANNEL: Capabilities = Capabilities {
    offerer: Offerer::Us,
    trickle_in: true,
    trickle_out: true,
};

impl From<Incoming> for Envelope {
    fn from(note: Incoming) -> Self {
        match note {
            Incoming::Joined { peer, info } => Self::Joined {
                peer,
                info: info.into(),
            },
            Incoming::Message { peer, message } => Self::Note {
                peer,
                note: message,
            },
            Incoming::IceServers(servers) => Self::IceServers {
                ice_servers: servers.iter().map(Into::into).collect(),
            },
            Incoming::Left { peer, reason } => Self::Left {
                peer,
                reason: cut(reason),
            },
        }
    }
}

impl From<Outgoing> for Envelope {
    fn from(note: Outgoing) -> Self {
        match note {
            Outgoing::Message { peer, message } => Self::Note {
                peer,
                note: message,
            },
            Outgoing::Refuse { peer, refusal } => {
                let (kind, text) = kind_of(refusal);
                Self::Refuse { peer, kind, text }
            }
            Outgoing::End { peer, reason } => Self::End {
                peer,
                reason: cut(reason),
            },
            Outgoing::Report { peer, report } => Self::Report { peer, report },
        }
    }
}

/// What a publisher hears. `None` for what is not for publishers.
pub(crate) fn to_incoming(envelope: Envelope) -> Option<Incoming> {
    match envelope {
        Envelope::Joined { peer, info } => Some(Incoming::Joined {
            peer,
            info: info.into(),
        }),
        Envelope::Note { peer, note } => Some(Incoming::Message {
            peer,
            message: note,
        }),
        Envelope::Left { peer, reason } => Some(Incoming::Left { peer, reason }),
        Envelope::IceServers { ice_servers } => Some(handed_out(&ice_servers)),
        _ => None,
    }
}

/// ICE servers, as far as we can read them.
pub(crate) fn handed_out(servers: &[v1::IceServer]) -> Incoming {
    Incoming::IceServers(servers.iter().flat_map(v1::IceServer::read).collect())
}

/// What a publisher says. `None` for what publishers do not say.
pub(crate) fn to_outgoing(envelope: Envelope) -> Option<Outgoing> {
    match envelope {
        Envelope::Note { peer, note } => Some(Outgoing::Message {
            peer,
            message: note,
        }),
        Envelope::Refuse { peer, kind, text } => Some(Outgoing::Refuse {
            peer,
            refusal: refusal_of(kind, text),
        }),
        Envelope::End { peer, reason } => Some(Outgoing::End { peer, reason }),
        Envelope::Report { peer, report } => Some(Outgoing::Report { peer, report }),
        _ => None,
    }
}

/// What a viewer hears. `None` for what is not for viewers.
pub(crate) fn from_publisher(envelope: Envelope) -> Option<Incoming> {
    let peer = PeerId::new(PUBLISHER);
    match envelope {
        Envelope::Note { note, .. } => Some(Incoming::Message {
            peer,
            message: note,
        }),
        Envelope::Refused { kind, text } => Some(Incoming::Left {
            peer,
            reason: refusal_of(kind, text).to_string(),
        }),
        Envelope::Ended { reason } => Some(Incoming::Left { peer, reason }),
        Envelope::IceServers { ice_servers } => Some(handed_out(&ice_servers)),
        _ => None,
    }
}

/// What a viewer says: to end a session is to say good-bye.
pub(crate) fn from_viewer(note: Outgoing) -> Envelope {
    let peer = PeerId::new(PUBLISHER);
    let note = match note {
        Outgoing::Report { report, .. } => return Envelope::Report { peer, report },
        Outgoing::Message { message, .. } => message,
        Outgoing::Refuse { refusal, .. } => Message::Bye {
            reason: cut(refusal.to_string()),
        },
        Outgoing::End { reason, .. } => Message::Bye {
            reason: cut(reason),
        },
    };
    Envelope::Note { peer, note }
}

/// A viewer's only peer is there from the beginning.
pub(crate) fn publisher_joined(protocol: &str, channel: Capabilities) -> Incoming {
    Incoming::Joined {
        peer: PeerId::new(PUBLISHER),
        info: PeerInfo {
            protocol: protocol.to_owned(),
            channel: Some(channel),
            again: true,
            ..PeerInfo::default()
        },
    }
}

/// A refusal in two parts, its text cut to what may be sent.
pub(crate) fn kind_of(refusal: Refusal) -> (Kind, String) {
    let (kind, text) = match refusal {
        Refusal::Incompatible(text) => (Kind::Incompatible, text),
        Refusal::Malformed(text) => (Kind::Malformed, text),
        Refusal::Busy(text) => (Kind::Busy, text),
        Refusal::Failed(text) => (Kind::Failed, text),
    };
    (kind, cut(text))
}

/// The inverse of [`kind_of`].
pub(crate) fn refusal_of(kind: Kind, text: String) -> Refusal {
    match kind {
        Kind::Incompatible => Refusal::Incompatible(text),
        Kind::Malformed => Refusal::Malformed(text),
        Kind::Busy => Refusal::Busy(text),
        Kind::Failed => Refusal::Failed(text),
    }
}

impl From<PeerInfo> for Info {
    fn from(info: PeerInfo) -> Self {
        let channel = info.channel.unwrap_or(CHANNEL);
        let offers = channel.offerer == Offerer::Them;
        Self {
            protocol: info.protocol,
            agent: info.agent,
            receives: info.receives,
            offers,
            trickle: channel.trickle_out,
            mark: info.mark,
            data: !info.no_data,
            max_bitrate: info.max_bitrate,
            again: (info.again == offers).then_some(info.again),
        }
    }
}

impl From<Info> for PeerInfo {
    fn from(info: Info) -> Self {
        let channel = Capabilities {
            offerer: if info.offers {
                Offerer::Them
            } else {
                Offerer::Us
            },
            trickle_in: true,
            trickle_out: info.trickle,
        };
        Self {
            protocol: info.protocol,
            agent: info.agent.as_deref().map(v1::agent),
            receives: info.receives,
            channel: Some(channel),
            mark: info.mark,
            no_data: !info.data,
            max_bitrate: info.max_bitrate,
            again: info.again.unwrap_or(!info.offers),
            ..Self::default()
        }
    }
}

/// To what a receiver takes.
pub(crate) fn cut(mut text: String) -> String {
    if text.len() > MAX_REASON {
        text.truncate(text.floor_char_boundary(MAX_REASON));
    }
    text
}
