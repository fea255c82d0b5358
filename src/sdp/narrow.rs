//! The plan written as an offer that webrtcbin takes as it is.

use sdp_types::{
    AddrType, Attribute, Connection, Fmtp, FmtpParam, Group, GroupSemantics, IceLite, Media, Mid,
    NetType, Origin, RtcpMux, Session, TypedAttribute,
};

use super::codec::Payloads;
use super::extension::Extension;
use super::transport::Transport;
use super::{DataPlan, MediaPlan, data, write as write_session};

/// What a narrowed offer is made of; the slices go together by index.
pub(super) struct Parts<'a> {
    pub(super) session: &'a Session,
    pub(super) transport: &'a Transport,
    pub(super) trickle: bool,
    pub(super) media: &'a [MediaPlan],
    pub(super) payloads: &'a [&'a Payloads],
    /// The streams that are announced on them, where we receive.
    pub(super) sources: &'a [Vec<u32>],
    pub(super) extensions: &'a [Vec<Extension>],
    pub(super) data: Option<&'a DataPlan>,
    /// How many of `media` stand before it.
    pub(super) data_at: usize,
}

/// Writes the narrowed offer.
///
/// Everything that the m-lines of a bundle share stands in each of them:
/// webrtcbin 1.22 looks for it there, and wants it the same in all.
pub(super) fn write(parts: &Parts<'_>) -> String {
    let mut session = Session::new(origin(&parts.session.origin), "-");
    let mut group = Group::new(GroupSemantics::new("BUNDLE"));
    let (first, last) = parts.media.split_at(parts.data_at);
    let first = first.iter().map(|it| &it.mid);
    let first = first.chain(parts.data.map(|it| &it.mid));
    group.add_mid_tags(first.chain(last.iter().map(|it| &it.mid)));
    session.add_attribute(group);
    if parts.trickle {
        session.add_attribute_with_value("ice-options", "trickle");
    }
    if parts.session.has_attribute(IceLite::NAME) {
        session.add_attribute(IceLite);
    }
    for index in 0..=parts.media.len() {
        // Never first: webrtcbin takes media of unknown origin for the first
        // m-line's, and crashes where that is no medium.
        if let Some(plan) = parts.data.filter(|_| index == parts.data_at) {
            session.add_media(data::narrowed(plan, parts.transport));
        }
        if index < parts.media.len() {
            session.add_media(media(parts, index));
        }
    }
    if let Some(first) = session.medias.first_mut() {
        let value = |line: &String| line.trim_start_matches("candidate:").to_owned();
        let candidates = parts.transport.candidates.iter().map(value);
        let lines = candidates.map(|it| Attribute::with_value("candidate", it));
        first.attributes.extend(lines);
    }
    write_session(&session)
}

/// The origin with nothing of the far side in it but its numbers. webrtcbin
/// copies the session id into its answer.
pub(super) fn origin(theirs: &Origin) -> Origin {
    // RFC 8829 5.2.1: 63 bits.
    let number = theirs.sess_id.parse::<i64>().ok().filter(|it| *it >= 0);
    Origin::new(
        number.unwrap_or_default(),
        theirs.sess_version.min(i64::MAX as u64),
        NetType::In,
        AddrType::Ip4,
        "0.0.0.0",
    )
}

pub(super) fn nowhere() -> Connection {
    Connection::new(NetType::In, AddrType::Ip4, "0.0.0.0")
}

fn media(parts: &Parts<'_>, index: usize) -> Media {
    let plan = &parts.media[index];
    let payloads = parts.payloads[index];
    let formats = std::iter::once(plan.payload_type).chain(plan.rtx_payload_type);
    let formats: Vec<String> = formats.map(|it| it.to_string()).collect();

    let mut attributes = parts.transport.attributes();
    attributes.push(Mid(plan.mid.clone()).into());
    attributes.extend(parts.extensions[index].iter().map(Extension::offered));
    attributes.push(plan.pipes().offered().into());
    attributes.push(RtcpMux.into());
    attributes.extend(payloads.attributes(plan.payload_type, &plan.fmtp));
    if let Some(rtx) = plan.rtx_payload_type {
        let mut apt = Fmtp::new(rtx);
        apt.add_format_specific_param(FmtpParam::with_value("apt", plan.payload_type));
        let map = sdp_types::RtpMap::new(rtx, "rtx", plan.clock_rate);
        attributes.extend([map.into(), apt.into()]);
    }
    // By these lines alone does webrtcbin know which m-line a stream belongs to.
    let sources = parts.sources[index].iter();
    attributes.extend(sources.map(|it| Attribute::with_value("ssrc", format!("{it} cname:far"))));
    Media {
        media: plan.kind.to_string(),
        port: 9,
        num_ports: None,
        proto: "UDP/TLS/RTP/SAVPF".to_owned(),
        fmt: formats.join(" "),
        media_title: None,
        connections: vec![nowhere()],
        bandwidths: Vec::new(),
        key: None,
        attributes,
    }
}
