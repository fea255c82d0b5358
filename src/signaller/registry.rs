//! The schemes there are.
use super::{Capabilities, Options, Signaller};
use crate::address::SignallingUri;

/// Maps schemes to factories.
#[derive(Clone)]
pub struct Registry;

/// Why a URI cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(pub String);

impl Registry {
    /// The schemes that are built in.
    pub fn builtin() -> Self {
        todo!()
    }

    /// Adds a scheme; a later one of the same name replaces it.
    pub fn register(
        &mut self,
        scheme: &str,
        capabilities: Capabilities,
        factory: impl Fn(&SignallingUri, &Options) -> Result<Box<dyn Signaller>, OpenError> + Send + Sync + 'static,
    ) {
        let _ = (scheme, capabilities, factory);
        todo!()
    }

    /// Opens a signaller for `uri`; the error names the schemes there are.
    pub fn open(&self, uri: &str, options: &Options) -> Result<Box<dyn Signaller>, OpenError> {
        todo!("{uri} {options:?}")
    }
}
