//! The schemes there are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

#[cfg(unix)]
use super::stdio;
use super::{Capabilities, Options, Signaller, app, gstwebrtc, janus, listen, memory, v1, whip};
use crate::address::SignallingUri;

type Factory =
    dyn Fn(&SignallingUri, &Options) -> Result<Box<dyn Signaller>, OpenError> + Send + Sync;

/// Maps schemes to factories.
#[derive(Clone)]
pub struct Registry {
    rows: BTreeMap<String, Row>,
}

#[derive(Clone)]
struct Row {
    capabilities: Capabilities,
    /// A URI that shows how it is written.
    example: Option<&'static str>,
    factory: Arc<Factory>,
}

/// Why a URI cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.rows.keys()).finish()
    }
}

impl Registry {
    /// The schemes that are built in.
    pub fn builtin() -> Self {
        let mut registry = Self {
            rows: BTreeMap::new(),
        };
        registry.insert(
            "listen",
            listen::CAPABILITIES,
            Some("listen://127.0.0.1:8080/camera"),
            listen::open,
        );
        let example = Some("whip+https://HOST/PATH");
        registry.insert("whip+https", whip::CAPABILITIES, example, whip::open);
        registry.insert("whip+http", whip::CAPABILITIES, None, whip::open);
        let example = Some("whep+https://HOST/PATH");
        registry.insert("whep+https", whip::CAPABILITIES, example, whip::open_whep);
        registry.insert("whep+http", whip::CAPABILITIES, None, whip::open_whep);
        for (scheme, example) in [
            ("gstwebrtc", Some("gstwebrtc://HOST:8443")),
            ("gstwebrtcs", None),
            ("gstwebrtc+ws", None),
            ("gstwebrtc+wss", None),
        ] {
            registry.insert(scheme, gstwebrtc::CAPABILITIES, example, gstwebrtc::open);
        }
        for (scheme, example) in [
            ("sigmund+wss", Some("sigmund+wss://HOST/STREAM")),
            ("sigmund+ws", None),
            ("wss", None),
            ("ws", None),
        ] {
            registry.insert(scheme, v1::CAPABILITIES, example, v1::open);
        }
        let example = Some("janus+ws://HOST/ROOM");
        registry.insert("janus+ws", janus::CAPABILITIES, example, janus::open);
        registry.insert("janus+wss", janus::CAPABILITIES, None, janus::open);
        registry.insert("app", app::CAPABILITIES, Some("app:"), app::open);
        #[cfg(unix)]
        registry.insert("stdio", stdio::CAPABILITIES, Some("stdio:"), stdio::open);
        #[cfg(feature = "nats")]
        {
            use super::nats;
            let example = Some("nats://HOST/STREAM");
            registry.insert("nats", nats::CAPABILITIES, example, nats::open);
            registry.insert("nats+tls", nats::CAPABILITIES, None, nats::open);
        }
        registry.insert("memory", memory::CAPABILITIES, None, memory::open);
        registry
    }

    /// Adds a scheme; a later one of the same name replaces it.
    pub fn register(
        &mut self,
        scheme: &str,
        capabilities: Capabilities,
        factory: impl Fn(&SignallingUri, &Options) -> Result<Box<dyn Signaller>, OpenError>
        + Send
        + Sync
        + 'static,
    ) {
        self.insert(scheme, capabilities, None, factory);
    }

    fn insert(
        &mut self,
        scheme: &str,
        capabilities: Capabilities,
        example: Option<&'static str>,
        factory: impl Fn(&SignallingUri, &Options) -> Result<Box<dyn Signaller>, OpenError>
        + Send
        + Sync
        + 'static,
    ) {
        let row = Row {
            capabilities,
            example,
            factory: Arc::new(factory),
        };
        self.rows.insert(scheme.to_ascii_lowercase(), row);
    }

    /// Opens a signaller for `uri`; the error names the schemes there are.
    pub fn open(&self, uri: &str, options: &Options) -> Result<Box<dyn Signaller>, OpenError> {
        let uri = SignallingUri::parse(uri)
            .map_err(|error| OpenError(format!("{error} (schemes: {})", self.names())))?;
        match self.rows.get(&uri.scheme) {
            Some(row) => (row.factory)(&uri, options),
            None => Err(OpenError(format!(
                "there is no signalling scheme \"{}\"; there are: {}",
                uri.scheme,
                self.names()
            ))),
        }
    }

    /// What a scheme usually can do; a signaller knows better what it can.
    pub fn capabilities(&self, scheme: &str) -> Option<Capabilities> {
        self.rows.get(scheme).map(|row| row.capabilities)
    }

    /// The schemes for people to read: `listen (listen://…), memory`.
    fn names(&self) -> String {
        let name = |(scheme, row): (&String, &Row)| match row.example {
            Some(example) => format!("{scheme} ({example})"),
            None => scheme.clone(),
        };
        self.rows.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
