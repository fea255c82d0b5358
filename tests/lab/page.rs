//! The questions that are asked inside a browser; their scripts are in
//! `page.js`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::eventually;

/// The functions of `page.js`, to stand before a script of one's own.
pub const SCRIPT: &str = include_str!("page.js");

/// What was read from the frames of a video.
#[derive(Clone, Debug, Deserialize)]
pub struct Watched {
    /// The picture's width.
    pub width: u32,
    /// The picture's height.
    pub height: u32,
    /// Frames that carried no stamp or a damaged one.
    pub unread: usize,
    /// The stamps, as they were shown.
    pub stamps: Vec<Shown>,
}

/// A stamp that was shown.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Shown {
    /// The frame's number.
    pub number: u16,
    /// Milliseconds between drawing and showing it.
    pub latency: i32,
}

/// How long a viewer of [`whep`] waited, from createOffer on, in ms.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Start {
    /// Until the answer had come.
    pub answered: f64,
    /// Until a frame was shown.
    pub first: f64,
}

impl Watched {
    /// How many numbers were greater than all before. (They wrap after 36
    /// minutes; no test is that long.)
    pub fn distinct(&self) -> usize {
        let mut last = None;
        let fresh = self.stamps.iter().filter(|shown| {
            let fresh = last.is_none_or(|last| shown.number > last);
            if fresh {
                last = Some(shown.number);
            }
            fresh
        });
        fresh.count()
    }

    /// The latency that half of the frames stay under, in ms.
    pub fn latency(&self) -> i32 {
        let mut sorted: Vec<_> = self.stamps.iter().map(|s| s.latency).collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(i32::MAX)
    }

    /// Did it run at 22 frames a second or more for `seconds`, each frame newer
    /// than the one before? Without a graphics card Firefox draws 24 to 30 times.
    fn is_smooth(&self, seconds: usize) -> bool {
        let distinct = self.distinct();
        let late = self.stamps.len() - distinct;
        distinct >= 22 * seconds && late * 50 <= distinct
    }
}

/// Panics unless the page's video has this size and runs at 22 frames a second
/// or more for five seconds, each frame newer than the one before. A machine
/// that was busy gets two more chances.
#[track_caller]
pub fn assert_smooth(browser: &Browser, width: u32, height: u32) {
    const SECONDS: usize = 5;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let watched = stamps(browser, SECONDS);
        assert_eq!((watched.width, watched.height), (width, height));
        if watched.is_smooth(SECONDS) {
            return;
        }
        numbers.push(watched.stamps.iter().map(|s| s.number).collect::<Vec<_>>());
    }
    panic!("not smooth in any {SECONDS} s: {numbers:?}");
}

/// Panics unless the page's video shows so many frames in so many seconds, at
/// the third try at the latest.
#[track_caller]
pub fn assert_frames(browser: &Browser, least: u64, seconds: usize) {
    let mut shown = (0..3).map(|_| frames(browser, seconds));
    let enough = shown.any(|frames| {
        eprintln!("{frames} frames in {seconds} s");
        frames >= least
    });
    assert!(enough, "never {least} frames in {seconds} s");
}

/// Waits until the page says `playing`.
#[track_caller]
pub fn await_playing(browser: &Browser) {
    let what = "the page plays";
    eventually(Duration::from_secs(20), what, || {
        let state = browser.ask(
            "return [document.body.dataset.state, document.body.innerText];",
            &[],
        );
        assert_ne!(state[0], "failed", "the page says: {}", state[1]);
        (state[0] == "playing").then_some(())
    });
}

/// Reads the stamps of the page's video for so many seconds.
#[track_caller]
pub fn stamps(browser: &Browser, seconds: usize) -> Watched {
    let answer = ask(
        browser,
        "return lab.stamps(lab.video(), args[0]);",
        &[json!(seconds)],
    );
    serde_json::from_value(answer).expect("page.js writes it so")
}

/// Counts the frames that the page's video shows in so many seconds.
#[track_caller]
pub fn frames(browser: &Browser, seconds: usize) -> u64 {
    let answer = ask(
        browser,
        "return lab.frames(lab.video(), args[0]);",
        &[json!(seconds)],
    );
    answer.as_u64().expect("page.js writes it so")
}

/// How many frames the page's video has shown so far.
pub fn shown(browser: &Browser) -> u64 {
    let script = "const video = lab.video(); return video ? lab.shown(video) : 0;";
    let answer = browser.try_ask(&format!("{SCRIPT} {script}"), &[]);
    let count = answer.ok().and_then(|it| it.as_f64());
    count.unwrap_or(0.0) as u64
}

/// What the page tells its reader.
pub fn text(browser: &Browser) -> String {
    let text = browser.try_ask("return document.body.innerText;", &[]);
    text.map_or_else(|error| error, |it| it.to_string())
}

/// Width and height of the page's video.
#[track_caller]
pub fn size(browser: &Browser) -> (u64, u64) {
    let answer = ask(
        browser,
        "const v = lab.video(); return [v.videoWidth, v.videoHeight];",
        &[],
    );
    (
        answer[0].as_u64().unwrap_or(0),
        answer[1].as_u64().unwrap_or(0),
    )
}

/// The loudest frequency in the stream of the page's video, in Hz.
#[track_caller]
pub fn tone(browser: &Browser) -> f64 {
    let answer = ask(browser, "return lab.tone(lab.video().srcObject, 15);", &[]);
    answer.as_f64().expect("page.js writes it so")
}

/// Plays a WHEP endpoint in the page that is open, by a script of our own.
#[track_caller]
pub fn whep(browser: &Browser, endpoint: &str) -> Start {
    let answer = ask(browser, "return lab.whep(args[0]);", &[json!(endpoint)]);
    serde_json::from_value(answer).expect("page.js writes it so")
}

/// Asks with the functions of `page.js` at hand.
#[track_caller]
pub fn ask(browser: &Browser, body: &str, arguments: &[Value]) -> Value {
    browser.ask(&format!("{SCRIPT} {body}"), arguments)
}
