//! Which channel belongs to which pad.

/// The largest id of a channel that both sides agree on beforehand; webrtcbin
/// is not safe above that before 1.28.2.
pub const MAX_ID: u16 = 1023;

/// The most channels that are agreed on.
const MAX_AGREED: usize = 32;

/// The longest label or protocol, in bytes.
const MAX_NAME: usize = 256;

/// How a pad's channel is to be (W3C `RTCDataChannelInit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name; `None`: any that no other pad has.
    pub label: Option<String>,
    /// The subprotocol, for whoever looks at it.
    pub protocol: String,
    /// Do messages keep their order?
    pub ordered: bool,
    /// A message is given up after so many retransmissions.
    pub max_retransmits: Option<u16>,
    /// A message is given up after so many milliseconds.
    pub max_packet_lifetime: Option<u16>,
    /// Both sides know of the channel by its id: it is not announced.
    pub negotiated: bool,
    /// That id.
    pub id: Option<u16>,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            label: None,
            protocol: String::new(),
            ordered: true,
            max_retransmits: None,
            max_packet_lifetime: None,
            negotiated: false,
            id: None,
        }
    }
}

impl Channel {
    /// Can there be such a channel? The error says what to change.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.max_retransmits.is_some() && self.max_packet_lifetime.is_some() {
            return Err("max-retransmits and max-packet-lifetime exclude each other; set one");
        }
        if self.negotiated != self.id.is_some() {
            return Err("negotiated=true and id go together; set both");
        }
        let label = self.label.as_deref().unwrap_or_default();
        if label.len() > MAX_NAME || self.protocol.len() > MAX_NAME {
            return Err("label and protocol have at most 256 bytes");
        }
        Ok(())
    }

    /// Does every message arrive?
    pub fn is_reliable(&self) -> bool {
        self.max_retransmits.is_none() && self.max_packet_lifetime.is_none()
    }
}

/// Reads channels that are agreed on, `LABEL=ID` each, separated by commas. The
/// error says what is wrong.
pub fn agreed_channels(text: &str) -> Result<Vec<Channel>, String> {
    let mut channels = Vec::<Channel>::new();
    for each in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let said = || format!("{each:?} is no LABEL=ID with an id from 0 to {MAX_ID}");
        let (label, id) = each.rsplit_once('=').ok_or_else(said)?;
        let id = id.trim().parse().ok().filter(|id| *id <= MAX_ID);
        let id = id.ok_or_else(said)?;
        let label = Some(label.trim().to_owned()).filter(|it| !it.is_empty());
        let channel = Channel {
            label: Some(label.ok_or_else(said)?),
            negotiated: true,
            id: Some(id),
            ..Channel::default()
        };
        channel.check()?;
        let same = |it: &Channel| it.id == channel.id || it.label == channel.label;
        if channels.len() >= MAX_AGREED {
            return Err(format!("there are at most {MAX_AGREED} channels"));
        }
        if channels.iter().any(same) {
            return Err(format!(
                "{each:?}: each label and each id is for one channel"
            ));
        }
        channels.push(channel);
    }
    Ok(channels)
}

/// Which of our pads takes a channel that the far side has opened, if any:
/// the one with that label, else one that takes any.
pub fn find_channel<'a>(
    ours: impl Iterator<Item = (&'a str, &'a Channel)> + Clone,
    label: &str,
) -> Option<usize> {
    let announced = |channel: &Channel| !channel.negotiated;
    let named = ours.clone().position(|(name, channel)| {
        announced(channel) && channel.label.as_deref().unwrap_or(name) == label
    });
    let mut ours = ours;
    named.or_else(|| ours.position(|(_, channel)| announced(channel) && channel.label.is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(label: Option<&str>) -> Channel {
        Channel {
            label: label.map(str::to_owned),
            ..Channel::default()
        }
    }

    #[test]
    fn a_label_finds_its_pad_and_any_other_finds_one_that_takes_any() {
        let (chat, any) = (labelled(Some("chat")), labelled(None));
        let agreed = Channel {
            negotiated: true,
            id: Some(1),
            ..labelled(Some("agreed"))
        };
        let pads = [
            ("data_0", &any),
            ("data_1", &chat),
            ("data_2", &any),
            ("data_3", &agreed),
        ];
        let find = |label| find_channel(pads.iter().copied(), label);
        assert_eq!(find("chat"), Some(1));
        assert_eq!(find("data_2"), Some(2));
        assert_eq!(find("other"), Some(0));
        assert_eq!(find("agreed"), Some(0));
        let named = |label| find_channel([("data_0", &chat)].into_iter(), label);
        assert_eq!(
            (named("chat"), named("other"), named("data_0")),
            (Some(0), None, None)
        );
    }

    #[test]
    fn agreed_channels_are_read() {
        let read = agreed_channels("chat=5, a=b = 0,").unwrap();
        let read: Vec<_> = read.iter().map(|it| (it.label.as_deref(), it.id)).collect();
        assert_eq!(read, [(Some("chat"), Some(5)), (Some("a=b"), Some(0))]);
        assert_eq!(agreed_channels(""), Ok(Vec::new()));
        for wrong in [
            "chat",
            "chat=",
            "=5",
            "chat=1024",
            "chat=-1",
            "a=1,b=1",
            "a=1,a=2",
        ] {
            assert!(agreed_channels(wrong).is_err(), "{wrong}");
        }
        assert!(agreed_channels(&format!("{}=1", "x".repeat(257))).is_err());
    }

    #[test]
    fn what_cannot_be_is_said() {
        let channel = Channel {
            max_retransmits: Some(0),
            max_packet_lifetime: Some(10),
            ..Channel::default()
        };
        assert!(channel.check().is_err());
        let channel = Channel {
            negotiated: true,
            ..Channel::default()
        };
        assert!(channel.check().is_err());
        assert!(labelled(Some(&"x".repeat(257))).check().is_err());
        assert!(Channel::default().check().is_ok());
    }
}
