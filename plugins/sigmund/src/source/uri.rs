//! `rtcsrc` for players: `playbin3 uri=sigmund+ws://…`.

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::RtcSrc;

/// What players may open. Schemes that call, and none that listens or reads
/// from the process: a playlist must not open a port.
const PROTOCOLS: &[&str] = &[
    "whep+http",
    "whep+https",
    "sigmund+ws",
    "sigmund+wss",
    "janus+ws",
    "janus+wss",
];

impl URIHandlerImpl for RtcSrc {
    const URI_TYPE: gst::URIType = gst::URIType::Src;

    fn protocols() -> &'static [&'static str] {
        PROTOCOLS
    }

    fn uri(&self) -> Option<String> {
        self.obj().property("uri")
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        let (_, state, _) = self.obj().state(gst::ClockTime::ZERO);
        if state > gst::State::Ready {
            return Err(glib::Error::new(
                gst::URIError::BadState,
                "rtcsrc takes another URI only before it runs",
            ));
        }
        let scheme = uri.split(':').next().unwrap_or_default();
        if !PROTOCOLS.contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(glib::Error::new(
                gst::URIError::UnsupportedProtocol,
                &format!(
                    "players may open {}, not {scheme}: set the property uri",
                    PROTOCOLS.join(", ")
                ),
            ));
        }
        self.obj().set_property("uri", uri);
        Ok(())
    }
}
