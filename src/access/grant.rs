//! What a token allows, and why something is not allowed.

use std::fmt;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Watch a stream, or see that it is there.
    View,
    /// Send a stream.
    Publish,
    /// Open data channels.
    Data,
    /// Read the server's metrics.
    Metrics,
}

impl Action {
    /// As it stands in claims and in files of tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Publish => "publish",
            Self::Data => "data",
            Self::Metrics => "metrics",
        }
    }
}

/// Which actions are allowed. Nothing, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// See [`Action::View`].
    pub view: bool,
    /// See [`Action::Publish`].
    pub publish: bool,
    /// See [`Action::Data`].
    pub data: bool,
    /// See [`Action::Metrics`].
    pub metrics: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self {
        view: true,
        publish: true,
        data: true,
        metrics: true,
    };

    /// Watching, with data channels.
    pub const VIEW: Self = Self {
        view: true,
        publish: false,
        data: true,
        metrics: false,
    };

    /// Is `action` among them?
    pub fn allow(&self, action: Action) -> bool {
        match action {
            Action::View => self.view,
            Action::Publish => self.publish,
            Action::Data => self.data,
            Action::Metrics => self.metrics,
        }
    }

    /// Reads a list such as `view,data`; `all` for everything.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rights = Self::default();
        for one in text.split(',') {
            match one.trim() {
                "view" => rights.view = true,
                "publish" => rights.publish = true,
                "data" => rights.data = true,
                "metrics" => rights.metrics = true,
                "all" => rights = Self::ALL,
                _ => return None,
            }
        }
        Some(rights)
    }
}

/// The names of streams, with `*` for any run of characters: `cam*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The longest pattern, in bytes.
    pub const MAX: usize = 1024;

    /// Wraps a pattern. `None` if it is empty or longer than [`MAX`](Self::MAX).
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty() && text.len() <= Self::MAX).then_some(Self(text))
    }

    /// All names.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Is `name` among them? Takes at most as many steps as the product of the
    /// two lengths: only the last star is ever tried again.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        let mut retry = None;
        while n < name.len() {
            match (pattern.get(p), retry) {
                (Some(b'*'), _) => {
                    retry = Some((p + 1, n));
                    p += 1;
                }
                (Some(byte), _) if *byte == name[n] => (p, n) = (p + 1, n + 1),
                (_, Some((star, taken))) => {
                    retry = Some((star, taken + 1));
                    (p, n) = (star, taken + 1);
                }
                (_, None) => return false,
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

/// What the bearer of a token may do, and on which streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The streams that it is about.
    pub streams: Vec<Pattern>,
    /// What it allows there.
    pub rights: Rights,
    /// The most that is sent to or taken from its bearer for one stream, in
    /// bit/s; `None`: no such limit.
    pub max_bitrate: Option<u64>,
    /// When it ends, in seconds since 1970; `None`: never. What has begun
    /// by then goes on.
    pub expires: Option<u64>,
}

impl Grant {
    /// These rights on every stream, for ever.
    pub fn everywhere(rights: Rights) -> Self {
        Self {
            streams: vec![Pattern::any()],
            rights,
            max_bitrate: None,
            expires: None,
        }
    }

    /// Is it about this stream?
    pub fn covers(&self, stream: &str) -> bool {
        self.streams.iter().any(|pattern| pattern.matches(stream))
    }

    /// Does it allow this, there? Without a stream: anywhere at all.
    pub fn permits(&self, action: Action, stream: Option<&str>) -> Result<(), Denied> {
        if !self.rights.allow(action) {
            return Err(Denied::NotFor(action));
        }
        match stream {
            Some(stream) if !self.covers(stream) => Err(Denied::OtherStream),
            _ => Ok(()),
        }
    }
}

/// Why somebody may not do what they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no token.
    Missing,
    /// It is none of ours: unknown, forged, damaged.
    Unknown,
    /// It was good once.
    Expired,
    /// It will be good later.
    NotYet,
    /// It is good for other streams.
    OtherStream,
    /// It is good for other things.
    NotFor(Action),
}

impl Denied {
    /// Would another token, or one at all, be the remedy (HTTP 401)? Otherwise
    /// this one is good, but not for this (HTTP 403).
    pub fn is_unauthorised(self) -> bool {
        !matches!(self, Self::OtherStream | Self::NotFor(_))
    }

    /// A word for it, in metrics and protocols.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Missing => "no-token",
            Self::Unknown => "bad-token",
            Self::Expired => "expired-token",
            Self::NotYet => "early-token",
            Self::OtherStream => "other-stream",
            Self::NotFor(_) => "not-allowed",
        }
    }
}

impl std::error::Error for Denied {}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("this server wants a token"),
            Self::Unknown => f.write_str("that is not a token of this server"),
            Self::Expired => f.write_str("the token has expired; get a new one"),
            Self::NotYet => f.write_str(
                "the token is not valid yet; wait, or compare the clocks of the two machines",
            ),
            Self::OtherStream => f.write_str("the token is for other streams"),
            Self::NotFor(action) => {
                write!(
                    f,
                    "the token does not allow this: it lacks \"{}\"",
                    action.as_str()
                )
            }
        }
    }
}
