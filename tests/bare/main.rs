//! `sigmund-bare SIZE SECONDS`: two webrtcbins and a data channel, with nothing
//! of ours; prints how many bytes a second get across in messages of SIZE bytes.
//!
//! Both are in one process, as the two elements are that it stands beside.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

/// Above this much in its queue the channel is given no more, as in our own
/// elements.
const HIGH: u64 = 256 * 1024;

/// Before the measurement.
const SETTLE: Duration = Duration::from_secs(2);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |what: &str| -> u64 {
        let given = arguments.next().and_then(|it| it.parse().ok());
        given.unwrap_or_else(|| {
            eprintln!("say {what}");
            std::process::exit(2)
        })
    };
    let size = number("the size of a message");
    let seconds = number("for how many seconds");
    gst::init().expect("GStreamer is there");
    let pipeline = gst::Pipeline::new();
    let [one, other] = ["one", "other"].map(|name| {
        let peer = gst::ElementFactory::make("webrtcbin")
            .name(name)
            .property_from_str("bundle-policy", "max-bundle");
        let peer = peer.build().expect("webrtcbin is there");
        pipeline.add(&peer).expect("the name is free");
        peer
    });
    pipeline.set_state(gst::State::Playing).expect("it plays");
    introduce(&one, &other);
    introduce(&other, &one);
    let heard = Arc::new(AtomicU64::new(0));
    count(&other, &heard);
    let channel: glib::Object =
        one.emit_by_name("create-data-channel", &[&"bare", &None::<gst::Structure>]);
    negotiate(&one, &other);
    std::thread::spawn(move || {
        std::thread::sleep(SETTLE);
        let (began, before) = (Instant::now(), heard.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_secs(seconds));
        let bytes = heard.load(Ordering::Relaxed) - before;
        #[expect(clippy::print_stdout)] // That is what it is for.
        {
            println!("{:.0}", bytes as f64 / began.elapsed().as_secs_f64());
        }
        // The pipeline is not taken down: that may take longer than the process.
        std::process::exit(0);
    });
    send(&channel, size);
}

/// What one finds out goes to the other.
fn introduce(from: &gst::Element, to: &gst::Element) {
    let to = to.clone();
    from.connect("on-ice-candidate", false, move |args| {
        let line = args.get(1)?.get::<u32>().ok()?;
        let candidate = args.get(2)?.get::<String>().ok()?;
        to.emit_by_name::<()>("add-ice-candidate", &[&line, &candidate]);
        None
    });
}

fn count(peer: &gst::Element, heard: &Arc<AtomicU64>) {
    let heard = heard.clone();
    peer.connect("on-data-channel", false, move |args| {
        let channel = args.get(1)?.get::<glib::Object>().ok()?;
        let heard = heard.clone();
        channel.connect("on-message-data", false, move |args| {
            let bytes = args.get(1)?.get::<glib::Bytes>().ok()?;
            heard.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            None
        });
        None
    });
}

/// The description that `peer` makes.
fn describe(peer: &gst::Element, kind: &str) -> glib::Value {
    let promise = gst::Promise::new();
    let signal = format!("create-{kind}");
    peer.emit_by_name::<()>(&signal, &[&None::<gst::Structure>, &promise]);
    promise.wait();
    let reply = promise.get_reply().expect("a description is made");
    let value = reply.value(kind).expect("the reply has it");
    value.clone().into()
}

fn set(peer: &gst::Element, whose: &str, description: &glib::Value) {
    let promise = gst::Promise::new();
    let signal = format!("set-{whose}-description");
    peer.emit_by_name_with_values(&signal, &[description.clone(), promise.to_value()]);
    promise.wait();
}

fn negotiate(one: &gst::Element, other: &gst::Element) {
    let offer = describe(one, "offer");
    set(one, "local", &offer);
    set(other, "remote", &offer);
    let answer = describe(other, "answer");
    set(other, "local", &answer);
    set(one, "remote", &answer);
}

fn send(channel: &glib::Object, size: u64) -> ! {
    let bell = Arc::new((Mutex::new(()), Condvar::new()));
    channel.set_property("buffered-amount-low-threshold", HIGH / 2);
    for signal in ["on-open", "on-buffered-amount-low"] {
        let bell = bell.clone();
        channel.connect(signal, false, move |_| {
            bell.1.notify_all();
            None
        });
    }
    let message = glib::Bytes::from_owned(vec![0_u8; usize::try_from(size).unwrap_or(1)]);
    let open = || {
        let state = channel.property_value("ready-state");
        state
            .transform::<i32>()
            .is_ok_and(|state| state.get() == Ok(2))
    };
    loop {
        if open() && channel.property::<u64>("buffered-amount") < HIGH {
            channel.emit_by_name::<()>("send-data", &[&message]);
            continue;
        }
        let wait = Duration::from_millis(5);
        let seen = bell.0.lock().expect("nobody panics with it");
        drop(bell.1.wait_timeout(seen, wait));
    }
}
