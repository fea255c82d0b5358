//! What a test may order of a pipeline that receives.

use gst::prelude::*;
use serde_json::{Value, json};
use sigmund_tests::publisher::Command;

use crate::act::find;
use crate::watch::Counts;

/// Does one command; the answer, or what stood in the way.
pub(crate) fn obey(
    pipeline: &gst::Pipeline,
    counts: &Counts,
    command: Command,
) -> Result<Value, String> {
    match command {
        Command::Look { element } => {
            // Players add it when there is something to see.
            let sights = counts.sights.lock().expect("nobody panics with it");
            let look = sights.get(&element).cloned().unwrap_or_default();
            drop(sights);
            let look = look.lock().expect("nobody panics with it");
            serde_json::to_value(&look.sight).map_err(|e| e.to_string())
        }
        Command::Latency => {
            let mut query = gst::query::Latency::new();
            let answered = pipeline.query(&mut query);
            match query.result() {
                (true, least, _) if answered => Ok(json!(least.mseconds())),
                other => Err(format!("{other:?}")),
            }
        }
        Command::AskForKeyframe { element } => {
            let pad = find(pipeline, &element)?.static_pad("sink");
            let pad = pad.ok_or("it has no sink pad")?;
            let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true);
            Ok(json!(pad.push_event(event.build())))
        }
        Command::Attach {
            name,
            description,
            to,
            pad,
        } => attach(pipeline, &name, &description, &find(pipeline, &to)?, &pad),
        Command::Detach { name } => detach(pipeline, &name),
        other => Err(format!("{other:?} is no order for who receives")),
    }
}

fn attach(
    pipeline: &gst::Pipeline,
    name: &str,
    description: &str,
    to: &gst::Element,
    pad: &str,
) -> Result<Value, String> {
    let source = to.static_pad(pad).ok_or("it has no such pad")?;
    let branch = gst::parse::bin_from_description_with_name(description, true, name);
    let branch = branch.map_err(|e| e.to_string())?;
    pipeline.add(&branch).map_err(|e| e.to_string())?;
    branch.sync_state_with_parent().map_err(|e| e.to_string())?;
    let sink = branch.static_pad("sink").ok_or("no open end")?;
    source.link(&sink).map_err(|e| e.to_string())?;
    Ok(Value::Null)
}

fn detach(pipeline: &gst::Pipeline, name: &str) -> Result<Value, String> {
    let branch = find(pipeline, name)?;
    let sink = branch.static_pad("sink").ok_or("no open end")?;
    if let Some(source) = sink.peer() {
        source.unlink(&sink).map_err(|e| e.to_string())?;
    }
    branch
        .set_state(gst::State::Null)
        .map_err(|e| e.to_string())?;
    pipeline.remove(&branch).map_err(|e| e.to_string())?;
    Ok(Value::Null)
}
