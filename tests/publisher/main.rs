//! `sigmund-publisher PIPELINE`: runs a pipeline for a test; see the module
//! `publisher` of the lab for what goes in and out.
#![forbid(unsafe_code)]

mod act;
mod data;
mod json;
mod look;
mod receive;
mod watch;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::{env, io, thread};

use gst::prelude::*;
use sigmund_tests::publisher::{Event, Request};

fn main() -> ExitCode {
    let pipeline = match launch() {
        Ok(pipeline) => pipeline,
        Err(error) => {
            report(&Event::Error {
                source: "publisher".into(),
                text: error,
                debug: String::new(),
            });
            return ExitCode::FAILURE;
        }
    };
    let counts = watch::counts(&pipeline);
    watch::signals(&pipeline);
    let bus = pipeline.bus().expect("a pipeline has a bus");
    let obeying = pipeline.clone();
    let obey = thread::spawn(move || {
        // A state change that fails posts an error too.
        let _ = obeying.set_state(gst::State::Playing);
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(Request { id, command }) = serde_json::from_str(&line) else {
                continue;
            };
            let answer = act::obey(&obeying, &counts, command);
            report(&Event::Reply { id, answer });
        }
    });
    thread::spawn(move || watch::bus(&bus));
    // The test closes our standard input when it is done with us.
    let _ = obey.join();
    let _ = pipeline.set_state(gst::State::Null);
    ExitCode::SUCCESS
}

fn launch() -> Result<gst::Pipeline, String> {
    gst::init().map_err(|e| e.to_string())?;
    let description = env::args().nth(1).ok_or("say which pipeline")?;
    let element = gst::parse::launch(&description).map_err(|e| e.to_string())?;
    element.downcast().or_else(|element| {
        let pipeline = gst::Pipeline::new();
        pipeline.add(&element).map_err(|e| e.to_string())?;
        Ok(pipeline)
    })
}

/// Says one line to the test.
fn report(event: &Event) {
    let line = serde_json::to_string(event).expect("events are plain data");
    // A test that has gone listens no more; that is no error of ours.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
