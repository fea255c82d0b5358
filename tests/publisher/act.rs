//! What a test may order.

use std::sync::atomic::Ordering;

use gst::prelude::*;
use serde_json::{Value, json};
use sigmund_tests::publisher::{Command, Encoder};

use crate::data;
use crate::json as as_json;
use crate::receive;
use crate::watch::Counts;

/// Does one command; the answer, or what stood in the way.
pub(crate) fn obey(
    pipeline: &gst::Pipeline,
    counts: &Counts,
    command: Command,
) -> Result<Value, String> {
    match command {
        Command::Get { element, property } => {
            let (object, property) = owner(find(pipeline, &element)?, &property)?;
            Ok(as_json::value(&object.property_value(property)))
        }
        Command::Set {
            element,
            property,
            value,
        } => {
            let (object, property) = owner(find(pipeline, &element)?, &property)?;
            object.set_property_from_str(property, &value);
            Ok(Value::Null)
        }
        Command::State { state } => change_state(pipeline, &state),
        Command::Encoders => Ok(json!(encoders(pipeline, counts))),
        Command::Decrypted => Ok(json!(counts.decrypted.load(Ordering::Relaxed))),
        Command::Stamped => Ok(json!(counts.stamped.load(Ordering::Relaxed))),
        Command::Eos => Ok(json!(pipeline.send_event(gst::event::Eos::new()))),
        Command::Flush { element } => flush(&find(pipeline, &element)?),
        Command::Add {
            name,
            description,
            to,
            template,
        } => add(
            pipeline,
            &name,
            &description,
            &find(pipeline, &to)?,
            &template,
        ),
        Command::Remove { name } => remove(pipeline, &name),
        Command::Push {
            element,
            seed,
            size,
            text,
            count,
        } => {
            let element = find(pipeline, &element)?;
            (0..count).try_for_each(|number| data::push(&element, seed + number, size, text))?;
            Ok(Value::Null)
        }
        Command::Pull { element, most } => data::pull(&find(pipeline, &element)?, most),
        Command::Say {
            element,
            pad,
            peer,
            text,
        } => {
            let element = find(pipeline, &element)?;
            let sent = element.emit_by_name::<bool>("send-text", &[&pad, &peer, &text]);
            Ok(json!(sent))
        }
        command @ (Command::Look { .. }
        | Command::Latency
        | Command::AskForKeyframe { .. }
        | Command::Attach { .. }
        | Command::Detach { .. }) => receive::obey(pipeline, counts, command),
        Command::Connections => {
            let elements = pipeline.iterate_all_by_element_factory_name("webrtcbin");
            Ok(json!(elements.into_iter().count()))
        }
        Command::Dot => {
            let dot = pipeline.debug_to_dot_data(gst::DebugGraphDetails::all());
            Ok(json!(dot.to_string()))
        }
    }
}

pub(crate) fn find(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element, String> {
    pipeline
        .by_name(name)
        .ok_or_else(|| format!("there is no element {name}"))
}

/// Whose property that is: the element's, or that of a child (`data_0::label`).
fn owner(element: gst::Element, property: &str) -> Result<(gst::glib::Object, &str), String> {
    let none = || format!("{} has no property {property}", element.name());
    let (object, property) = match property.split_once("::") {
        None => (element.clone().upcast(), property),
        Some((child, property)) => {
            let proxy = element.dynamic_cast_ref::<gst::ChildProxy>();
            let child = proxy.and_then(|it| it.child_by_name(child));
            (child.ok_or_else(none)?, property)
        }
    };
    object.find_property(property).ok_or_else(none)?;
    Ok((object, property))
}

fn change_state(pipeline: &gst::Pipeline, name: &str) -> Result<Value, String> {
    let state = match name {
        "null" => gst::State::Null,
        "ready" => gst::State::Ready,
        "paused" => gst::State::Paused,
        "playing" => gst::State::Playing,
        other => return Err(format!("no state is called {other}")),
    };
    pipeline.set_state(state).map_err(|e| e.to_string())?;
    let (result, reached, _) = pipeline.state(gst::ClockTime::from_seconds(15));
    result.map_err(|e| e.to_string())?;
    if reached == state {
        Ok(json!(name))
    } else {
        Err(format!("still {reached:?} after 15 s"))
    }
}

fn encoders(pipeline: &gst::Pipeline, counts: &Counts) -> Vec<Encoder> {
    let encoders = counts.encoders.lock().expect("nobody panics with it");
    let there = encoders.iter().filter_map(|(element, frames)| {
        let element = element.upgrade().filter(|e| e.has_as_ancestor(pipeline))?;
        let factory = element.factory()?;
        Some(Encoder {
            name: element.name().to_string(),
            factory: factory.name().to_string(),
            class: factory.metadata("klass").unwrap_or_default().to_owned(),
            frames: frames.load(Ordering::Relaxed),
        })
    });
    there.collect()
}

fn flush(element: &gst::Element) -> Result<Value, String> {
    let pad = element.static_pad("src").ok_or("it has no source pad")?;
    // What a seek does: the segment begins anew, the running time goes on.
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let start = pad.push_event(gst::event::FlushStart::new());
    let stop = pad.push_event(gst::event::FlushStop::new(false));
    let segment = segment.is_none_or(|segment| pad.push_event(segment));
    Ok(json!(start && stop && segment))
}

fn add(
    pipeline: &gst::Pipeline,
    name: &str,
    description: &str,
    to: &gst::Element,
    template: &str,
) -> Result<Value, String> {
    let branch = gst::parse::bin_from_description_with_name(description, true, name);
    let branch = branch.map_err(|e| e.to_string())?;
    pipeline.add(&branch).map_err(|e| e.to_string())?;
    let source = branch
        .static_pad("src")
        .ok_or("the branch has no open end")?;
    let sink = to
        .request_pad_simple(template)
        .ok_or("the pad was refused")?;
    source.link(&sink).map_err(|e| e.to_string())?;
    branch.sync_state_with_parent().map_err(|e| e.to_string())?;
    Ok(json!(sink.name().as_str()))
}

fn remove(pipeline: &gst::Pipeline, name: &str) -> Result<Value, String> {
    let branch = find(pipeline, name)?;
    branch
        .set_state(gst::State::Null)
        .map_err(|e| e.to_string())?;
    let source = branch
        .static_pad("src")
        .ok_or("the branch has no open end")?;
    if let Some(sink) = source.peer() {
        source.unlink(&sink).map_err(|e| e.to_string())?;
        if let Some(owner) = sink.parent_element() {
            owner.release_request_pad(&sink);
        }
    }
    pipeline.remove(&branch).map_err(|e| e.to_string())?;
    Ok(Value::Null)
}
