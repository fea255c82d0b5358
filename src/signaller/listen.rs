//! `listen://`: the embedded server.

use super::{Capabilities, Offerer, OpenError, Options, Signaller};
use crate::address::SignallingUri;

/// WHEP: the client offers, and may send candidates later; ours travel in the answer.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    offerer: Offerer::Them,
    trickle_in: true,
    trickle_out: false,
};

/// Makes a signaller for `uri`.
pub(super) fn open(
    _uri: &SignallingUri,
    _options: &Options,
) -> Result<Box<dyn Signaller>, OpenError> {
    Err(OpenError("listen:// is being built".to_owned()))
}
