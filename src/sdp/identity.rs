//! Certificate fingerprints (RFC 8122): who the far side says it is.

use sdp_types::HashFunc;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A certificate fingerprint of a description (RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Lower case: `sha-256`, `sha-384`, `sha-512`.
    pub algorithm: String,
    /// The digest.
    pub digest: Vec<u8>,
}

impl Fingerprint {
    /// Reads the value of `a=fingerprint`; `None` for what proves nothing:
    /// weaker hashes than SHA-256, digests of the wrong length, other text.
    pub(super) fn read(value: &str) -> Option<Self> {
        let read: sdp_types::Fingerprint = value.trim().parse().ok()?;
        let length = match read.hash_func {
            HashFunc::Sha256 => 32,
            HashFunc::Sha384 => 48,
            HashFunc::Sha512 => 64,
            _ => return None,
        };
        (read.fingerprint.len() == length).then(|| Self {
            algorithm: read.hash_func.as_str().to_owned(),
            digest: read.fingerprint,
        })
    }

    /// The value of `a=fingerprint`. webrtcbin compares upper case only.
    pub(super) fn to_value(&self) -> String {
        let algorithm = HashFunc::new(&self.algorithm);
        sdp_types::Fingerprint::with_fingerprint(algorithm, self.digest.clone()).to_string()
    }

    fn matches(&self, certificate: &[u8]) -> bool {
        match self.algorithm.as_str() {
            "sha-256" => Sha256::digest(certificate)[..] == self.digest,
            "sha-384" => Sha384::digest(certificate)[..] == self.digest,
            "sha-512" => Sha512::digest(certificate)[..] == self.digest,
            _ => false,
        }
    }
}

/// Who the far side says it is. Media waits until DTLS proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// At least one, each of sha-256 or stronger.
    pub fingerprints: Vec<Fingerprint>,
}

impl Identity {
    /// Is `certificate` (DER) one that the description announced?
    pub fn matches(&self, certificate: &[u8]) -> bool {
        self.fingerprints.iter().any(|it| it.matches(certificate))
    }
}

/// Our own `description` with the fingerprint of our `certificate` (DER)
/// wherever it has one.
pub fn with_certificate(description: &str, certificate: &[u8]) -> String {
    let ours = Fingerprint {
        algorithm: "sha-256".to_owned(),
        digest: Sha256::digest(certificate).to_vec(),
    };
    let line = format!("a=fingerprint:{}\r\n", ours.to_value());
    let lines = description.split_inclusive('\n');
    lines
        .map(|it| match it.starts_with("a=fingerprint:") {
            true => line.as_str(),
            false => it,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf certificate | sha256sum`, and so on.
    const SHA256: &str = "sha-256 03:D6:6D:D0:88:35:C1:CA:3F:12:8C:CE:AC:D1:F3:1A:C9:41:63:09:6B:20:F4:45:AE:84:28:5B:C0:83:2D:72";

    fn identity(values: &[&str]) -> Identity {
        Identity {
            fingerprints: values
                .iter()
                .filter_map(|value| Fingerprint::read(value))
                .collect(),
        }
    }

    fn value(algorithm: &str, digest: &[u8]) -> String {
        let hex: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{algorithm} {}", hex.join(":"))
    }

    #[test]
    fn the_announced_certificate_matches_in_either_case() {
        assert!(identity(&[SHA256]).matches(b"certificate"));
        assert!(identity(&[&SHA256.to_lowercase()]).matches(b"certificate"));
        assert!(identity(&[&SHA256.replace("sha", "SHA")]).matches(b"certificate"));
    }

    #[test]
    fn another_certificate_does_not_match() {
        assert!(!identity(&[SHA256]).matches(b"Certificate"));
        assert!(!identity(&[SHA256]).matches(b""));
        assert!(!identity(&[]).matches(b"certificate"));
    }

    #[test]
    fn any_of_several_fingerprints_may_match() {
        let other = value("sha-256", &Sha256::digest(b"other"));
        for right in [
            SHA256.to_owned(),
            value("sha-384", &Sha384::digest(b"certificate")),
            value("SHA-512", &Sha512::digest(b"certificate")),
        ] {
            let identity = identity(&[&other, &right]);
            assert_eq!(identity.fingerprints.len(), 2);
            assert!(identity.matches(b"certificate"), "{right}");
        }
    }

    #[test]
    fn what_proves_nothing_is_not_read() {
        for bad in [
            "",
            "sha-256",
            "sha-256 ",
            "sha-256 00:11",
            "sha-1 A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D",
            "md5 90:01:50:98:3C:D2:4F:B0:D6:96:3F:7D:28:E1:7F:72",
            &SHA256.replace("6D", "6x"),
            &SHA256.replace("sha-256", "sha-512"),
        ] {
            assert_eq!(Fingerprint::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_written_in_upper_case() {
        let read = Fingerprint::read(&SHA256.to_lowercase()).unwrap();
        assert_eq!(read.to_value(), SHA256);
    }

    #[test]
    fn our_certificate_is_announced_in_each_m_line() {
        let made = "v=0\r\nm=audio\r\na=fingerprint:sha-256 00:11\r\na=mid:0\r\n\
                    m=video\r\na=fingerprint:sha-1 22\r\n";
        let announced = with_certificate(made, b"certificate");
        let line = format!("a=fingerprint:{SHA256}\r\n");
        let expected = format!("v=0\r\nm=audio\r\n{line}a=mid:0\r\nm=video\r\n{line}");
        assert_eq!(announced, expected);
    }
}
