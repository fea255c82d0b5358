//! Tokens: what they allow, and that nobody makes them but us.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::super::jwt::{Claims, Key, MAX_TOKEN, generate_pair, generate_secret};
use super::*;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn claims() -> Claims {
    Claims {
        streams: vec!["cam*".into()],
        publish: false,
        view: true,
        data: false,
        metrics: false,
        exp: NOW + 60,
        nbf: None,
        max_bitrate: Some(1_000_000),
    }
}

fn secret() -> Key {
    Key::parse(SECRET).unwrap()
}

/// A token of `header` and `claims` as they are, signed with `key`.
fn forge(header: &str, claims: &str, key: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
    let tag = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

#[test]
fn a_star_stands_for_any_characters() {
    for (pattern, name, expected) in [
        ("cam", "cam", true),
        ("cam", "cam1", false),
        ("cam", "ca", false),
        ("cam*", "cam", true),
        ("cam*", "cam-front", true),
        ("cam*", "xcam", false),
        ("*", "anything", true),
        ("*cam*1", "my cam 11", true),
        ("*cam*1", "my cam 12", false),
        ("a*b*c", "aXbXbXc", true),
        ("a*b*c", "aXbXbX", false),
        ("**", "x", true),
        ("kamera-*", "kamera-süd", true),
    ] {
        let pattern = Pattern::new(pattern).unwrap();
        assert_eq!(pattern.matches(name), expected, "{pattern:?} {name}");
    }
    assert_eq!(Pattern::new(""), None);
    assert_eq!(Pattern::new("*".repeat(Pattern::MAX + 1)), None);
}

#[test]
fn a_signed_token_allows_what_it_says_until_it_ends() {
    let (private, public) = generate_pair().unwrap();
    let fresh = generate_secret().unwrap();
    for (signer, checker) in [
        (secret(), secret()),
        (
            Key::parse(&fresh).unwrap(),
            Key::parse(&format!("{fresh}\n")).unwrap(),
        ),
        (Key::parse(&private).unwrap(), Key::parse(&private).unwrap()),
        (Key::parse(&private).unwrap(), Key::parse(&public).unwrap()),
    ] {
        let token = signer.sign(&claims()).unwrap();
        let grant = checker.check(&token, NOW).unwrap();
        assert_eq!(grant.permits(Action::View, Some("cam1")), Ok(()));
        assert_eq!(
            grant.permits(Action::View, Some("stage")),
            Err(Denied::OtherStream)
        );
        assert_eq!(
            grant.permits(Action::Publish, Some("cam1")),
            Err(Denied::NotFor(Action::Publish))
        );
        assert_eq!(
            (grant.max_bitrate, grant.expires),
            (Some(1_000_000), Some(NOW + 60))
        );
        assert_eq!(checker.check(&token, NOW + 59).map(|_| ()), Ok(()));
        assert_eq!(checker.check(&token, NOW + 60), Err(Denied::Expired));
        let stranger = Key::parse(&generate_secret().unwrap()).unwrap();
        assert_eq!(stranger.check(&token, NOW), Err(Denied::Unknown));
    }
}

/// `jwt.encode({"streams": "cam*", "view": True, "exp": 1800000060.5}, SECRET)` of PyJWT 2.
const PYJWT_HS256: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdHJlYW1zIjoiY2FtKiIsInZpZXciOnRydWUsImV4cCI6MTgwMDAwMDA2MC41fQ.pxVKhSDNhAlvnsLP-ZvBeC0IHpscJoagSYOn2dxJvNc";

/// `jwt.encode({"iss": "x", "sub": "stage crew", "streams": ["stage", "hall"], "publish": True,
/// "exp": 1800000060}, pem, "EdDSA")` with the key of RFC 8037 appendix A.1.
const PYJWT_EDDSA: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ4Iiwic3ViIjoic3RhZ2UgY3JldyIsInN0cmVhbXMiOlsic3RhZ2UiLCJoYWxsIl0sInB1Ymxpc2giOnRydWUsImV4cCI6MTgwMDAwMDA2MH0.Wkaqe4mHDjTu44bD_uO-hkcPmWn6-Y7KViDuRPXTeN2-oYtsneiy9ZrMtGyxZgS2lqrhAI3gnMDIpKLlqN3VBg";
const PYJWT_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

#[test]
fn tokens_of_other_programs_are_understood() {
    let foreign = PYJWT_HS256;
    let grant = secret().check(foreign, NOW).unwrap();
    assert_eq!(grant.permits(Action::View, Some("cam7")), Ok(()));
    let public = Key::parse(PYJWT_PUBLIC).unwrap();
    let grant = public.check(PYJWT_EDDSA, NOW).unwrap();
    assert_eq!(grant.permits(Action::Publish, Some("stage")), Ok(()));
    assert_eq!(secret().check(PYJWT_EDDSA, NOW), Err(Denied::Unknown));
    assert_eq!(public.check(foreign, NOW), Err(Denied::Unknown));
}

#[test]
fn a_token_that_begins_later_is_not_valid_yet() {
    let later = Claims {
        nbf: Some(NOW + 61),
        ..claims()
    };
    let token = secret().sign(&later).unwrap();
    assert_eq!(secret().check(&token, NOW), Err(Denied::NotYet));
    // Clocks differ a little.
    assert!(secret().check(&token, NOW + 1).is_ok());
}

#[test]
fn forged_tokens_are_unknown() {
    let key = secret();
    let claims = format!(r#"{{"streams":["*"],"view":true,"exp":{}}}"#, NOW + 60);
    let header = r#"{"alg":"HS256"}"#;
    assert!(
        key.check(&forge(header, &claims, SECRET), NOW).is_ok(),
        "the forge works"
    );
    let (_, public) = generate_pair().unwrap();
    let unsigned = {
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        format!("{none}.{}.", URL_SAFE_NO_PAD.encode(&claims))
    };
    let flipped = {
        let mut token = forge(header, &claims, SECRET);
        let at = token.len() - 10;
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        token.replace_range(at..=at, other);
        token
    };
    let good = forge(header, &claims, SECRET);
    for (what, token) in [
        (
            "another secret",
            forge(header, &claims, "another secret of at least 32 bytes"),
        ),
        ("no signature", unsigned),
        ("a changed one", flipped),
        (
            "another algorithm",
            forge(r#"{"alg":"none"}"#, &claims, SECRET),
        ),
        (
            "an unknown demand",
            forge(r#"{"alg":"HS256","crit":["x"],"x":1}"#, &claims, SECRET),
        ),
        (
            "no end",
            forge(header, r#"{"streams":["*"],"view":true}"#, SECRET),
        ),
        (
            "no streams",
            forge(header, r#"{"view":true,"exp":9999999999}"#, SECRET),
        ),
        (
            "an end of text",
            forge(header, r#"{"streams":"*","exp":"9999999999"}"#, SECRET),
        ),
        (
            "an empty pattern",
            forge(header, r#"{"streams":"","exp":9999999999}"#, SECRET),
        ),
        ("padding", format!("{good}=")),
        ("a fourth part", format!("{good}.")),
        ("a prefix", format!(".{good}")),
        ("nothing", String::new()),
        ("dots", "..".into()),
        (
            "too much",
            forge(header, &claims.replace('*', &"*".repeat(MAX_TOKEN)), SECRET),
        ),
    ] {
        assert_eq!(key.check(&token, NOW), Err(Denied::Unknown), "{what}");
    }
    // The public key, which everybody has, is no secret.
    let confused = forge(header, &claims, public.trim());
    let key = Key::parse(&public).unwrap();
    assert_eq!(key.check(&confused, NOW), Err(Denied::Unknown));
}

#[test]
fn keys_that_cannot_be_used_are_explained() {
    let short = Key::parse("short").unwrap_err().0;
    assert!(
        short.contains("32") && short.contains("--generate-key"),
        "{short}"
    );
    let (_, public) = generate_pair().unwrap();
    for pem in [
        "-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN ",
    ] {
        let error = Key::parse(pem).unwrap_err().0;
        assert!(error.contains("Ed25519"), "{pem}: {error}");
        assert!(!error.contains("AAAA"), "{error}");
    }
    let error = Key::parse(&public).unwrap().sign(&claims()).unwrap_err().0;
    assert!(error.contains("private"), "{error}");
    assert!(!format!("{:?}", secret()).contains("0123"));
}

#[test]
fn a_file_of_tokens_says_who_may_do_what() {
    let text = "# the stage\n\n  s3cret publish,data stage \nwatch3r view cam*,stage\nroot all *\n";
    let auth = Authenticator::new().allow_file(text).unwrap();
    let check = |token, action, stream| {
        auth.check(Some(token), action, Some(stream), NOW)
            .map(|_| ())
    };
    assert_eq!(check("s3cret", Action::Publish, "stage"), Ok(()));
    assert_eq!(check("s3cret", Action::Data, "stage"), Ok(()));
    assert_eq!(
        check("s3cret", Action::View, "stage"),
        Err(Denied::NotFor(Action::View))
    );
    assert_eq!(
        check("s3cret", Action::Publish, "cam"),
        Err(Denied::OtherStream)
    );
    assert_eq!(check("watch3r", Action::View, "cam9"), Ok(()));
    assert_eq!(check("root", Action::Metrics, "x"), Ok(()));
    assert_eq!(check("guess", Action::View, "cam9"), Err(Denied::Unknown));
    assert_eq!(check("#", Action::View, "cam9"), Err(Denied::Unknown));
    assert_eq!(
        auth.check(None, Action::View, Some("cam9"), NOW),
        Err(Denied::Missing)
    );
    assert!(!format!("{auth:?}").contains("s3cret"));
}

#[test]
fn a_wrong_line_is_named_without_its_token() {
    for (line, part) in [
        ("hushhush", "its rights and its streams"),
        ("hushhush view", "its rights and its streams"),
        ("hushhush view cam more", "its rights and its streams"),
        ("hushhush watch cam", "view, publish, data and metrics"),
        ("hushhush view cam,,stage", "list of names"),
    ] {
        let error = Authenticator::new()
            .allow_file(&format!("# a\n{line}\n"))
            .unwrap_err()
            .0;
        assert!(
            error.starts_with("line 2: ") && error.contains(part),
            "{line}: {error}"
        );
        assert!(!error.contains("hushhush"), "{error}");
    }
}

#[test]
fn anonymity_allows_what_it_is_given() {
    let nobody = Authenticator::new();
    assert_eq!(
        nobody.check(None, Action::View, None, NOW),
        Err(Denied::Missing)
    );
    let open = Authenticator::open();
    assert!(open.check(None, Action::Publish, Some("cam"), NOW).is_ok());
    assert!(
        open.check(Some("any"), Action::Publish, Some("cam"), NOW)
            .is_ok()
    );
    let viewers = Authenticator::new()
        .allow_anonymous(Rights::VIEW)
        .allow_signed(Arc::new(secret()));
    assert!(viewers.check(None, Action::View, Some("cam"), NOW).is_ok());
    assert_eq!(
        viewers.check(None, Action::Publish, Some("cam"), NOW),
        Err(Denied::Missing),
        "a token would help"
    );
    let expired = secret()
        .sign(&Claims {
            exp: NOW,
            ..claims()
        })
        .unwrap();
    assert_eq!(
        viewers.check(Some(&expired), Action::View, Some("cam"), NOW),
        Err(Denied::Expired),
        "who has a token learns that it is bad"
    );
    let only_viewers = Authenticator::new().allow_anonymous(Rights::VIEW);
    assert_eq!(
        only_viewers.check(None, Action::Publish, None, NOW),
        Err(Denied::NotFor(Action::Publish))
    );
}

#[test]
fn two_keys_are_one_set() {
    let (private, public) = generate_pair().unwrap();
    let auth = Authenticator::new()
        .allow_signed(Arc::new(secret()))
        .allow_signed(Arc::new(Key::parse(&public).unwrap()));
    for key in [secret(), Key::parse(&private).unwrap()] {
        let token = key.sign(&claims()).unwrap();
        assert!(
            auth.check(Some(&token), Action::View, Some("cam"), NOW)
                .is_ok()
        );
        assert_eq!(
            auth.check(Some(&token), Action::View, Some("cam"), NOW + 60),
            Err(Denied::Expired)
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_none(text in ".*", header in ".{0,40}", claims in ".{0,80}") {
        prop_assert!(secret().check(&text, NOW).is_err());
        prop_assert!(secret().check(&forge(&header, &claims, SECRET), NOW).is_err());
        let _ = Key::parse(&text);
        let _ = Authenticator::new().allow_file(&text);
    }

    #[test]
    fn claims_of_any_kind_are_read_or_refused(
        exp in any::<f64>(), streams in proptest::collection::vec(".{0,20}", 0..4), name in ".{0,20}",
    ) {
        let json = serde_json::json!({ "streams": streams, "exp": exp, "view": true });
        if let Ok(grant) = secret().check(&forge(r#"{"alg":"HS256"}"#, &json.to_string(), SECRET), NOW) {
            let _ = grant.permits(Action::View, Some(&name));
        }
    }

    #[test]
    fn patterns_agree_with_a_slower_way(pattern in "[ab*]{1,12}", name in "[ab]{0,12}") {
        fn slow(pattern: &[u8], name: &[u8]) -> bool {
            match (pattern.split_first(), name.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) if slow(rest, name) => true,
                (Some((b'*', _)), Some((_, others))) => slow(pattern, others),
                (Some((p, rest)), Some((n, others))) => p == n && slow(rest, others),
                _ => false,
            }
        }
        let quick = Pattern::new(pattern.as_str()).unwrap().matches(&name);
        prop_assert_eq!(quick, slow(pattern.as_bytes(), name.as_bytes()));
    }
}
