//! ICE servers for one peer, with TURN credentials that end by themselves.
//!
//! The scheme is draft-uberti-behave-turn-rest-00, which coturn speaks
//! (`use-auth-secret`): the user name holds the time at which it ends, and the
//! password is a code of the user name under a secret that the TURN server
//! shares with us. So the TURN server needs no list of users.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::address::IceServer;

/// How long minted credentials are good if nothing else is said.
pub const DEFAULT_TTL: Duration = Duration::from_secs(12 * 3600);

/// A secret that a TURN server shares with us.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnSecret {
    secret: String,
    ttl: Duration,
}

impl fmt::Debug for TurnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnSecret(…, {:?})", self.ttl)
    }
}

impl TurnSecret {
    /// The secret (coturn's `static-auth-secret`), and how long credentials
    /// are good.
    pub fn new(secret: impl Into<String>, ttl: Duration) -> Self {
        Self {
            secret: secret.into(),
            ttl,
        }
    }

    /// A user name and its password for `peer`, made at `now` (in seconds since
    /// 1970). A colon in `peer` would be read as a separator, and becomes `-`.
    pub fn mint(&self, peer: &str, now: u64) -> (String, String) {
        let ends = now.saturating_add(self.ttl.as_secs());
        self.credentials(&format!("{ends}:{}", peer.replace(':', "-")))
    }

    fn credentials(&self, user: &str) -> (String, String) {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        let password = STANDARD.encode(hmac::sign(&key, user.as_bytes()).as_ref());
        (user.to_owned(), password)
    }
}

/// The ICE servers of a signalling server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceServers {
    /// The same for everybody.
    pub fixed: Vec<IceServer>,
    /// TURN servers whose user and password are minted for each peer.
    pub minted: Vec<IceServer>,
    /// What they are minted from. Without it, [`minted`](Self::minted) is not
    /// handed out.
    pub secret: Option<TurnSecret>,
}

impl IceServers {
    /// Those for one peer, made at `now` (in seconds since 1970).
    pub fn for_peer(&self, peer: &str, now: u64) -> Vec<IceServer> {
        let mut servers = self.fixed.clone();
        if let Some(secret) = &self.secret {
            let (user, password) = secret.mint(peer, now);
            servers.extend(self.minted.iter().cloned().map(|server| IceServer {
                username: Some(user.clone()),
                password: Some(password.clone()),
                ..server
            }));
        }
        servers
    }

    /// When a peer needs new ones: well before the old ones end. `None`: never.
    pub fn renew_after(&self) -> Option<Duration> {
        let secret = self.secret.as_ref().filter(|_| !self.minted.is_empty())?;
        Some(secret.ttl * 3 / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> TurnSecret {
        TurnSecret::new(text, Duration::from_secs(600))
    }

    #[test]
    fn passwords_are_codes_of_the_user_name() {
        // RFC 2202 section 3, test case 2.
        let (_, password) = secret("Jefe").credentials("what do ya want for nothing?");
        assert_eq!(password, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
        // `printf %s 1433895918:joe | openssl dgst -sha1 -hmac north -binary | base64`
        let expected = (
            "1433895918:joe".to_owned(),
            "qIKLycDNedtES9zmf0+jimWXifE=".to_owned(),
        );
        assert_eq!(secret("north").mint("joe", 1_433_895_918 - 600), expected);
        assert_eq!(secret("north").mint("a:b", 0).0, "600:a-b");
        assert!(!format!("{:?}", secret("north")).contains("north"));
    }

    #[test]
    fn each_peer_has_credentials_of_its_own() {
        let servers = IceServers {
            fixed: IceServer::parse_list("stun://stun.example").unwrap(),
            minted: IceServer::parse_list("turn://x:x@turn.example?transport=udp").unwrap(),
            secret: Some(secret("north")),
        };
        let (one, other) = (servers.for_peer("p1", 1000), servers.for_peer("p2", 1000));
        assert_eq!(one.len(), 2);
        assert_eq!(one[0], other[0]);
        assert_eq!(one[1].username.as_deref(), Some("1600:p1"));
        assert_ne!(one[1].password, other[1].password);
        assert_eq!(servers.renew_after(), Some(Duration::from_secs(450)));
        let without = IceServers {
            secret: None,
            ..servers
        };
        assert_eq!(without.for_peer("p1", 1000).len(), 1);
        assert_eq!(without.renew_after(), None);
    }
}
