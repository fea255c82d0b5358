mod tokens;

use proptest::prelude::*;

use super::*;

#[test]
fn a_token_matches_itself_alone() {
    let token = Token::new("hush");
    assert!(token.matches("hush"));
    for wrong in ["", "hus", "hushh", "HUSH", "hush\0"] {
        assert!(!token.matches(wrong), "{wrong}");
    }
    assert!(!format!("{token:?}").contains("hush"));
}

#[test]
fn a_bearer_token_is_found_in_its_header() {
    assert_eq!(bearer("Bearer abc"), Some("abc"));
    assert_eq!(bearer("bearer  abc "), Some("abc"));
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearerabc",
        "Bearer a b",
    ] {
        assert_eq!(bearer(wrong), None, "{wrong}");
    }
}

#[test]
fn off_loopback_somebody_must_be_named() {
    let (here, everywhere) = ("127.0.0.1".parse().unwrap(), "0.0.0.0".parse().unwrap());
    assert_eq!(check_exposure(here, false, false), Ok(()));
    assert_eq!(
        check_exposure("::ffff:127.0.0.2".parse().unwrap(), false, false),
        Ok(())
    );
    assert_eq!(check_exposure(everywhere, true, false), Ok(()));
    assert_eq!(check_exposure(everywhere, false, true), Ok(()));
    let error = check_exposure(everywhere, false, false).unwrap_err();
    assert!(
        error.0.contains("token=") && error.0.contains("allow-anonymous=true"),
        "{error}"
    );
}

#[test]
fn a_server_goes_by_its_addresses_and_listed_names() {
    let policy = Policy {
        allowed_hosts: vec!["Cam.example.org".into()],
        ..Policy::default()
    };
    for host in [
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]:8080",
        "192.0.2.7",
        "localhost:1",
        "LOCALHOST",
        "cam.example.org.:80",
    ] {
        assert_eq!(policy.check_host(host), Ok(()), "{host}");
    }
    for host in [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "[::1",
        "a:b",
        "127.0.0.1/x",
    ] {
        assert!(policy.check_host(host).is_err(), "{host}");
    }
    assert_eq!(
        Policy {
            tls: true,
            ..policy
        }
        .check_host("any.example"),
        Ok(())
    );
}

#[test]
fn only_own_and_listed_pages_may_speak() {
    let policy = Policy {
        allowed_origins: vec!["https://ok.example".into()],
        ..Policy::default()
    };
    let host = "127.0.0.1:8080";
    for origin in [
        "http://127.0.0.1:8080",
        "https://ok.example",
        "https://ok.example:443",
    ] {
        assert_eq!(policy.check_origin(origin, host), Ok(()), "{origin}");
    }
    for origin in [
        "null",
        "",
        "http://127.0.0.1",
        "https://127.0.0.1:8080",
        "http://127.0.0.1:8081",
        "http://localhost:8080",
        "http://ok.example",
        "https://ok.example.evil.example",
        "file://",
        "*",
    ] {
        assert!(policy.check_origin(origin, host).is_err(), "{origin}");
    }
    assert_eq!(
        policy.check_origin("http://localhost", "localhost:80"),
        Ok(()),
        "the default port may be left out"
    );
    let tls = Policy {
        tls: true,
        ..Policy::default()
    };
    assert_eq!(
        tls.check_origin("https://cam.example", "cam.example"),
        Ok(())
    );
    assert!(
        tls.check_origin("http://cam.example", "cam.example")
            .is_err()
    );
    let open = Policy {
        allowed_origins: vec!["*".into()],
        ..Policy::default()
    };
    assert_eq!(open.check_origin("null", host), Ok(()));
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(one in ".*", other in "[\\]\\[:a-z0-9.@/]{0,30}") {
        let policy = Policy { allowed_origins: vec![one.clone()], allowed_hosts: vec![other.clone()], tls: false };
        for text in [&one, &other] {
            let _ = bearer(text);
            let _ = split_host(text);
            let _ = policy.check_host(text);
            let _ = policy.check_origin(text, &other);
        }
    }
}
