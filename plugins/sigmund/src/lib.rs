//! The GStreamer plugin `sigmund`.
