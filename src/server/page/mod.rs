//! The web page: its files, as they were when this was compiled. There is no
//! build step, and the page loads nothing from anywhere else.

/// One file of the page.
pub(super) struct File {
    /// Its path on the server, without the leading slash; empty for the page itself.
    pub(super) path: &'static str,
    /// For the `Content-Type` header.
    pub(super) content_type: &'static str,
    /// What it holds.
    pub(super) body: &'static str,
}

/// For the `Content-Security-Policy` header: nothing inline, nothing from elsewhere.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All files of the page.
pub(super) const FILES: &[File] = &[
    File {
        path: "",
        content_type: HTML,
        body: include_str!("index.html"),
    },
    File {
        path: "app.js",
        content_type: SCRIPT,
        body: include_str!("app.js"),
    },
    File {
        path: "call.js",
        content_type: SCRIPT,
        body: include_str!("call.js"),
    },
    File {
        path: "channel.js",
        content_type: SCRIPT,
        body: include_str!("channel.js"),
    },
    File {
        path: "channels.js",
        content_type: SCRIPT,
        body: include_str!("channels.js"),
    },
    File {
        path: "console.js",
        content_type: SCRIPT,
        body: include_str!("console.js"),
    },
    File {
        path: "conversation.js",
        content_type: SCRIPT,
        body: include_str!("conversation.js"),
    },
    File {
        path: "devices.js",
        content_type: SCRIPT,
        body: include_str!("devices.js"),
    },
    File {
        path: "errors.js",
        content_type: SCRIPT,
        body: include_str!("errors.js"),
    },
    File {
        path: "graph.js",
        content_type: SCRIPT,
        body: include_str!("graph.js"),
    },
    File {
        path: "member.js",
        content_type: SCRIPT,
        body: include_str!("member.js"),
    },
    File {
        path: "navigate.js",
        content_type: SCRIPT,
        body: include_str!("navigate.js"),
    },
    File {
        path: "panel.js",
        content_type: SCRIPT,
        body: include_str!("panel.js"),
    },
    File {
        path: "path.js",
        content_type: SCRIPT,
        body: include_str!("path.js"),
    },
    File {
        path: "persistent.js",
        content_type: SCRIPT,
        body: include_str!("persistent.js"),
    },
    File {
        path: "player.js",
        content_type: SCRIPT,
        body: include_str!("player.js"),
    },
    File {
        path: "problems.js",
        content_type: SCRIPT,
        body: include_str!("problems.js"),
    },
    File {
        path: "publish.js",
        content_type: SCRIPT,
        body: include_str!("publish.js"),
    },
    File {
        path: "receive.js",
        content_type: SCRIPT,
        body: include_str!("receive.js"),
    },
    File {
        path: "resource.js",
        content_type: SCRIPT,
        body: include_str!("resource.js"),
    },
    File {
        path: "rtcpublish.js",
        content_type: SCRIPT,
        body: include_str!("rtcpublish.js"),
    },
    File {
        path: "sendstats.js",
        content_type: SCRIPT,
        body: include_str!("sendstats.js"),
    },
    File {
        path: "sigmund.js",
        content_type: SCRIPT,
        body: include_str!("sigmund.js"),
    },
    File {
        path: "stats.js",
        content_type: SCRIPT,
        body: include_str!("stats.js"),
    },
    File {
        path: "streams.js",
        content_type: SCRIPT,
        body: include_str!("streams.js"),
    },
    File {
        path: "studio.js",
        content_type: SCRIPT,
        body: include_str!("studio.js"),
    },
    File {
        path: "studioview.js",
        content_type: SCRIPT,
        body: include_str!("studioview.js"),
    },
    File {
        path: "timers.js",
        content_type: SCRIPT,
        body: include_str!("timers.js"),
    },
    File {
        path: "watch.js",
        content_type: SCRIPT,
        body: include_str!("watch.js"),
    },
    File {
        path: "whep.js",
        content_type: SCRIPT,
        body: include_str!("whep.js"),
    },
    File {
        path: "style.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("style.css"),
    },
    File {
        path: "icon.svg",
        content_type: "image/svg+xml",
        body: include_str!("icon.svg"),
    },
];
