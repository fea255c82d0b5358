//! gst-launch with gst-plugins-rs' WebRTC elements inside: the one to compare with.

use gst::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gst::init()?;
    gstrswebrtc::plugin_register_static()?;
    let description: Vec<String> = std::env::args().skip(1).collect();
    let pipeline = gst::parse::launch(&description.join(" "))?;
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("a pipeline has a bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        if let gst::MessageView::Error(error) = message.view() {
            return Err(error.error().into());
        }
    }
    Ok(())
}
