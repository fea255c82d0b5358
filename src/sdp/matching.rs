//! Which m-line of an offer takes which of our tracks, and on which we receive.

use sdp_types::{RtcpMux, TypedAttribute};

use super::offered::Line;
use super::{Codec, CodecOffer, H264Profile, MAX_RECEIVED, SdpError, TrackOffer, malformed};

/// An m-line that is taken.
pub(super) struct Match {
    /// The index of the track that we send on it.
    pub(super) track: Option<usize>,
    /// Do we take what they send on it?
    pub(super) receives: bool,
    /// Its index.
    pub(super) mline: usize,
    /// What is sent, either way, and as which payload type.
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
}

/// Finds an m-line for each of `tracks`, and those that we can receive on in one
/// of the codecs `receives`, best first. They come in m-line order. With data
/// channels (`has_data`), nothing needs to be found for who wants no media.
pub(super) fn find(
    lines: &[Line<'_>],
    tracks: &[TrackOffer],
    receives: &[Codec],
    has_data: bool,
) -> Result<Vec<Match>, SdpError> {
    let mut matches: Vec<Match> = Vec::new();
    for (track, wanted) in tracks.iter().enumerate() {
        let found = open(lines, &matches)
            .filter(|(_, line)| line.receives && line.kind == Some(wanted.kind))
            .find_map(|(mline, line)| {
                let (codec, payload_type) = wanted
                    .codecs
                    .iter()
                    .find_map(|it| Some((it.codec, line.payloads.find(*it)?)))?;
                Some(Match {
                    track: Some(track),
                    receives: line.sends && receives.contains(&codec),
                    mline,
                    codec,
                    payload_type,
                })
            });
        matches.extend(found);
    }
    let heard = |mline: usize, line: &Line<'_>| {
        let of_kind = receives.iter().filter(|it| line.kind == Some(it.kind()));
        of_kind.copied().find_map(|codec| {
            Some(Match {
                track: None,
                receives: true,
                mline,
                codec,
                payload_type: line.payloads.find(easiest(codec))?,
            })
        })
    };
    let sending = open(lines, &matches).filter(|(_, line)| line.sends);
    let more: Vec<Match> = sending
        .filter_map(|(mline, line)| heard(mline, line))
        .take(MAX_RECEIVED)
        .collect();
    matches.extend(more);
    let unwanted = |line: &Line<'_>| !line.bundled || line.kind.is_none() || !line.receives;
    let data_only = has_data && (tracks.is_empty() || lines.iter().all(unwanted));
    if matches.is_empty() && !data_only {
        return Err(nothing_in_common(lines, tracks, receives));
    }
    for found in &matches {
        check_muxed(lines, found.mline)?;
    }
    matches.sort_by_key(|it| it.mline);
    Ok(matches)
}

/// An m-line that is taken must send RTCP on the port of its media.
pub(super) fn check_muxed(lines: &[Line<'_>], mline: usize) -> Result<(), SdpError> {
    if lines[mline].media.has_attribute(RtcpMux::NAME) {
        return Ok(());
    }
    Err(malformed(format!(
        "m-line {mline} has no a=rtcp-mux, which is required (RFC 9725 4.4)"
    )))
}

/// The m-lines on our transport that no match has taken yet.
fn open<'a, 'b>(
    lines: &'a [Line<'b>],
    matches: &[Match],
) -> impl Iterator<Item = (usize, &'a Line<'b>)> {
    let taken: Vec<usize> = matches.iter().map(|it| it.mline).collect();
    let lines = lines.iter().enumerate();
    lines.filter(move |(mline, line)| line.bundled && !taken.contains(mline))
}

/// Of several payload types of a codec the one that everybody can write: a
/// browser that offers to send H.264 in each profile encodes the one it is given.
pub(super) fn easiest(codec: Codec) -> CodecOffer {
    CodecOffer {
        codec,
        profile: (codec == Codec::H264).then_some(H264Profile::ConstrainedBaseline),
    }
}

pub(super) fn nothing_in_common(
    lines: &[Line<'_>],
    tracks: &[TrackOffer],
    receives: &[Codec],
) -> SdpError {
    let usable = |it: &&Line<'_>| it.bundled && it.kind.is_some();
    let usable: Vec<_> = lines.iter().filter(usable).collect();
    let count = lines.len();
    let ours: Vec<String> = tracks.iter().map(describe).collect();
    let heard: Vec<&str> = receives.iter().map(|it| it.encoding_name()).collect();
    SdpError::Incompatible(if tracks.is_empty() && receives.is_empty() {
        "there is no track to send here yet".to_owned()
    } else if tracks.is_empty() && !usable.iter().any(|it| it.sends) {
        format!(
            "none of the offer's {count} m-lines is audio or video that sends (sendonly or sendrecv)"
        )
    } else if tracks.is_empty() {
        format!(
            "none of the offer's m-lines sends what is received here: {}",
            heard.join(", ")
        )
    } else if !usable.iter().any(|it| it.receives) {
        format!(
            "none of the offer's {count} m-lines is audio or video that receives (recvonly or sendrecv)"
        )
    } else {
        format!(
            "none of the offer's m-lines takes what is sent here: {}",
            ours.join(", ")
        )
    })
}

/// `video as H264 (packetization-mode=1, High) or VP8`
fn describe(track: &TrackOffer) -> String {
    let codecs: Vec<String> = track
        .codecs
        .iter()
        .map(|it| match (it.codec, it.profile) {
            (Codec::H264, Some(profile)) => format!("H264 (packetization-mode=1, {profile:?})"),
            (Codec::H264, None) => "H264 (packetization-mode=1)".to_owned(),
            (codec, _) => codec.encoding_name().to_owned(),
        })
        .collect();
    format!("{} as {}", track.kind, codecs.join(" or "))
}
