//! A viewer made of str0m to which others offer, whatever carries the notes.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;

use crate::eventually;
use crate::network::Host;
use crate::viewer::{Engine, Manners, Seen, build};

/// A viewer that has answered an offer. Dropping it is a killed process.
///
/// It has one address, which stands in the answer, and finds those of the far
/// side by what comes from there: candidates need not be handed to it.
#[derive(Debug)]
pub struct Answerer {
    answer: String,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answerer {
    /// Answers `offer` on `host`.
    #[track_caller]
    pub fn new(host: &Host, offer: &str) -> Self {
        let start = Instant::now();
        let socket = host.run(|| UdpSocket::bind((host.address(), 0)).expect("ports are left"));
        let manners = Manners::default();
        let mut rtc = build(&manners, &socket);
        let offer = SdpOffer::from_sdp_string(offer).expect("it is an offer");
        let answer = rtc
            .sdp_api()
            .accept_offer(offer)
            .expect("it can be answered");
        let (engine, _) = Engine::new(rtc, socket, manners, start, Vec::new());
        let (seen, stop) = (engine.seen.clone(), engine.stop.clone());
        let thread = thread::spawn(move || engine.live());
        Self {
            answer: answer.to_sdp_string(),
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// To be carried to who offered.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        let seen = self.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many more video frames.
    #[track_caller]
    pub fn watch(&self, frames: u64) {
        let goal = self.seen().frames + frames;
        let what = format!("{frames} frames at a viewer");
        eventually(Duration::from_secs(20), &what, || {
            let seen = self.seen();
            assert!(seen.error.is_none(), "{what}: {seen:?}");
            (seen.frames >= goal).then_some(())
        });
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
