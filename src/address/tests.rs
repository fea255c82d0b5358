use proptest::prelude::*;

use super::*;

fn uri(text: &str) -> SignallingUri {
    SignallingUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

// rules: long because it is a table, a row a URI.
#[test]
fn a_signalling_uri_is_taken_apart() {
    let cases = [
        (
            "listen://127.0.0.1:8080/cam",
            "listen",
            "127.0.0.1",
            Some(8080),
            Some("cam"),
        ),
        (
            "listen://127.0.0.1:8080",
            "listen",
            "127.0.0.1",
            Some(8080),
            None,
        ),
        (
            "listen://127.0.0.1:0/",
            "listen",
            "127.0.0.1",
            Some(0),
            None,
        ),
        (
            "LISTEN://localhost/Cam",
            "listen",
            "localhost",
            None,
            Some("Cam"),
        ),
        (
            "listen://[::1]:9000/cam",
            "listen",
            "::1",
            Some(9000),
            Some("cam"),
        ),
        ("listen:///cam", "listen", "", None, Some("cam")),
        ("listen:", "listen", "", None, None),
        (
            "listen://0.0.0.0/K%C3%BCche%202",
            "listen",
            "0.0.0.0",
            None,
            Some("Küche 2"),
        ),
        (
            "listen://0.0.0.0/Küche",
            "listen",
            "0.0.0.0",
            None,
            Some("Küche"),
        ),
        ("memory:room", "memory", "", None, Some("room")),
        (
            "memory://we-offer/room",
            "memory",
            "we-offer",
            None,
            Some("room"),
        ),
        (
            "sigmund+wss://example.org/a-b_c.d~e",
            "sigmund+wss",
            "example.org",
            None,
            Some("a-b_c.d~e"),
        ),
        (
            "whep+https://example.org:1/live/one?key=2",
            "whep+https",
            "example.org",
            Some(1),
            None,
        ),
        ("app:", "app", "", None, None),
    ];
    for (text, scheme, host, port, stream) in cases {
        let read = uri(text);
        assert_eq!(
            (
                &*read.scheme,
                &*read.host,
                read.port,
                read.stream.as_deref()
            ),
            (scheme, host, port, stream),
            "{text}"
        );
        assert_eq!(read.text, text);
    }
}

#[test]
fn a_wrong_signalling_uri_is_refused_and_a_right_one_shown() {
    let long_name = format!("listen://127.0.0.1/{}", "a".repeat(MAX_STREAM_NAME + 1));
    let long_uri = format!("listen://127.0.0.1/{}", "a".repeat(MAX_URI));
    let cases = [
        "",
        "cam",
        "127.0.0.1:8080",
        ":x",
        "1:x",
        "a b://c",
        "listen://:8080/cam",
        "listen://127.0.0.1:99999/cam",
        "listen://[::1/cam",
        "listen://127.0.0.1/a/b",
        "listen://127.0.0.1/a%2Fb",
        "listen://127.0.0.1/a%",
        "listen://127.0.0.1/%zz",
        "listen://127.0.0.1/%FF",
        "listen://127.0.0.1/%00",
        "listen://127.0.0.1/a\nb",
        "listen://127.0.0.1/..",
        "listen://127.0.0.1/%2e",
        "listen://127.0.0.1/a?b",
        "listen://127.0.0.1/a#b",
        "listen://127.0.0.1?b",
        " listen:",
        "listen://127.0.0.1/a/",
        &long_name,
        &long_uri,
    ];
    for text in cases {
        let error = SignallingUri::parse(text).expect_err(text);
        assert!(
            error.0.contains("listen://127.0.0.1:8080/camera"),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_password_in_a_signalling_uri_is_refused_and_not_repeated() {
    let error = SignallingUri::parse("listen://me:hush@127.0.0.1/cam").unwrap_err();
    assert!(
        error.0.contains("token") && !error.0.contains("hush"),
        "{error}"
    );
}

// rules: long because it is a table, a row a URI.
#[test]
fn an_ice_server_is_taken_apart() {
    let cases = [
        (
            "stun://stun.example.net",
            IceScheme::Stun,
            "stun.example.net",
            3478,
            None,
            None,
        ),
        (
            "stun:stun.example.net:19302",
            IceScheme::Stun,
            "stun.example.net",
            19302,
            None,
            None,
        ),
        (
            "stun://[::1]:3478/",
            IceScheme::Stun,
            "::1",
            3478,
            None,
            None,
        ),
        (
            "stun://[2001:db8::1]",
            IceScheme::Stun,
            "2001:db8::1",
            3478,
            None,
            None,
        ),
        (
            "turn://u:p@192.0.2.1",
            IceScheme::Turn,
            "192.0.2.1",
            3478,
            Some(("u", "p")),
            None,
        ),
        (
            "turn:u:p@h?transport=udp",
            IceScheme::Turn,
            "h",
            3478,
            Some(("u", "p")),
            Some(Transport::Udp),
        ),
        (
            "TURNS://u:p@h:443?transport=TCP",
            IceScheme::Turns,
            "h",
            443,
            Some(("u", "p")),
            Some(Transport::Tcp),
        ),
        (
            "turns://u:p@h",
            IceScheme::Turns,
            "h",
            5349,
            Some(("u", "p")),
            None,
        ),
        (
            "turn://1700000000%3Aann:a%2Bb%2Fc%3D@h",
            IceScheme::Turn,
            "h",
            3478,
            Some(("1700000000:ann", "a+b/c=")),
            None,
        ),
        (
            "turn://u:a+b/c=@h",
            IceScheme::Turn,
            "h",
            3478,
            Some(("u", "a+b/c=")),
            None,
        ),
        (
            "turn://u@example.org:p?q@h",
            IceScheme::Turn,
            "h",
            3478,
            Some(("u@example.org", "p?q")),
            None,
        ),
    ];
    for (text, scheme, host, port, credentials, transport) in cases {
        let server = IceServer::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (server.scheme, &*server.host, server.port, server.transport),
            (scheme, host, port, transport),
            "{text}"
        );
        assert_eq!(
            server.username.as_deref().zip(server.password.as_deref()),
            credentials,
            "{text}"
        );
    }
}

#[test]
fn a_wrong_ice_server_is_refused_without_repeating_it() {
    let cases = [
        "",
        "hush",
        "http://hush",
        "stun:",
        "stun://hush:0",
        "stun://hush:x",
        "stun://hush?transport=udp",
        "stun://a:hush@h",
        "stun://::1",
        "turn://h",
        "turn://u:hush",
        "turn://u@hush",
        "turn://u:@hush",
        "turn://:hush@h",
        "turn://1:u:hush@h",
        "turn://u:hush%@h",
        "turn://u:hush%0A@h",
        "turn://u:hush@h?transport=tls",
        "turn://u:hush@h?a=b",
        "turn://u:hush@",
        "turn://u:hush@h:70000",
        "turn://u:hu sh@h",
        "turn://u:hush@h/path",
    ];
    for text in cases {
        let error = IceServer::parse(text).expect_err(text);
        assert!(error.0.contains("turn://user:password@"), "{text}: {error}");
        assert!(!error.0.contains("hush"), "{text}: {error}");
    }
}

#[test]
fn a_list_of_ice_servers_is_read_and_its_bad_one_is_named() {
    let servers = IceServer::parse_list("stun://a, turn://u:p@b ,").unwrap();
    assert_eq!(
        servers
            .iter()
            .map(|server| &*server.host)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(IceServer::parse_list("").unwrap(), []);
    let error = IceServer::parse_list("stun://a,turn://b").unwrap_err();
    assert!(error.0.starts_with("number 2:"), "{error}");
}

#[test]
fn gstreamer_gets_every_reserved_character_encoded() {
    let server = IceServer::parse("turn:1700000000%3Aann:a+b/c=@[::1]:443?transport=tcp").unwrap();
    assert_eq!(
        server.to_gstreamer_uri(),
        "turn://1700000000%3Aann:a%2Bb%2Fc%3D@[::1]:443?transport=tcp"
    );
    assert_eq!(
        IceServer::parse("stun:h").unwrap().to_gstreamer_uri(),
        "stun://h:3478"
    );
}

#[test]
fn a_link_header_quotes_the_credentials() {
    let server = IceServer::parse("turn://a%22%5C:b@h?transport=udp").unwrap();
    let link = r#"<turn:h:3478?transport=udp>; rel="ice-server"; username="a\"\\"; credential="b"; credential-type="password""#;
    assert_eq!(server.to_link_header(), link);
    assert_eq!(
        IceServer::parse("stun:h").unwrap().to_link_header(),
        r#"<stun:h:3478>; rel="ice-server""#
    );
}

#[test]
fn ice_servers_are_found_among_links() {
    let links = IceServer::from_links([
        r#"</style.css>; rel=preload, <stun:a.example>; rel="ice-server""#,
        r#"<turn:b.example?transport=udp>; rel="ice-server next"; username="1:c\"d";credential=e; credential-type=password,<turn:f>;rel=ice-server"#,
        r#"<turns:g.example:443>;REL = "ICE-Server"; title; username=h; credential="i,j;<k>"; rel=other"#,
        r"<http://l.example>; rel=ice-server, <stun:m",
    ]);
    let expected = [
        "stun:a.example",
        "turn://1%3Ac%22d:e@b.example?transport=udp",
        // One without credentials is of no use.
        "turns://h:i%2Cj%3B%3Ck%3E@g.example:443",
    ];
    assert_eq!(links, expected.map(|it| IceServer::parse(it).unwrap()));
    let many = vec!["<stun:h>; rel=ice-server"; 40].join(",");
    assert_eq!(IceServer::from_links([many.as_str()]).len(), 16);
}

#[test]
fn debug_output_has_no_password() {
    let server = IceServer::parse("turn://u:hush@h").unwrap();
    assert!(!format!("{server:?}").contains("hush"));
}

#[test]
fn ice_servers_are_shown_without_passwords() {
    for (written, shown) in [
        ("stun://a, stun:b", "stun://a, stun:b"),
        (
            "stun://a,turn://1%3Ann:hu%2Csh@b?transport=tcp,turns://c:443",
            "stun://a:3478,turn://1%3Ann:***@b:3478?transport=tcp,turns://c:443",
        ),
        ("turn://u:hu@sh@b", "turn://u:***@b:3478"),
        ("turn://u:hush@b,turn:x@@@", "***"),
        ("u:hush@b", "***"),
    ] {
        assert_eq!(IceServer::without_passwords(written), shown);
    }
}

#[test]
fn a_uri_may_name_several_servers_where_its_scheme_knows_them() {
    let read = uri("sigmund+wss://a.example,b.example:8443,[::1]:1/front%20door");
    assert_eq!((read.host.as_str(), read.port), ("a.example", None));
    let others = [
        ("b.example".to_owned(), Some(8443)),
        ("::1".to_owned(), Some(1)),
    ];
    assert_eq!(read.others, others);
    assert_eq!(read.stream.as_deref(), Some("front door"));
    assert!(uri("ws://a/cam").others.is_empty());
    // A comma in a stream's name is no other server.
    assert_eq!(uri("ws://a/cam,b").stream.as_deref(), Some("cam,b"));
    for wrong in [
        "ws://a,/cam",
        "ws://,a/cam",
        "ws://a,b:x/cam",
        "ws://a,u:p@b/cam",
    ] {
        assert!(SignallingUri::parse(wrong).is_err(), "{wrong}");
    }
    let many = format!("ws://a{}/cam", ",a".repeat(MAX_HOSTS));
    assert!(SignallingUri::parse(&many).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".*", noise in "(listen|stun:|turn:|turns:)(//)?[\\]\\[:@/?%#a-z0-9]{0,40}") {
        for text in [&text, &noise] {
            let _ = SignallingUri::parse(text);
            let _ = IceServer::parse_list(text);
            let _ = decode_part(text);
            let _ = IceServer::from_links([text.as_str()]);
            let _ = IceServer::from_url(text, Some((noise.as_str(), text)));
        }
    }

    #[test]
    fn a_stream_name_survives_its_encoding(name in "[^/\\\\\\p{Cc}]{1,128}") {
        prop_assume!(check_stream_name(&name).is_ok());
        let read = SignallingUri::parse(&format!("listen://h/{}", encode_part(&name))).unwrap();
        prop_assert_eq!(read.stream, Some(name));
    }

    #[test]
    fn credentials_survive_gstreamers_form(user in "[^\\p{Cc}]{1,40}", password in "[^\\p{Cc}]{1,40}") {
        let server = IceServer {
            scheme: IceScheme::Turn, host: "h".into(), port: 1, username: Some(user), password: Some(password), transport: None,
        };
        prop_assert_eq!(&IceServer::parse(&server.to_gstreamer_uri()).unwrap(), &server);
        let links = [server.to_link_header()];
        prop_assert_eq!(IceServer::from_links(links.iter().map(String::as_str)), [server.clone()]);
        let credentials = server.username.as_deref().zip(server.password.as_deref());
        prop_assert_eq!(&IceServer::from_url(&server.to_url(), credentials).unwrap(), &server);
    }
}
