//! webrtcbin's actions that reply through a `GstPromise`, as futures.

use gst::prelude::*;
use gst_webrtc::WebRTCSessionDescription;
use tokio::sync::oneshot;

use crate::runtime;

/// Makes an offer or an answer; its SDP text.
pub(super) async fn create(webrtcbin: gst::Element, offer: bool) -> Result<String, String> {
    let (action, field) = if offer {
        ("create-offer", "offer")
    } else {
        ("create-answer", "answer")
    };
    let reply = call(webrtcbin, action, move |webrtcbin, promise| {
        webrtcbin.emit_by_name::<()>(action, &[&None::<gst::Structure>, promise]);
    })
    .await?;
    let description = reply
        .and_then(|s| s.get::<WebRTCSessionDescription>(field).ok())
        .ok_or_else(|| format!("{action} gave no description"))?;
    description.sdp().as_text().map_err(|e| e.to_string())
}

/// Sets a description.
pub(super) async fn set(
    webrtcbin: gst::Element,
    action: &'static str,
    description: WebRTCSessionDescription,
) -> Result<(), String> {
    call(webrtcbin, action, move |webrtcbin, promise| {
        webrtcbin.emit_by_name::<()>(action, &[&description, promise]);
    })
    .await
    .map(drop)
}

/// Success of set-* replies with no structure, failure with an `error` field.
async fn call(
    webrtcbin: gst::Element,
    action: &'static str,
    emit: impl FnOnce(&gst::Element, &gst::Promise) + Send + 'static,
) -> Result<Option<gst::Structure>, String> {
    let (done, reply) = oneshot::channel();
    let promise = gst::Promise::with_change_func(move |result| {
        // The owner may have gone meanwhile.
        let _ = done.send(match result {
            Ok(reply) => Ok(reply.map(|s| s.to_owned())),
            Err(error) => Err(format!("{error:?}")),
        });
    });
    // Emitting takes PC_LOCK, which a running task of webrtcbin may hold.
    runtime::blocking(move || emit(&webrtcbin, &promise)).await;
    let structure = reply
        .await
        .map_err(|_| format!("{action} was dropped"))?
        .map_err(|e| format!("{action}: {e}"))?;
    match structure
        .as_ref()
        .and_then(|s| s.get::<glib::Error>("error").ok())
    {
        Some(error) => Err(format!("{action}: {}", error.message())),
        None => Ok(structure),
    }
}
