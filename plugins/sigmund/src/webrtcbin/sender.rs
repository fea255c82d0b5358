//! One outgoing medium: `appsrc ! payloader ! webrtcbin.sink_N`.

use gst::prelude::*;
use gst_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection};
use sigmund::sdp::MediaPlan;

use crate::isolate::IsolatedBin;
use crate::media::{Feeder, payload};

/// Adds the sender for m-line `index` of the description that webrtcbin sees.
pub(super) fn add(
    bin: &IsolatedBin,
    webrtcbin: &gst::Element,
    index: usize,
    plan: &MediaPlan,
    offering: bool,
) -> Result<(WebRTCRTPTransceiver, Feeder), String> {
    let ssrc = crate::random();
    let caps = if offering {
        payload::offered_caps(plan, ssrc)
    } else {
        payload::frozen_caps(plan, ssrc)
    };
    let pad = request_pad(webrtcbin, index, &caps)?;
    let transceiver = pad.property::<WebRTCRTPTransceiver>("transceiver");
    transceiver.set_direction(match plan.call {
        true => WebRTCRTPTransceiverDirection::Sendrecv,
        false => WebRTCRTPTransceiverDirection::Sendonly,
    });
    // The answer's codec comes from these caps; they need no data to flow.
    transceiver.set_property("codec-preferences", &caps);
    // Both keep `nack` and RTX in the answer, which is lost otherwise.
    transceiver.set_property("do-nack", plan.nack);

    let feeder = Feeder::new(&format!("feed{index}"), plan.codec);
    let payloader = payload::payloader(plan, ssrc)?;
    bin.add_many([feeder.element(), &payloader])
        .map_err(|e| e.to_string())?;
    feeder
        .element()
        .link(&payloader)
        .map_err(|e| e.to_string())?;
    let src = payloader
        .static_pad("src")
        .ok_or("a payloader without src pad")?;
    arrange_queries(&src, &pad, &caps);
    freeze_caps(&payloader, &src, caps, plan.payload_type);
    src.link(&pad)
        .map_err(|e| format!("webrtcbin does not take the payloader: {e}"))?;
    for element in [&payloader, feeder.element()] {
        element
            .sync_state_with_parent()
            .map_err(|e| format!("{}: {e}", element.name()))?;
    }
    Ok((transceiver, feeder))
}

fn request_pad(
    webrtcbin: &gst::Element,
    index: usize,
    caps: &gst::Caps,
) -> Result<gst::Pad, String> {
    let template = webrtcbin
        .pad_template("sink_%u")
        .ok_or("webrtcbin without sink pad template")?;
    webrtcbin
        .request_pad(&template, Some(&format!("sink_{index}")), Some(caps))
        .ok_or_else(|| format!("webrtcbin gives no sink pad {index}"))
}

/// Replaces the payloader's caps by those that were negotiated: a change of
/// profile, size or parameter sets goes in band and is no reason to negotiate.
///
/// The payload type is set again each time: payloaders choose the nearest in
/// 96 to 127, while browsers offer some below 64 (RFC 5761 section 4).
fn freeze_caps(payloader: &gst::Element, src: &gst::Pad, caps: gst::Caps, payload_type: u8) {
    let payloader = payloader.downgrade();
    src.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && event.type_() == gst::EventType::Caps
        {
            let seqnum = event.seqnum();
            *event = gst::event::Caps::builder(&caps).seqnum(seqnum).build();
            if let Some(payloader) = payloader.upgrade() {
                payloader.set_property("pt", u32::from(payload_type));
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// Each side of the link is told what it wants to hear. The payloader: that
/// anything is taken, since [`freeze_caps`] sees to it. webrtcbin: that what
/// was negotiated comes. Their own answers only fit in the lucky case.
fn arrange_queries(src: &gst::Pad, sink: &gst::Pad, frozen: &gst::Caps) {
    let all = gst::Caps::new_empty_simple("application/x-rtp");
    sink.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, answer_with(all));
    src.add_probe(
        gst::PadProbeType::QUERY_UPSTREAM,
        answer_with(frozen.clone()),
    );
}

fn answer_with(
    caps: gst::Caps,
) -> impl Fn(&gst::Pad, &mut gst::PadProbeInfo) -> gst::PadProbeReturn + Send + Sync {
    move |_, info| {
        let Some(query) = info.query_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        match query.view_mut() {
            gst::QueryViewMut::Caps(question) => {
                let filtered = question.filter().map(|filter| caps.intersect(filter));
                question.set_result(filtered.as_ref().unwrap_or(&caps));
                gst::PadProbeReturn::Handled
            }
            gst::QueryViewMut::AcceptCaps(question) => {
                question.set_result(true);
                gst::PadProbeReturn::Handled
            }
            _ => gst::PadProbeReturn::Ok,
        }
    }
}
