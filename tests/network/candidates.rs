//! Which addresses are announced, by which kinds of networks and settings.

use std::net::IpAddr;
use std::time::Duration;

use sigmund_tests::coturn::Accounts;
use sigmund_tests::internet::Families;
use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::{Nat, Publisher, Stage, eventually};

fn stage() -> Option<Stage> {
    Stage::new(
        &Accounts::Users(vec![("joe".to_owned(), "secret".to_owned())]),
        "",
    )
}

/// The candidates of a description: transport, address, port, type.
fn candidates(sdp: &str) -> Vec<(String, IpAddr, u16, String)> {
    let lines = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"));
    lines
        .map(|line| {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            (
                words[2].to_ascii_lowercase(),
                words[4].parse().unwrap(),
                words[5].parse().unwrap(),
                words[7].to_owned(),
            )
        })
        .collect()
}

fn addresses(viewer: &Viewer) -> Vec<IpAddr> {
    let mut all: Vec<_> = candidates(&viewer.resource().answer)
        .into_iter()
        .map(|it| it.1)
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn a_range_of_ports_that_is_used_up_is_an_error() {
    use_up("");
}

#[test]
fn with_candidates_over_tcp_it_is_an_error_too() {
    use_up("ice-tcp=true");
}

/// Who set the range is told, too.
fn use_up(properties: &str) {
    let Some(stage) = stage() else { return };
    let properties = format!("ice-port-range=40000-40001 {properties}");
    let publisher = stage.publish(&[("cam", &properties)]);
    let join = || Viewer::try_join(&stage.viewer, &stage.whep("cam"), Manners::silent());
    let (first, second) = (join().unwrap(), join().unwrap());
    for viewer in [&first, &second] {
        let ports = candidates(&viewer.resource().answer);
        // Active ones over TCP have none yet: 9 (RFC 6544 section 4.5).
        let within = |it: &(String, IpAddr, u16, String)| {
            (it.0 == "tcp" && it.2 == 9) || (40_000..=40_001).contains(&it.2)
        };
        assert!(ports.iter().all(within), "{ports:?}");
        viewer.watch(10);
    }
    let refused = join().expect_err("there is no third port");
    assert!(refused.status >= 500, "{refused:?}");
    assert!(refused.body.contains("ice-port-range"), "{refused:?}");
    publisher.warning("ice-port-range");
    first.watch(10);
    first.leave();
    let third = eventually(Duration::from_secs(10), "the port is free again", || {
        join().ok()
    });
    third.watch(10);
    second.watch(10);
}

#[test]
fn interfaces_can_be_chosen_and_link_local_addresses_are_left_out() {
    let Some(stage) = stage() else { return };
    let host = &stage.publisher;
    for address in ["169.254.7.7/16", "fe80::7/64"] {
        host.output("ip", &["address", "add", address, "dev", "eth0", "nodad"]);
    }
    host.output(
        "ip",
        &[
            "link", "add", "vpn0", "type", "veth", "peer", "name", "vpn1",
        ],
    );
    host.output("ip", &["link", "set", "vpn1", "up"]);
    host.output("ip", &["link", "set", "vpn0", "up"]);
    host.output("ip", &["address", "add", "10.99.0.1/24", "dev", "vpn0"]);
    let v4 = IpAddr::from(host.address());
    let v6 = IpAddr::from(host.address6().unwrap());
    let vpn: IpAddr = "10.99.0.1".parse().unwrap();
    let one = format!("ice-interfaces={v4}");
    let _publisher = stage.publish(&[
        ("all", ""),
        ("eth", "ice-interfaces=eth0"),
        ("one", &one),
        ("two", "ice-interfaces=vpn0,eth0"),
        ("none", "ice-interfaces=wlan7"),
    ]);
    let join = |name: &str| Viewer::try_join(&stage.viewer, &stage.whep(name), Manners::silent());
    for (name, expected) in [
        ("all", vec![vpn, v4, v6]),
        ("eth", vec![v4, v6]),
        ("one", vec![v4]),
        ("two", vec![vpn, v4, v6]),
    ] {
        let viewer = join(name).unwrap();
        assert_eq!(addresses(&viewer), expected, "{name}");
        viewer.watch(5);
    }
    let refused = join("none").expect_err("it has no such interface");
    let named = ["ice-interfaces", "wlan7", "eth0"];
    assert!(
        named.iter().all(|it| refused.body.contains(it)),
        "{refused:?}"
    );
}

/// What a container's host, or a cloud, does: all that comes to some ports is
/// passed on to a machine within. The viewer cannot be reached from outside.
#[test]
fn an_address_that_a_router_passes_on_is_announced() {
    let Some(mut stage) = stage() else { return };
    let inside = stage.internet.site("container", Nat::PortRestricted);
    let outside = stage.internet.site("mobile", Nat::Symmetric);
    let (router, host) = (inside.router(), inside.host());
    let rules = format!(
        "table ip forwards {{\n chain arriving {{ type nat hook prerouting priority -150\n \
         iifname \"wan\" udp dport 50000-50010 dnat to {host}\n \
         iifname \"wan\" tcp dport 8080 dnat to {host}\n }}\n }}",
        host = host.address()
    );
    router.output("nft", &[&rules]);
    let publisher = Publisher::start(
        host,
        &format!(
            "videotestsrc is-live=true ! video/x-raw,width=320,height=240 ! \
             rtcsink uri=listen://0.0.0.0:8080/cam allow-anonymous=true \
             ice-port-range=50000-50010 ice-external-address={}",
            router.address()
        ),
    );
    publisher.address();
    let endpoint = format!("http://{}:8080/whep/cam", router.address());
    let viewer = Viewer::join_silent(outside.host(), &endpoint);
    let told = candidates(&viewer.resource().answer);
    let external = told
        .iter()
        .find(|it| it.1 == IpAddr::from(router.address()));
    let (transport, _, port, kind) = external.expect("it is announced");
    assert_eq!((transport.as_str(), kind.as_str()), ("udp", "srflx"));
    assert!((50_000..=50_010).contains(port), "{told:?}");
    viewer.watch(30);
}

#[test]
fn host_server_reflexive_and_relayed_ones_are_found() {
    let Some(mut stage) = stage() else { return };
    let site = stage.internet.site("home", Nat::PortRestricted);
    let turn = stage.turn.host().address();
    let publisher = Publisher::start(
        site.host(),
        &format!(
            "videotestsrc is-live=true ! video/x-raw,width=320,height=240 ! rtcsink \
             uri=listen://0.0.0.0:8080/cam allow-anonymous=true \
             ice-servers=stun://{turn},turn://joe:secret@{turn}?transport=udp"
        ),
    );
    publisher.address();
    // From within, as the router passes nothing on.
    let endpoint = format!("http://{}:8080/whep/cam", site.host().address());
    let viewer = Viewer::join_silent(site.host(), &endpoint);
    let told = candidates(&viewer.resource().answer);
    let of = |kind: &str| told.iter().find(|it| it.3 == kind).map(|it| it.1);
    assert_eq!(of("host"), Some(site.host().address().into()), "{told:?}");
    assert_eq!(
        of("srflx"),
        Some(site.router().address().into()),
        "{told:?}"
    );
    assert_eq!(of("relay"), Some(turn.into()), "{told:?}");
}

#[test]
fn ipv6_alone_and_both_families() {
    let Some(mut stage) = stage() else { return };
    let turn = stage.turn.host().address6().unwrap();
    for (families, nat) in [
        (Families::V6, Nat::PortRestricted),
        (Families::Dual, Nat::PortRestricted),
    ] {
        let label = format!("{families:?}").to_lowercase();
        let ours = stage.internet.site_of(&label, Nat::None, families);
        let theirs = stage.internet.site_of(&format!("v-{label}"), nat, families);
        let publisher = Publisher::start(
            ours.host(),
            &format!(
                "videotestsrc is-live=true ! video/x-raw,width=320,height=240 ! rtcsink \
                 uri=listen://[::]:8080/cam allow-anonymous=true ice-servers=stun://[{turn}]"
            ),
        );
        publisher.address();
        let endpoint = format!("[{}]:8080/whep/cam", ours.host().address6().unwrap());
        let mut receiver = Publisher::start(
            theirs.host(),
            &format!(
                "rtcsrc uri=whep+http://{endpoint} ! videoconvert ! identity name=look ! \
                 fakesink sync=false"
            ),
        );
        eventually(Duration::from_secs(20), "pictures", || {
            (receiver.look("look").buffers > 30).then_some(())
        });
        publisher.events();
    }
}

#[test]
fn candidates_over_tcp_are_gathered_where_wanted() {
    let Some(stage) = stage() else { return };
    let _publisher = stage.publish(&[("with", "ice-tcp=true"), ("without", "")]);
    let told = |stream| {
        let viewer = Viewer::join_silent(&stage.viewer, &stage.whep(stream));
        viewer.watch(5);
        viewer.resource().answer.clone()
    };
    let passive = |answer: &str| {
        let mut lines = answer.lines().filter(|it| it.starts_with("a=candidate:"));
        lines.any(|it| it.contains(" TCP ") && it.contains("tcptype passive"))
    };
    let with = told("with");
    assert!(passive(&with), "{with}");
    assert!(!passive(&told("without")));
}
