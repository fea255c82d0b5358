//! JSON Web Tokens (RFC 7519), signed with HS256 or EdDSA (Ed25519, RFC 8037).
//!
//! The key decides the algorithm, never the token: so there is no "none", and
//! nobody passes off a public key as a secret. What a token's header demands to
//! be understood (`crit`) is refused, as we understand none of it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{hmac, signature};
use serde::{Deserialize, Deserializer, Serialize};

use super::{AccessError, Denied, Grant, Pattern, Rights};

/// The longest token that is read, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// How far the clock of who made a token may be ahead of ours, in seconds.
const SKEW: u64 = 60;

/// The shortest secret (RFC 7518 section 3.2: as long as the hash), in bytes.
const MIN_SECRET: usize = 32;

/// What comes before the 32 bytes of an Ed25519 key in DER (RFC 8410 section 10).
const PUBLIC_DER: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
const PRIVATE_DER: &[u8] = &[
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// What a token says. Other claims are not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Patterns of stream names; a single one may stand without the brackets.
    #[serde(deserialize_with = "one_or_many")]
    pub streams: Vec<String>,
    /// May it publish?
    #[serde(default, skip_serializing_if = "is_false")]
    pub publish: bool,
    /// May it watch?
    #[serde(default, skip_serializing_if = "is_false")]
    pub view: bool,
    /// May it open data channels?
    #[serde(default, skip_serializing_if = "is_false")]
    pub data: bool,
    /// May it read the metrics?
    #[serde(default, skip_serializing_if = "is_false")]
    pub metrics: bool,
    /// When it ends, in seconds since 1970.
    #[serde(deserialize_with = "date")]
    pub exp: u64,
    /// When it begins.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "maybe_date"
    )]
    pub nbf: Option<u64>,
    /// See [`Grant::max_bitrate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<u64>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Streams {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Streams::deserialize(from)? {
        Streams::One(one) => vec![one],
        Streams::Many(many) => many,
    })
}

/// RFC 7519 section 2, "NumericDate": it may have a fraction.
fn date<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    // The cast saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    f64::deserialize(from).map(|seconds| seconds as u64)
}

fn maybe_date<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    date(from).map(Some)
}

impl Claims {
    /// What it allows, at this time (in seconds since 1970).
    fn grant(self, now: u64) -> Result<Grant, Denied> {
        if self.exp <= now {
            return Err(Denied::Expired);
        }
        if self
            .nbf
            .is_some_and(|begin| begin > now.saturating_add(SKEW))
        {
            return Err(Denied::NotYet);
        }
        let streams = self.streams.into_iter().map(Pattern::new);
        Ok(Grant {
            streams: streams.collect::<Option<_>>().ok_or(Denied::Unknown)?,
            rights: Rights {
                view: self.view,
                publish: self.publish,
                data: self.data,
                metrics: self.metrics,
            },
            max_bitrate: self.max_bitrate,
            expires: Some(self.exp),
        })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// A key that tokens are checked with, and made with unless it is a public one.
pub struct Key(Kind);

enum Kind {
    Secret(hmac::Key),
    Private(Box<Ed25519KeyPair>),
    Public(Vec<u8>),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.algorithm())
    }
}

impl Key {
    /// Reads what stands in a key file: an Ed25519 key in PEM form (`PRIVATE
    /// KEY` of RFC 8410, which makes and checks, or `PUBLIC KEY`, which checks
    /// alone); anything else is a secret for HS256, without the white space
    /// around it.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let text = text.trim();
        let Some(block) = text.strip_prefix("-----BEGIN") else {
            return Self::secret(text);
        };
        let wrong = || {
            AccessError(
            "the key is in PEM form, but neither an Ed25519 PRIVATE KEY (openssl genpkey -algorithm ed25519) nor its PUBLIC KEY \
             (openssl pkey -pubout)"
            .into(),
        )
        };
        let (label, rest) = block.trim_start().split_once("-----").ok_or_else(wrong)?;
        let (body, _) = rest.split_once("-----END ").ok_or_else(wrong)?;
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| wrong())?;
        match label {
            "PRIVATE KEY" => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map(|pair| Self(Kind::Private(Box::new(pair))))
                .map_err(|_| wrong()),
            "PUBLIC KEY" => der
                .strip_prefix(PUBLIC_DER)
                .filter(|key| key.len() == 32)
                .map(|key| Self(Kind::Public(key.to_vec())))
                .ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn secret(secret: &str) -> Result<Self, AccessError> {
        if secret.len() < MIN_SECRET {
            return Err(AccessError(format!(
                "the secret has {} bytes; at least {MIN_SECRET} are needed (`sigmund token --generate-key` makes one)",
                secret.len()
            )));
        }
        Ok(Self(Kind::Secret(hmac::Key::new(
            hmac::HMAC_SHA256,
            secret.as_bytes(),
        ))))
    }

    /// The name of its algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub fn algorithm(&self) -> &'static str {
        match self.0 {
            Kind::Secret(_) => "HS256",
            Kind::Private(_) | Kind::Public(_) => "EdDSA",
        }
    }

    /// Makes a token.
    pub fn sign(&self, claims: &Claims) -> Result<String, AccessError> {
        let json = serde_json::to_vec(claims).map_err(|error| AccessError(error.to_string()))?;
        let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm());
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(json)
        );
        let signature = match &self.0 {
            Kind::Secret(key) => {
                URL_SAFE_NO_PAD.encode(hmac::sign(key, signed.as_bytes()).as_ref())
            }
            Kind::Private(pair) => URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()).as_ref()),
            Kind::Public(_) => {
                return Err(AccessError(
                    "a public key only checks tokens; use the private one to make them".into(),
                ));
            }
        };
        Ok(format!("{signed}.{signature}"))
    }

    /// Signs any text: for fuzzing.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn sign_text(&self, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let header = format!(r#"{{"alg":"{}"}}"#, self.algorithm());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        match &self.0 {
            Kind::Secret(key) => {
                let signature = hmac::sign(key, signed.as_bytes());
                format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
            }
            Kind::Private(_) | Kind::Public(_) => signed,
        }
    }

    /// What `token` allows now (in seconds since 1970), if this key signed it.
    pub fn check(&self, token: &str, now: u64) -> Result<Grant, Denied> {
        self.verify(token)
            .and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok())
            .ok_or(Denied::Unknown)?
            .grant(now)
    }

    /// The claims, if the signature is ours.
    fn verify(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (signed, given) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let given = URL_SAFE_NO_PAD.decode(given).ok()?;
        self.verify_signature(signed.as_bytes(), &given)?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != self.algorithm() || header.crit.is_some() {
            return None;
        }
        URL_SAFE_NO_PAD.decode(claims).ok()
    }

    fn verify_signature(&self, signed: &[u8], given: &[u8]) -> Option<()> {
        let verified = |key: &dyn AsRef<[u8]>| {
            UnparsedPublicKey::new(
                &ED25519 as &dyn signature::VerificationAlgorithm,
                key.as_ref(),
            )
            .verify(signed, given)
        };
        match &self.0 {
            Kind::Secret(key) => hmac::verify(key, signed, given),
            Kind::Private(pair) => verified(pair.public_key()),
            Kind::Public(key) => verified(key),
        }
        .ok()
    }
}

/// A new secret for HS256, as it stands in a key file.
pub fn generate_secret() -> Result<String, AccessError> {
    Ok(URL_SAFE_NO_PAD.encode(random()?))
}

/// A new Ed25519 key: the private and the public one, as files in PEM form.
pub fn generate_pair() -> Result<(String, String), AccessError> {
    let seed = random()?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
        .map_err(|_| AccessError("the system's random numbers are no key".into()))?;
    let pem = |label: &str, before: &[u8], key: &[u8]| {
        let body = STANDARD.encode([before, key].concat());
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    Ok((
        pem("PRIVATE KEY", PRIVATE_DER, &seed),
        pem("PUBLIC KEY", PUBLIC_DER, pair.public_key().as_ref()),
    ))
}

fn random() -> Result<[u8; 32], AccessError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| AccessError("the system gives no random numbers".into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signatures_of_the_rfcs_are_right() {
        // RFC 7515 appendix A.1.
        let secret = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let secret = Key(Kind::Secret(hmac::Key::new(hmac::HMAC_SHA256, &secret)));
        let claims = secret.verify(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQog\
             Imh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        );
        assert!(claims.unwrap().starts_with(b"{\"iss\":\"joe\""));
        // RFC 8037 appendix A.
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(pair.public_key()),
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        );
        let claims = Key(Kind::Private(Box::new(pair))).verify(
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4\
             iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );
        assert_eq!(claims.unwrap(), b"Example of Ed25519 signing");
    }
}
