//! Is each NAT of the lab what its name says? Asked from outside, with
//! sockets, as RFC 5780 does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use sigmund_tests::internet::Families;
use sigmund_tests::{Host, Internet, Nat};

/// What is known of a mapping (RFC 4787 section 4.1) and of who gets through
/// it (section 5).
#[derive(Debug, PartialEq, Eq)]
struct Behaviour {
    /// Another port of the same host, and another host, see the same mapping.
    same_mapping: (bool, bool),
    /// Another port of the host that was sent to, and another host, get through.
    lets_in: (bool, bool),
    /// The host's own address is seen.
    translated: bool,
}

fn socket(host: &Host, port: u16) -> UdpSocket {
    bind(host, (host.address(), port).into())
}

fn socket6(host: &Host) -> UdpSocket {
    bind(host, (host.address6().unwrap(), 4000).into())
}

fn bind(host: &Host, address: SocketAddr) -> UdpSocket {
    let socket = host.run(|| UdpSocket::bind(address).unwrap());
    let patience = Duration::from_millis(300);
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

fn heard(socket: &UdpSocket) -> Option<SocketAddr> {
    socket.recv_from(&mut [0; 16]).ok().map(|(_, from)| from)
}

/// `None` where UDP does not pass at all.
fn behaviour(inside: &Host, far: &Host, other: &Host) -> Option<Behaviour> {
    let (a, same_host, b) = (socket(far, 4000), socket(far, 4001), socket(other, 4000));
    let ours = socket(inside, 0);
    let address = |socket: &UdpSocket| socket.local_addr().unwrap();
    let send = |to: &UdpSocket| {
        let _ = ours.send_to(b"ping", address(to));
        heard(to)
    };
    let mapped = send(&a)?;
    let enters = |from: &UdpSocket| {
        from.send_to(b"pong", mapped).unwrap();
        heard(&ours).is_some()
    };
    assert!(enters(&a), "an answer");
    let lets_in = (enters(&same_host), enters(&b));
    let same_mapping = (send(&same_host) == Some(mapped), send(&b) == Some(mapped));
    Some(Behaviour {
        same_mapping,
        lets_in,
        translated: mapped.ip() != IpAddr::from(inside.address()),
    })
}

fn reaches(inside: &Host, far: &Host, port: u16) -> bool {
    let _listener = far.run(|| TcpListener::bind((far.address(), port)).unwrap());
    let to = SocketAddr::from((far.address(), port));
    let patience = Duration::from_secs(1);
    inside.run(|| TcpStream::connect_timeout(&to, patience).is_ok())
}

#[test]
fn each_kind_is_what_its_name_says() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let (far, other) = (internet.public("far"), internet.public("other"));
    for nat in Nat::ALL {
        let site = internet.site(nat.name(), nat);
        let seen = behaviour(site.host(), &far, &other);
        let cone = |same_host, other_host| {
            Some(Behaviour {
                same_mapping: (true, true),
                lets_in: (same_host, other_host),
                translated: true,
            })
        };
        let expected = match nat {
            Nat::None => Some(Behaviour {
                same_mapping: (true, true),
                lets_in: (true, true),
                translated: false,
            }),
            Nat::FullCone => cone(true, true),
            Nat::AddressRestricted => cone(true, false),
            Nat::PortRestricted => cone(false, false),
            Nat::Symmetric => Some(Behaviour {
                same_mapping: (false, false),
                lets_in: (false, false),
                translated: true,
            }),
            Nat::UdpBlocked | Nat::Only443 => None,
        };
        assert_eq!(seen, expected, "{nat}");
        assert_eq!(
            reaches(site.host(), &far, 3478),
            nat != Nat::Only443,
            "{nat}"
        );
        assert!(reaches(site.host(), &far, 443), "{nat}");
    }
}

#[test]
fn nobody_gets_in_unasked() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let far = internet.public("far");
    for nat in Nat::ALL {
        let site = internet.site(nat.name(), nat);
        let inside = socket(site.host(), 5000);
        let outside = socket(&far, 0);
        let router = site.router().address();
        let host = site.host().address();
        for to in [router, host] {
            let _ = outside.send_to(b"hello", (to, 5000));
        }
        assert_eq!(heard(&inside).is_some(), nat == Nat::None, "{nat}");
    }
}

#[test]
fn a_packet_that_was_turned_away_changes_no_mapping() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let (far, other) = (internet.public("far"), internet.public("other"));
    let site = internet.site("home", Nat::PortRestricted);
    let (a, b, ours) = (
        socket(&far, 4000),
        socket(&other, 4000),
        socket(site.host(), 0),
    );
    ours.send_to(b"ping", a.local_addr().unwrap()).unwrap();
    let mapped = heard(&a).unwrap();
    // Hole punching: the far side's first packet is early.
    b.send_to(b"early", mapped).unwrap();
    assert_eq!(heard(&ours), None);
    ours.send_to(b"ping", b.local_addr().unwrap()).unwrap();
    assert_eq!(heard(&b), Some(mapped));
    b.send_to(b"now", mapped).unwrap();
    assert!(heard(&ours).is_some());
}

#[test]
fn routers_count_what_they_pass_on() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let far = internet.public("far");
    let site = internet.site("home", Nat::Symmetric);
    let (a, ours) = (socket(&far, 4000), socket(site.host(), 0));
    for _ in 0..5 {
        ours.send_to(&[0; 72], a.local_addr().unwrap()).unwrap();
    }
    assert!(reaches(site.host(), &far, 443));
    let flows = site.flows();
    let udp = flows.iter().find(|it| !it.tcp && it.port == 4000).unwrap();
    assert_eq!(
        (udp.to, udp.packets, udp.bytes),
        (far.address().into(), 5, 500)
    );
    assert!(flows.iter().any(|it| it.tcp && it.port == 443), "{flows:?}");
}

#[test]
fn ipv6_is_routed_and_guarded() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let far = internet.public("far");
    let far6 = far.address6().unwrap();
    for (nat, families) in [
        (Nat::None, Families::V6),
        (Nat::PortRestricted, Families::Dual),
        (Nat::UdpBlocked, Families::V6),
    ] {
        let site = internet.site_of(nat.name(), nat, families);
        let address = site.host().address6().unwrap();
        let (ours, theirs) = (socket6(site.host()), socket6(&far));
        theirs.send_to(b"unasked", (address, 4000)).unwrap();
        assert_eq!(heard(&ours).is_some(), nat == Nat::None, "{nat}");
        let _ = ours.send_to(b"ping", (far6, 4000));
        let from = heard(&theirs);
        assert_eq!(
            from.map(|it| it.ip()),
            nat.passes_udp().then(|| address.into()),
            "{nat}"
        );
        assert_eq!(
            site.host().address() == Ipv4Addr::UNSPECIFIED,
            families == Families::V6
        );
    }
}

/// Bridges are routers here, too: what is plugged into one must not change how
/// the others reach it.
#[test]
fn who_is_added_disturbs_nobody() {
    let Some(mut internet) = Internet::new() else {
        return;
    };
    let far = [internet.public("far"), internet.public("other")];
    let mut home = internet.site_of("home", Nat::PortRestricted, Families::Dual);
    let (ours, theirs) = (socket6(home.host()), far.each_ref().map(socket6));
    for others in 0..30 {
        for (far, theirs) in theirs.iter().enumerate() {
            ours.send_to(b"ping", theirs.local_addr().unwrap()).unwrap();
            let from = heard(theirs).unwrap_or_else(|| panic!("no ping beside {others} others"));
            theirs.send_to(b"pong", from).unwrap();
            assert!(
                heard(&ours).is_some(),
                "{far}: no pong beside {others} others"
            );
        }
        internet.public(&format!("guest{others}"));
        internet.join(&mut home, &format!("neighbour{others}"));
    }
}
