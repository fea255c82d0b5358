//! webrtcbin's signals as typed events.

use gst::prelude::*;
use gst_webrtc::{
    WebRTCDTLSTransport, WebRTCDTLSTransportState, WebRTCICEGatheringState,
    WebRTCPeerConnectionState,
};
use sigmund::session::ConnectionEvent;

use super::Report;

/// Reports candidates, the end of gathering and a failed connection.
pub(super) fn attach(webrtcbin: &gst::Element, report: &Report) {
    let candidates = report.clone();
    webrtcbin.connect("on-ice-candidate", false, move |args| {
        let candidate = args.get(2).and_then(|v| v.get::<String>().ok());
        // 1.24 and later say the end of candidates as an empty one.
        candidates(match candidate {
            Some(candidate) if !candidate.is_empty() => ConnectionEvent::Candidate(candidate),
            _ => ConnectionEvent::GatheringComplete,
        });
        None
    });
    let gathering = report.clone();
    webrtcbin.connect_notify(Some("ice-gathering-state"), move |webrtcbin, _| {
        let state = webrtcbin.property::<WebRTCICEGatheringState>("ice-gathering-state");
        if state == WebRTCICEGatheringState::Complete {
            gathering(ConnectionEvent::GatheringComplete);
        }
    });
    let connection = report.clone();
    webrtcbin.connect_notify(Some("connection-state"), move |webrtcbin, _| {
        let state = webrtcbin.property::<WebRTCPeerConnectionState>("connection-state");
        if state == WebRTCPeerConnectionState::Failed {
            connection(ConnectionEvent::IceFailed);
        }
    });
}

/// Reports when DTLS is up, and when the far side closes it: a browser's
/// `close()` shows nowhere else (`connection-state` stays `connected`).
pub(super) fn follow_dtls(transport: &WebRTCDTLSTransport, report: &Report) {
    let report = report.clone();
    transport.connect_notify(Some("state"), move |transport, _| match transport
        .property::<WebRTCDTLSTransportState>(
        "state",
    ) {
        WebRTCDTLSTransportState::Connected => report(ConnectionEvent::DtlsConnected),
        WebRTCDTLSTransportState::Closed => report(ConnectionEvent::DtlsClosed),
        WebRTCDTLSTransportState::Failed => {
            report(ConnectionEvent::Failed("DTLS failed".into()));
        }
        _ => (),
    });
}
