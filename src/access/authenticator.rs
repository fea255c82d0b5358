//! Who is asking, and what they may do.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::jwt::Key;
use super::{AccessError, Action, Denied, Grant, Pattern, Rights, Token};

/// Decides what the bearer of a token may do, and those who have none.
#[derive(Clone, Debug, Default)]
pub struct Authenticator {
    anonymous: Option<Grant>,
    /// By the digest of the token: how long a look-up takes tells of the digest
    /// alone, which tells nothing of the token.
    tokens: HashMap<[u8; 32], Grant>,
    keys: Vec<Arc<Key>>,
}

impl Authenticator {
    /// Lets nobody in, until told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everybody may do everything.
    pub fn open() -> Self {
        Self::new().allow_anonymous(Rights::ALL)
    }

    /// What those without a token may do.
    pub fn allow_anonymous(mut self, rights: Rights) -> Self {
        self.anonymous = Some(Grant::everywhere(rights));
        self
    }

    /// Adds one token.
    pub fn allow(mut self, token: &Token, grant: Grant) -> Self {
        self.tokens
            .insert(Sha256::digest(token.reveal()).into(), grant);
        self
    }

    /// Adds the tokens of a file: on each line a token, its rights and its
    /// streams, as in `s3cret publish,data cam*,stage`. Empty lines and those
    /// that begin with `#` do not count. Errors name the line, never the token.
    pub fn allow_file(mut self, text: &str) -> Result<Self, AccessError> {
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (token, grant) = read_line(line)
                .map_err(|error| AccessError(format!("line {}: {error}", at + 1)))?;
            self.tokens.insert(Sha256::digest(token).into(), grant);
        }
        Ok(self)
    }

    /// Adds a key: who bears a JSON Web Token that it signed may do what that says.
    pub fn allow_signed(mut self, key: Arc<Key>) -> Self {
        self.keys.push(key);
        self
    }

    /// Is there a token at all that it would know?
    pub fn has_tokens(&self) -> bool {
        !self.tokens.is_empty() || !self.keys.is_empty()
    }

    /// May those without a token do anything?
    pub fn has_anonymous(&self) -> bool {
        self.anonymous.is_some()
    }

    /// May the bearer of `token` do `action` with `stream`, at the time `now`
    /// (in seconds since 1970)? Without a stream: with any at all.
    ///
    /// A token that is presented must be good, even where none is needed: who
    /// has one wants to know that it has expired.
    pub fn check(
        &self,
        token: Option<&str>,
        action: Action,
        stream: Option<&str>,
        now: u64,
    ) -> Result<Grant, Denied> {
        let grant = match token {
            Some(token) if self.has_tokens() => self.grant_of(token, now)?,
            // Nobody asked for it, as when a client sends one to all servers.
            _ => {
                let grant = self.anonymous.clone().ok_or(Denied::Missing)?;
                // A token might allow what anonymity does not.
                let wanting = |_| {
                    if self.has_tokens() {
                        Denied::Missing
                    } else {
                        Denied::NotFor(action)
                    }
                };
                grant.permits(action, stream).map_err(wanting)?;
                return Ok(grant);
            }
        };
        grant.permits(action, stream)?;
        Ok(grant)
    }

    fn grant_of(&self, token: &str, now: u64) -> Result<Grant, Denied> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(grant) = self.tokens.get(&digest) {
            return Ok(grant.clone());
        }
        let mut denied = Denied::Unknown;
        for key in &self.keys {
            match key.check(token, now) {
                Ok(grant) => return Ok(grant),
                Err(Denied::Unknown) => {}
                Err(other) => denied = other,
            }
        }
        Err(denied)
    }
}

fn read_line(line: &str) -> Result<(&str, Grant), &'static str> {
    const FORM: &str =
        "it takes a token, its rights and its streams, as in: SECRET publish,view,data cam*,stage";
    let mut words = line.split_whitespace();
    let (Some(token), Some(rights), Some(streams), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(FORM);
    };
    let rights = Rights::parse(rights)
        .ok_or("the rights are a list of view, publish, data and metrics, or all")?;
    let streams = streams
        .split(',')
        .map(Pattern::new)
        .collect::<Option<_>>()
        .ok_or("the streams are a list of names, where * stands for any characters")?;
    let grant = Grant {
        streams,
        ..Grant::everywhere(rights)
    };
    Ok((token, grant))
}
