//! What all of our elements have in common: the properties that say how
//! signalling and the network are used.

mod property;
mod settings;

pub(crate) use property::{Property, property};
pub(crate) use settings::{Common, HasCommon, codecs, common_properties, text};
