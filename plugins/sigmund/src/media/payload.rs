//! Payloaders: one a viewer and medium, for life.

use gst::prelude::*;
use gst_rtp::prelude::*;
use sigmund::sdp::{Codec, Kind, MediaPlan};

/// Room for extensions, RTX header, SRTP tag and TURN framing below 1280, the
/// least MTU of IPv6.
const MTU: u32 = 1200;

const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// What the viewer is told of its stream, for the whole session. As answerer
/// payload type and extension ids are the viewer's. `ssrc` must be known now,
/// or webrtcbin leaves RTX out.
pub(crate) fn frozen_caps(plan: &MediaPlan, ssrc: u32) -> gst::Caps {
    let mut caps = common_caps(plan);
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        structure.set("ssrc", ssrc);
    }
    caps
}

/// What we want to receive, as an answer or an offer of ours says it.
pub(crate) fn received_caps(plan: &MediaPlan, offering: bool) -> gst::Caps {
    let caps = common_caps(plan);
    if offering { in_offer(caps, plan) } else { caps }
}

fn common_caps(plan: &MediaPlan) -> gst::Caps {
    let mut caps = gst::Caps::builder("application/x-rtp")
        .field("media", plan.kind.to_string())
        .field("encoding-name", plan.codec.encoding_name())
        .field("clock-rate", plan.clock_rate as i32)
        .field("payload", i32::from(plan.payload_type));
    if plan.kind == Kind::Video {
        caps = caps.field("rtcp-fb-nack-pli", true);
    }
    if plan.fir {
        caps = caps.field("rtcp-fb-ccm-fir", true);
    }
    if let Some(id) = plan.twcc {
        caps = caps
            .field(format!("extmap-{id}"), TWCC)
            .field("rtcp-fb-transport-cc", true);
    }
    if let Some(id) = plan.mid_extension {
        caps = caps.field(format!("extmap-{id}"), MID);
    }
    caps.build()
}

/// The same for an offer of ours: what else its m-line says comes from here.
/// In an answer it comes from the far side's offer.
pub(crate) fn offered_caps(plan: &MediaPlan, ssrc: u32) -> gst::Caps {
    in_offer(frozen_caps(plan, ssrc), plan)
}

fn in_offer(mut caps: gst::Caps, plan: &MediaPlan) -> gst::Caps {
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        structure.set("a-mid", &plan.mid);
        if plan.codec == Codec::Opus {
            // `opus/48000/2`, whatever is sent (RFC 7587 section 7).
            structure.set("encoding-params", "2");
        }
        for (name, value) in &plan.fmtp {
            structure.set(name.as_str(), value.as_str());
        }
    }
    caps
}

/// The payloader for a medium.
pub(crate) fn payloader(plan: &MediaPlan, ssrc: u32) -> Result<gst::Element, String> {
    let make = |factory| {
        gst::ElementFactory::make(factory)
            .property("pt", u32::from(plan.payload_type))
            .property("ssrc", ssrc)
            .property("mtu", MTU)
            // The negotiated extensions are added below; webrtcbin's wishes
            // would only repeat them.
            .property("auto-header-extension", false)
    };
    let payloader = match plan.codec {
        // Parameter sets come in band, from the parser behind the encoder.
        Codec::H264 => make("rtph264pay").property_from_str("aggregate-mode", "zero-latency"),
        // Loss recovery and frame order in the browser rest on picture ids.
        Codec::Vp8 => make("rtpvp8pay").property_from_str("picture-id-mode", "15-bit"),
        Codec::Opus => make("rtpopuspay"),
    }
    .build()
    .map_err(|_| "a payloader is missing; install gstreamer1.0-plugins-good".to_string())?;
    if let Some(id) = plan.twcc {
        add_extension(&payloader, TWCC, id, None)?;
    }
    if let Some(id) = plan.mid_extension {
        add_extension(&payloader, MID, id, Some(&plan.mid))?;
    }
    Ok(payloader)
}

fn add_extension(
    payloader: &gst::Element,
    uri: &str,
    id: u8,
    mid: Option<&str>,
) -> Result<(), String> {
    let extension = gst_rtp::RTPHeaderExtension::create_from_uri(uri)
        .ok_or_else(|| format!("no element writes the RTP header extension {uri}"))?;
    extension.set_id(u32::from(id));
    if let Some(mid) = mid {
        extension.set_property("mid", mid);
    }
    payloader.emit_by_name::<()>("add-extension", &[&extension]);
    Ok(())
}
