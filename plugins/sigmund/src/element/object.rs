//! What all elements answer as objects and as bins.

use std::sync::atomic::{AtomicU32, Ordering};

use gst::prelude::*;

use super::property::Property;
use crate::driver::Snapshot;
use crate::isolate::IsolatedBin;

/// What can be read of an element and not written.
const ADDRESS: &str = "address";
const STATS: &str = "stats";

/// The element's properties, as GObject lists them: first its settings, then
/// what it tells of itself.
pub(crate) fn specs<S>(
    settings: &[Property<S>],
    address: &str,
    stats: &str,
) -> Vec<glib::ParamSpec> {
    let told = [
        glib::ParamSpecString::builder(ADDRESS)
            .blurb(address)
            .read_only()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>(STATS)
            .blurb(stats)
            .read_only()
            .build(),
    ];
    let settings = settings.iter().map(|it| it.spec().clone());
    settings.chain(told).collect()
}

/// Reads one of [`specs`]; `id` is its place there, from 1.
pub(crate) fn read<S>(
    table: &[Property<S>],
    id: usize,
    spec: &glib::ParamSpec,
    get: impl FnOnce(&Property<S>) -> glib::Value,
    snapshot: impl FnOnce() -> Snapshot,
) -> glib::Value {
    match spec.name() {
        ADDRESS => snapshot().address.to_value(),
        STATS => snapshot().to_structure().to_value(),
        _ => table
            .get(id - 1)
            .map_or_else(|| glib::Value::from_type(spec.value_type()), get),
    }
}

/// Names of one type of element that nobody has named: `rtcsink0`, `rtcsink1`, …
#[derive(Debug)]
pub(crate) struct Names {
    name: &'static str,
    next: AtomicU32,
}

impl Names {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            next: AtomicU32::new(0),
        }
    }

    /// GStreamer would call it after its type; names of streams come from it.
    pub(crate) fn give(&self, element: &gst::Element) {
        let type_name = element.type_().name().to_ascii_lowercase();
        if element.name().starts_with(&type_name) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            element.set_property("name", format!("{}{number}", self.name));
        }
    }
}

/// Is the message for those outside of the element? Connections and encodings
/// are nobody else's business: what they do not keep to themselves (their own
/// state changes) ends here, but for the wish of a hardware codec to know its
/// display.
pub(crate) fn goes_out(message: &gst::Message) -> bool {
    let isolated = message.src().is_some_and(|src| src.is::<IsolatedBin>());
    let context = matches!(
        message.type_(),
        gst::MessageType::NeedContext | gst::MessageType::HaveContext
    );
    !isolated || context
}

/// One of the pads with properties of their own.
pub(crate) fn child_by_name(
    pads: impl IntoIterator<Item = gst::GhostPad>,
    name: &str,
) -> Option<glib::Object> {
    let mut pads = pads.into_iter();
    pads.find(|pad| pad.name() == name).map(Cast::upcast)
}

/// The same, by its place.
pub(crate) fn child_by_index(
    pads: impl IntoIterator<Item = gst::GhostPad>,
    index: u32,
) -> Option<glib::Object> {
    let pad = pads.into_iter().nth(index as usize);
    pad.map(Cast::upcast)
}
