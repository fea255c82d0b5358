//! What pads take and give.

/// Raw formats that our encoders take without conversion, then all others.
pub(crate) const SENT_VIDEO: &str = "video/x-raw, format={I420, NV12}; video/x-raw(ANY); \
    video/x-h264; video/x-vp8";
pub(crate) const SENT_AUDIO: &str = "audio/x-raw, rate=48000; audio/x-raw; \
    audio/x-opus, channel-mapping-family=0";

/// In the order of preference of who takes several.
pub(crate) const HEARD_VIDEO: &str = "video/x-h264; video/x-vp8; video/x-raw(ANY); \
    application/x-rtp, media=video";
pub(crate) const HEARD_AUDIO: &str = "audio/x-opus; audio/x-raw; application/x-rtp, media=audio";

/// What messages are; each channel brings both kinds.
pub(crate) const HEARD_DATA: &str = "text/x-raw, format=utf8; application/octet-stream; \
     meta/x-klv; meta/x-id3; application/x-json; application/x-onvif-metadata; \
     application/x-teletext; closedcaption/x-cea-608; closedcaption/x-cea-708";
