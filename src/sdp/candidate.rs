//! Candidate lines (RFC 8839 section 5.1) and trickle fragments (RFC 8840 section 9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sdp_types::{Attribute, Candidate, CandidateAddress, CandidateType, Session};

use super::transport::check_credential;
use super::{MAX_CANDIDATES, SdpError, is_ice_text, malformed};
use crate::message::{self, MAX_CANDIDATE, MAX_SDP};

/// A candidate that has been read (RFC 8839 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateLine {
    /// Usable, in the form `candidate:…`, written anew from what was read.
    Usable(String),
    /// A `.local` name (mDNS): skipped, peer-reflexive discovery finds it.
    Mdns,
    /// The same over TCP (RFC 6544), for those who use it.
    Tcp(String),
    /// A transport that nobody gathers; or the component for RTCP, which nobody
    /// needs with `rtcp-mux`.
    OtherTransport,
    /// The end of candidates: an empty line.
    End,
}

/// A candidate line that libnice can take, or why it is refused.
///
/// webrtcbin 1.22 takes any text that is not a candidate for the end of
/// candidates, so nothing unchecked may reach it. Names other than `.local`
/// are refused: no peer makes us ask a name server.
pub fn check_candidate(line: &str) -> Result<CandidateLine, SdpError> {
    if line.len() > MAX_CANDIDATE {
        return Err(malformed(format!(
            "a candidate has {} bytes; at most {MAX_CANDIDATE} are taken",
            line.len()
        )));
    }
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line);
    if line.is_empty() || line == "end-of-candidates" {
        return Ok(CandidateLine::End);
    }
    let bad = |why: &str| malformed(format!("a candidate cannot be used: {why}"));
    let read: Candidate = line
        .strip_prefix("candidate:")
        .ok_or_else(|| bad("it does not begin with candidate:"))?
        .parse()
        .map_err(|_| bad("it does not follow RFC 8839 5.1"))?;

    if read.foundation.is_empty() || read.foundation.len() > 32 || !is_ice_text(&read.foundation) {
        return Err(bad("its foundation is not 1 to 32 letters, digits, + or /"));
    }
    if !(1..1 << 31).contains(&read.priority) {
        return Err(bad("its priority is not 1 to 2^31 - 1"));
    }
    if !(1..=256).contains(&read.component_id) {
        return Err(bad("its component is not 1 to 256"));
    }
    let tcp = read.transport.eq_ignore_ascii_case("tcp");
    if !(tcp || read.transport.eq_ignore_ascii_case("udp")) || read.component_id != 1 {
        return Ok(CandidateLine::OtherTransport);
    }
    if matches!(read.typ, CandidateType::Other(_)) {
        return Err(bad("its type is not host, srflx, prflx or relay"));
    }
    let address = match &read.address {
        CandidateAddress::IpAddr(address) => *address,
        CandidateAddress::FQDN(name) if is_mdns(name) => return Ok(CandidateLine::Mdns),
        CandidateAddress::FQDN(_) => return Err(bad("its address is not numeric")),
    };
    if read.port == 0 || !is_unicast(address) {
        return Err(bad("nothing can be sent to its address"));
    }
    // The rest is not for ICE: generation, network-cost, ufrag …
    let kind = read.extensions.iter().find(|it| it.0 == "tcptype").cloned();
    let is_kind = |it: &(String, String)| matches!(it.1.as_str(), "active" | "passive" | "so");
    match (tcp, &kind) {
        (true, Some(kind)) if is_kind(kind) => (),
        (true, _) => return Err(bad("its tcptype is not active, passive or so")),
        (false, _) => (),
    }
    let line = Candidate {
        transport: if tcp { "TCP" } else { "UDP" }.to_owned(),
        extensions: kind.into_iter().filter(|_| tcp).collect(),
        ..read
    };
    let line = format!("candidate:{line}");
    Ok(match tcp {
        true => CandidateLine::Tcp(line),
        false => CandidateLine::Usable(line),
    })
}

/// A host candidate of ours as it is seen from outside, where a router passes
/// all that comes to `external` on to us, port by port (NAT 1:1: clouds,
/// containers): a server-reflexive candidate (RFC 8839 section 5.1). `None` for
/// others, and for those of the other family.
pub fn seen_from_outside(line: &str, external: IpAddr) -> Option<String> {
    let read: Candidate = line.strip_prefix("candidate:")?.parse().ok()?;
    let CandidateAddress::IpAddr(address) = read.address else {
        return None;
    };
    let fits = address.is_ipv4() == external.is_ipv4() && address != external;
    if read.typ != CandidateType::Host || !fits || read.port == 0 {
        return None;
    }
    let tcp = read.transport.eq_ignore_ascii_case("tcp");
    // RFC 8445 section 5.1.2.1: the type preference of server-reflexive ones is
    // 100, that of host ones 126.
    let priority = read.priority.checked_sub((126 - 100) << 24);
    if tcp || priority.is_none_or(|it| it == 0) {
        return None;
    }
    let outside = Candidate {
        foundation: format!("x{}", read.foundation.chars().take(31).collect::<String>()),
        priority: priority?,
        address: CandidateAddress::IpAddr(external),
        typ: CandidateType::Srflx,
        rel_addr: Some(address),
        rel_port: Some(read.port),
        ..read
    };
    Some(format!("candidate:{outside}"))
}

/// A relayed candidate of ours that does not tell who stands behind the relay:
/// its related address is said to be `0.0.0.0` or `::`, port 9 (RFC 8839 section
/// 5.1). Others as they are.
pub fn without_base(line: &str) -> String {
    let read = line.strip_prefix("candidate:").map(str::parse::<Candidate>);
    match read {
        Some(Ok(read)) if read.typ == CandidateType::Relay => {
            let any = match read.address {
                CandidateAddress::IpAddr(IpAddr::V6(_)) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
                _ => Ipv4Addr::UNSPECIFIED.into(),
            };
            let hidden = Candidate {
                rel_addr: Some(any),
                rel_port: Some(9),
                ..read
            };
            format!("candidate:{hidden}")
        }
        _ => line.to_owned(),
    }
}

fn is_mdns(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let suffix = name.len().checked_sub(".local".len());
    suffix
        .and_then(|at| name.get(at..))
        .is_some_and(|it| it.eq_ignore_ascii_case(".local"))
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

/// What a PATCH with `application/trickle-ice-sdpfrag` says (RFC 8840 section 9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// `a=ice-ufrag`: another one than the offer's means an ICE restart.
    pub ufrag: Option<String>,
    /// `a=ice-pwd`
    pub pwd: Option<String>,
    /// The candidates, not yet checked by [`check_candidate`].
    pub candidates: Vec<message::Candidate>,
    /// Was `a=end-of-candidates` there?
    pub end: bool,
}

/// Reads the body of a trickle PATCH (RFC 8840 section 9, RFC 9725 section 4.3).
pub fn trickle_fragment(body: &str) -> Result<Fragment, SdpError> {
    if body.len() > MAX_SDP {
        return Err(malformed(format!(
            "the fragment has {} bytes; at most {MAX_SDP} are taken",
            body.len()
        )));
    }
    // A fragment is a description without its first four lines.
    let session = Session::parse(format!("v=0\r\n{body}").as_bytes())
        .map_err(|_| malformed("the fragment cannot be read (RFC 8840 9)"))?;
    let mut fragment = Fragment::default();
    fragment.take(&session.attributes, None)?;
    for media in &session.medias {
        let mid = media.get_first_attribute_value("mid").flatten();
        fragment.take(&media.attributes, mid)?;
    }
    Ok(fragment)
}

impl Fragment {
    fn take(&mut self, attributes: &[Attribute], mid: Option<&str>) -> Result<(), SdpError> {
        for attribute in attributes {
            let value = attribute.value.as_deref().unwrap_or_default();
            match attribute.attribute.as_str() {
                "ice-ufrag" => take_credential(&mut self.ufrag, "ice-ufrag", value, 4)?,
                "ice-pwd" => take_credential(&mut self.pwd, "ice-pwd", value, 22)?,
                "end-of-candidates" => self.end = true,
                "candidate" => self.take_candidate(value, mid)?,
                _ => (),
            }
        }
        Ok(())
    }

    fn take_candidate(&mut self, value: &str, mid: Option<&str>) -> Result<(), SdpError> {
        if self.candidates.len() == MAX_CANDIDATES {
            return Err(malformed(format!(
                "the fragment has more than {MAX_CANDIDATES} candidates"
            )));
        }
        let candidate = message::Candidate {
            candidate: format!("candidate:{value}"),
            sdp_mid: mid.map(str::to_owned),
            sdp_m_line_index: None,
        };
        if candidate.candidate.len() > MAX_CANDIDATE {
            return Err(malformed(format!(
                "a candidate of the fragment has more than {MAX_CANDIDATE} bytes"
            )));
        }
        self.candidates.push(candidate);
        Ok(())
    }
}

/// The m-lines of a bundle share their credentials, so they may be repeated
/// but not differ.
fn take_credential(
    slot: &mut Option<String>,
    name: &str,
    value: &str,
    least: usize,
) -> Result<(), SdpError> {
    check_credential(name, value, least)?;
    match slot {
        Some(before) if before != value => Err(malformed(format!(
            "the fragment has two different a={name}"
        ))),
        _ => {
            *slot = Some(value.to_owned());
            Ok(())
        }
    }
}
