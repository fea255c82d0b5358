//! Candidate lines and trickle fragments.

use super::*;

fn usable(line: &str) -> String {
    match check_candidate(line) {
        Ok(CandidateLine::Usable(line)) => line,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn real_candidates_are_usable_and_written_anew() {
    assert_eq!(
        usable(
            "candidate:842163049 1 udp 1677729535 203.0.113.9 40678 typ srflx \
             raddr 10.0.0.17 rport 40678 generation 0 ufrag abcd network-cost 999"
        ),
        "candidate:842163049 1 UDP 1677729535 203.0.113.9 40678 typ srflx \
         raddr 10.0.0.17 rport 40678"
    );
    let plain = "candidate:1 1 UDP 2015363327 2001:db8::1 9 typ host";
    assert_eq!(usable(&format!("a={plain}\r\n")), plain);
    assert_eq!(usable(plain), plain);
}

#[test]
fn what_is_skipped_is_told_apart_from_what_is_wrong() {
    for (line, expected) in [
        ("", CandidateLine::End),
        (" \r\n", CandidateLine::End),
        ("a=end-of-candidates", CandidateLine::End),
        (
            "candidate:1 1 udp 1 d43fc977-5fa3-4298-aece-56db1d44baeb.LOCAL 9 typ host",
            CandidateLine::Mdns,
        ),
        (
            "candidate:1 1 TCP 1 x.local 9 typ host tcptype active",
            CandidateLine::Mdns,
        ),
        (
            "candidate:1 1 ssltcp 1 192.0.2.1 443 typ host",
            CandidateLine::OtherTransport,
        ),
        (
            "candidate:1 2 UDP 1 192.0.2.1 9 typ host",
            CandidateLine::OtherTransport,
        ),
    ] {
        assert_eq!(check_candidate(line), Ok(expected), "{line}");
    }
}

#[test]
fn over_tcp_the_kind_of_connection_is_kept() {
    let line = "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype passive generation 0";
    let kept = "candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype passive";
    assert_eq!(check_candidate(line), Ok(CandidateLine::Tcp(kept.into())));
    for wrong in ["", " tcptype", " tcptype any"] {
        let line = format!("candidate:1 1 TCP 1 192.0.2.1 9 typ host{wrong}");
        assert!(check_candidate(&line).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_seen_from_outside_is_told() {
    let outside = |line: &str, at: &str| seen_from_outside(line, at.parse().unwrap());
    let host = "candidate:7 1 UDP 2015363327 172.17.0.2 40000 typ host";
    // 2015363327 - 26 * 2^24
    let seen =
        "candidate:x7 1 UDP 1579155711 203.0.113.5 40000 typ srflx raddr 172.17.0.2 rport 40000";
    assert_eq!(outside(host, "203.0.113.5").as_deref(), Some(seen));
    assert_eq!(outside(host, "2001:db8::5"), None);
    assert_eq!(outside(host, "172.17.0.2"), None);
    assert_eq!(outside(seen, "203.0.113.6"), None);
    assert_eq!(outside("nonsense", "203.0.113.5"), None);
    let tcp = "candidate:7 1 TCP 2015363327 172.17.0.2 40000 typ host tcptype passive";
    assert_eq!(outside(tcp, "203.0.113.5"), None);
}

#[test]
fn who_stands_behind_a_relay_can_be_hidden() {
    let relay = "candidate:3 1 UDP 505414143 203.0.113.10 57194 typ relay raddr 192.0.2.7 rport 58";
    let hidden = "candidate:3 1 UDP 505414143 203.0.113.10 57194 typ relay raddr 0.0.0.0 rport 9";
    assert_eq!(without_base(relay), hidden);
    let relay = "candidate:3 1 UDP 7 2001:db8::10 57194 typ relay raddr 2001:db8::7 rport 58";
    assert!(without_base(relay).ends_with("raddr :: rport 9"));
    let host = "candidate:1 1 UDP 2015363327 192.0.2.7 40000 typ host";
    assert_eq!(without_base(host), host);
    assert_eq!(without_base("nonsense"), "nonsense");
}

#[test]
fn garbage_never_reaches_ice() {
    let long = format!(
        "candidate:1 1 UDP 1 192.0.2.1 9 typ host {}",
        "x y ".repeat(300)
    );
    for line in [
        "garbage",
        "candidate",
        "candidate:",
        "candidate: 1 UDP 1 192.0.2.1 9 typ host",
        "candidate:1 1 UDP 1 192.0.2.1 9",
        "candidate:1 1 UDP 1 192.0.2.1 9 typ teapot",
        "candidate:1 1 UDP 1 192.0.2.1 0 typ host",
        "candidate:1 1 UDP 1 192.0.2.1 65536 typ host",
        "candidate:1 1 UDP 0 192.0.2.1 9 typ host",
        "candidate:1 1 UDP 2147483648 192.0.2.1 9 typ host",
        "candidate:1 0 UDP 1 192.0.2.1 9 typ host",
        "candidate:1 257 UDP 1 192.0.2.1 9 typ host",
        "candidate:1 1 UDP 1 0.0.0.0 9 typ host",
        "candidate:1 1 UDP 1 224.0.0.251 5353 typ host",
        "candidate:1 1 UDP 1 255.255.255.255 9 typ host",
        "candidate:1 1 UDP 1 fe80::1%eth0 9 typ host",
        "candidate:1 1 UDP 1 printer.example.com 9 typ host",
        "candidate:1 1 UDP 1 local 9 typ host",
        "candidate:\u{e9} 1 UDP 1 192.0.2.1 9 typ host",
        "candidate:123456789012345678901234567890123 1 UDP 1 192.0.2.1 9 typ host",
        long.as_str(),
    ] {
        let checked = check_candidate(line);
        assert!(
            matches!(checked, Err(SdpError::Malformed(_))),
            "{line}: {checked:?}"
        );
    }
}

#[test]
fn a_fragment_is_read() {
    // RFC 8840 section 9.
    let fragment = trickle_fragment(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
         a=group:BUNDLE 0 1\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n\
         a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0\r\n\
         a=end-of-candidates\r\n",
    )
    .unwrap();
    assert_eq!(fragment.ufrag.as_deref(), Some("EsAw"));
    assert_eq!(fragment.pwd.as_deref(), Some("P2uYro0UCOQ4zxjKXaWCBui1"));
    assert!(fragment.end);
    assert_eq!(fragment.candidates.len(), 2);
    assert_eq!(fragment.candidates[0].sdp_mid.as_deref(), Some("0"));
    assert!(usable(&fragment.candidates[0].candidate).contains("192.0.2.1 61764"));
}

#[test]
fn a_fragment_may_be_bare() {
    assert_eq!(trickle_fragment(""), Ok(Fragment::default()));
    let bare = trickle_fragment("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n").unwrap();
    assert_eq!(bare.candidates.len(), 1);
    assert_eq!(bare.candidates[0].sdp_mid, None);
    assert!(!bare.end && bare.ufrag.is_none());
}

#[test]
fn a_fragment_is_bounded() {
    let line = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    assert!(trickle_fragment(&line.repeat(MAX_CANDIDATES)).is_ok());
    for bad in [
        line.repeat(MAX_CANDIDATES + 1),
        "a=x\r\n".repeat(20_000),
        format!("a=candidate:{}\r\n", "x".repeat(1024)),
        "a=ice-ufrag:abc\r\n".to_owned(),
        "a=ice-pwd:tooshort\r\n".to_owned(),
        "a=ice-ufrag:abcd\r\na=ice-ufrag:abce\r\n".to_owned(),
        "not a fragment".to_owned(),
    ] {
        let read = trickle_fragment(&bad);
        assert!(matches!(read, Err(SdpError::Malformed(_))), "{read:?}");
    }
}
