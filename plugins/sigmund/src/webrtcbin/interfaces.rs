//! What webrtcbin may use of the host's network, and what it tells of it.

use std::net::IpAddr;

use gst::prelude::*;
use if_addrs::Interface;
use sigmund::address::IceScheme;

use super::Network;

/// Milliseconds between connectivity checks; the least that RFC 8445 section
/// 14.2 allows.
const STUN_PACING: u32 = 5;

/// Prepares the ICE agent. Before the first description is set. Returns the
/// addresses that candidates are gathered on.
///
/// - UPnP off: on by default, it multicasts on the LAN, asks the router for
///   port mappings, and costs a thread, 11 descriptors and 200 ms a peer.
/// - ICE-TCP off, unless it is wanted: it triples the candidates.
/// - Local addresses are named one by one: libnice would take link-local IPv6
///   and leave out loopback even where there is nothing else.
pub(super) fn configure(
    webrtcbin: &gst::Element,
    network: &Network,
) -> Result<Vec<IpAddr>, String> {
    let ice = webrtcbin.property::<gst::Object>("ice-agent");
    ice.set_property("ice-tcp", network.tcp);
    if ice.find_property("agent").is_some() {
        let agent = ice.property::<glib::Object>("agent");
        agent.set_property("upnp", false);
        // Without it libnice never notices that the path is dead.
        agent.set_property("keepalive-conncheck", true);
        // Each step of a check waits for a tick of this: 20 ms by default.
        agent.set_property("stun-pacing-timer", STUN_PACING);
    }
    if let Some((min, max)) = network.port_range {
        ice.set_property("min-rtp-port", u32::from(min));
        ice.set_property("max-rtp-port", u32::from(max));
    }
    let addresses = chosen(&network.interfaces)?;
    for address in &addresses {
        ice.emit_by_name::<bool>("add-local-ip-address", &[&address.to_string()]);
    }
    if network.relay_only {
        webrtcbin.set_property_from_str("ice-transport-policy", "relay");
    }
    let stun = network
        .ice_servers
        .iter()
        .find(|s| s.scheme == IceScheme::Stun);
    if let Some(server) = stun {
        webrtcbin.set_property("stun-server", server.to_gstreamer_uri());
    }
    Ok(addresses)
}

/// Streams (SSRCs) that one far side may send; each costs a thread. Twice as many
/// as there can be pads.
const MAX_STREAMS: u32 = 64;

/// Bounds what a far side can make rtpbin build: there is no limit by default.
/// What is sent beyond is thrown away. Before anything is negotiated.
pub(super) fn limit_streams(webrtcbin: &gst::Element) {
    if let Some(rtpbin) = super::statistics::rtpbin(webrtcbin) {
        rtpbin.set_property("max-streams", MAX_STREAMS);
    }
}

/// Sets an own CNAME: the default one is `user…@HOSTNAME`.
pub(super) fn hide_host_name(webrtcbin: &gst::Element) {
    if let Some(rtpbin) = super::statistics::rtpbin(webrtcbin) {
        let cname = format!("{:08x}{:08x}", crate::random(), crate::random());
        let sdes = gst::Structure::builder("application/x-rtp-source-sdes")
            .field("cname", cname)
            .build();
        rtpbin.set_property("sdes", sdes);
    }
}

/// Is there an IPv4 address to gather candidates on?
pub(crate) fn has_ipv4() -> bool {
    local_addresses().iter().any(IpAddr::is_ipv4)
}

/// The addresses of these interfaces, by name or address; of all if there are none.
fn chosen(interfaces: &[String]) -> Result<Vec<IpAddr>, String> {
    if interfaces.is_empty() {
        return Ok(local_addresses());
    }
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let chosen = found
        .iter()
        .filter(|it| interfaces.iter().any(|name| goes_by(it, name)));
    match pick(chosen.map(Interface::ip).collect()) {
        usable if usable.is_empty() => Err(absent_of(interfaces, &found).unwrap_or_else(|| {
            format!(
                "ice-interfaces: {} has no address that can be used",
                interfaces.join(",")
            )
        })),
        usable => Ok(usable),
    }
}

/// What is to be said of those of these interfaces that are not here. They may
/// come later, as a modem's does.
pub(crate) fn absent(interfaces: &[String]) -> Option<String> {
    absent_of(interfaces, &if_addrs::get_if_addrs().unwrap_or_default())
}

/// Names alone of what is here: it is logged, and addresses are not.
fn absent_of(interfaces: &[String], found: &[Interface]) -> Option<String> {
    let is_absent = |name: &&String| !found.iter().any(|it| goes_by(it, name));
    let absent: Vec<_> = interfaces.iter().filter(is_absent).cloned().collect();
    let mut here: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
    here.sort_unstable();
    here.dedup();
    let here = match here.as_slice() {
        [] => "no interface has one".to_owned(),
        here => format!("these have: {}", here.join(", ")),
    };
    (!absent.is_empty()).then(|| {
        format!(
            "ice-interfaces: no interface {} with an address is here; {here}",
            absent.join(", ")
        )
    })
}

fn goes_by(interface: &Interface, name: &str) -> bool {
    interface.name == name || interface.ip().to_string() == name
}

/// The addresses to gather host candidates on.
fn local_addresses() -> Vec<IpAddr> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    pick(found.into_iter().map(|interface| interface.ip()).collect())
}

/// All that can be routed to, or loopback where there is nothing else
/// (sandboxes, CI).
fn pick(all: Vec<IpAddr>) -> Vec<IpAddr> {
    let routable: Vec<IpAddr> = all.iter().copied().filter(|a| is_routable(*a)).collect();
    if routable.is_empty() {
        return all.into_iter().filter(IpAddr::is_loopback).collect();
    }
    routable
}

fn is_routable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use gst_rtp::prelude::*;

    use super::*;

    #[test]
    fn a_far_side_gets_no_more_streams_than_there_can_be() {
        gst::init().unwrap();
        let factory = gst::ElementFactory::find("webrtcbin").expect("webrtcbin is there");
        let webrtcbin = factory.create().build().unwrap();
        limit_streams(&webrtcbin);
        let inner = crate::webrtcbin::statistics::rtpbin(&webrtcbin).unwrap();
        // The same, on its own: webrtcbin's hears of nothing that is not negotiated.
        let limit: u32 = inner.property("max-streams");
        let factory = gst::ElementFactory::find("rtpbin").expect("rtpbin is there");
        let rtpbin = factory.create().property("max-streams", limit);
        let rtpbin = rtpbin.build().unwrap();
        let built = Arc::new(AtomicU32::new(0));
        let count = built.clone();
        rtpbin.connect("new-jitterbuffer", false, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            None
        });
        let sink = rtpbin.request_pad_simple("recv_rtp_sink_0").unwrap();
        rtpbin.set_state(gst::State::Playing).unwrap();
        sink.send_event(gst::event::StreamStart::new("s"));
        let caps = "application/x-rtp,media=video,clock-rate=90000,encoding-name=VP8,payload=96";
        let caps: gst::Caps = caps.parse().unwrap();
        sink.send_event(gst::event::Caps::new(&caps));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        sink.send_event(gst::event::Segment::new(&segment));
        // A source is one once two packets of it have come.
        for packet in 0..2 * MAX_STREAMS * 2 {
            let (ssrc, number) = (1 + packet / 2, packet as u16 % 2);
            let mut buffer = gst::Buffer::new_rtp_with_sizes(4, 0, 0).unwrap();
            let mut rtp = gst_rtp::RTPBuffer::from_buffer_writable(buffer.make_mut()).unwrap();
            rtp.set_ssrc(ssrc);
            rtp.set_seq(number);
            rtp.set_payload_type(96);
            drop(rtp);
            sink.chain(buffer).unwrap();
        }
        rtpbin.set_state(gst::State::Null).unwrap();
        assert_eq!(built.load(Ordering::SeqCst), MAX_STREAMS);
    }

    #[test]
    fn link_local_and_loopback_are_not_routable() {
        for (text, routable) in [
            ("127.0.0.1", false),
            ("169.254.7.7", false),
            ("::1", false),
            ("fe80::1", false),
            ("192.168.1.7", true),
            ("10.77.0.1", true),
            ("2001:db8::1", true),
            ("fd00::7", true),
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(is_routable(address), routable, "{text}");
        }
    }
}
