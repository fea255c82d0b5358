//! Incoming media: transceivers that receive, and the streams that come out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gst::prelude::*;
use gst_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection};
use sigmund::sdp::MediaPlan;

use super::statistics;
use crate::media::payload;

/// Told of each stream when its first packet waits. Never blocks; called from
/// any thread.
pub(crate) type OnStream = Arc<dyn Fn(IncomingStream) + Send + Sync>;

/// How incoming media are taken.
#[derive(Clone)]
pub(crate) struct Receiving {
    /// What the jitterbuffers hold back at most.
    pub(crate) latency: Duration,
    /// Told of each stream.
    pub(crate) on_stream: OnStream,
}

/// One RTP stream of the far side: its first packet waits at the pad until the
/// stream is [opened](Self::open) or [refused](Self::refuse).
#[derive(Debug)]
pub(crate) struct IncomingStream {
    pad: gst::Pad,
    /// Keeps the packets back.
    gate: gst::PadProbeId,
    rests: bool,
}

impl IncomingStream {
    /// Where the packets come out.
    pub(crate) fn pad(&self) -> &gst::Pad {
        &self.pad
    }

    /// What is in them.
    pub(crate) fn caps(&self) -> Option<gst::Caps> {
        self.pad.current_caps()
    }

    /// The m-line that it was announced for. That of a stream that was not
    /// announced is the first one, whatever it carries. Takes PC_LOCK.
    pub(crate) fn mline(&self) -> Option<usize> {
        let transceiver = self
            .pad
            .property::<Option<WebRTCRTPTransceiver>>("transceiver")?;
        usize::try_from(transceiver.property::<u32>("mlineindex")).ok()
    }

    /// Lets the packets flow.
    pub(crate) fn open(self) -> gst::Pad {
        self.pad.remove_probe(self.gate);
        self.pad
    }

    /// Nobody takes it for now: until it is opened, packets are thrown away. The
    /// jitterbuffer would keep all that come behind one that waits.
    pub(crate) fn rest(self) -> Self {
        let gate = match self.rests {
            true => None,
            false => discard(&self.pad),
        };
        let Some(gate) = gate else { return self };
        self.pad.remove_probe(self.gate);
        Self {
            gate,
            rests: true,
            ..self
        }
    }

    /// Throws the packets away. Left alone, they would come back as an error
    /// that stops all streams of the connection.
    pub(crate) fn refuse(self) {
        discard(&self.pad);
        self.pad.remove_probe(self.gate);
    }
}

/// From now on nothing comes out of the pad, and nobody is told.
pub(crate) fn discard(pad: &gst::Pad) -> Option<gst::PadProbeId> {
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    // Not `Drop`: with that, 1.22 frees the buffer twice.
    pad.add_probe(mask, |_, _| gst::PadProbeReturn::Handled)
}

/// Adds the receiver for an m-line that may come in each of the codecs of
/// `plans`. In the order of the m-lines.
pub(super) fn add(
    webrtcbin: &gst::Element,
    plans: &[MediaPlan],
    offering: bool,
) -> Result<WebRTCRTPTransceiver, String> {
    let mut caps = gst::Caps::new_empty();
    for (index, plan) in plans.iter().enumerate() {
        let mut codec = payload::received_caps(plan, offering);
        if index > 0
            && let Some(codec) = codec.make_mut().structure_mut(0)
        {
            // webrtcbin would write it into the m-line once for each codec.
            codec.remove_field("a-mid");
        }
        caps.make_mut().append(codec);
    }
    let transceiver = webrtcbin
        .emit_by_name::<Option<WebRTCRTPTransceiver>>(
            "add-transceiver",
            &[&WebRTCRTPTransceiverDirection::Recvonly, &caps],
        )
        .ok_or("webrtcbin gives no transceiver")?;
    // Also what keeps `nack` and RTX in an answer.
    transceiver.set_property("do-nack", plans.iter().any(|plan| plan.nack));
    Ok(transceiver)
}

/// Prepares webrtcbin for incoming media. Before any is negotiated.
pub(super) fn attach(webrtcbin: &gst::Element, receiving: &Receiving) {
    let latency = receiving.latency.as_millis().try_into().unwrap_or(u32::MAX);
    webrtcbin.set_property("latency", latency);
    if let Some(rtpbin) = statistics::rtpbin(webrtcbin)
        && rtpbin
            .find_property("add-reference-timestamp-meta")
            .is_some()
    {
        rtpbin.set_property("add-reference-timestamp-meta", true);
    }
    let on_stream = receiving.on_stream.clone();
    webrtcbin.connect_pad_added(move |_, pad| {
        if pad.direction() == gst::PadDirection::Src {
            report_first_packet(pad, on_stream.clone());
        }
    });
}

/// The caps come before the first packet, but not before the pad.
fn report_first_packet(pad: &gst::Pad, on_stream: OnStream) {
    let reported = AtomicBool::new(false);
    let mask =
        gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(mask, move |pad, info| {
        if !reported.swap(true, Ordering::Relaxed)
            && let Some(gate) = info.id.take()
        {
            on_stream(IncomingStream {
                pad: pad.clone(),
                gate,
                rests: false,
            });
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_comes_while_nobody_takes_a_stream_is_not_kept() {
        gst::init().unwrap();
        let long = Duration::from_secs(20);
        let out = gst::Pad::builder(gst::PadDirection::Src).build();
        let taken = Arc::new(AtomicU32::new(0));
        let count = taken.clone();
        let sink = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, _| {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        for pad in [&out, &sink] {
            pad.set_active(true).unwrap();
        }
        let (told, streams) = mpsc::channel();
        let on_stream: OnStream = Arc::new(move |stream| told.send(stream).unwrap());
        report_first_packet(&out, on_stream);
        out.link(&sink).unwrap();

        // What pushes is the thread of a jitterbuffer.
        let (pushed, pushes) = mpsc::channel();
        std::thread::spawn(move || {
            out.push_event(gst::event::StreamStart::new("s"));
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            out.push_event(gst::event::Segment::new(&segment));
            while out.push(gst::Buffer::new()).is_ok() && pushed.send(()).is_ok() {}
        });
        let stream = streams.recv_timeout(long).unwrap();
        assert!(pushes.try_recv().is_err(), "the first packet waits");
        let stream = stream.rest().rest();
        for _ in 0..3 {
            pushes.recv_timeout(long).expect("nobody waits any more");
        }
        assert_eq!(taken.load(Ordering::SeqCst), 0);
        stream.open();
        let began = std::time::Instant::now();
        while taken.load(Ordering::SeqCst) == 0 {
            assert!(began.elapsed() < long, "it flows once it is open");
            pushes.recv_timeout(long).unwrap();
        }
    }
}
