//! Brings gst-plugins-rs' plugin `rswebrtc` into the build: cargo puts it beside
//! this library, into `deps`, and `scripts/fetch-test-tools.sh` takes it from there.

pub use gstrswebrtc as plugin;
