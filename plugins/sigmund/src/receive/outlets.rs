//! All source pads of an element.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use sigmund::sdp::Kind;

use super::outlet::{Outlet, OutletSpec};

/// Told what is wrong with what is linked, once a pad.
pub(crate) type OnProblem = Arc<dyn Fn(String) + Send + Sync>;

/// The most pads of a kind.
const MOST: usize = 16;

/// The source pads; they are made as streams come, and stay.
pub(crate) struct Outlets {
    element: glib::WeakRef<gst::Bin>,
    /// What follows the kind in the names of the pads: `_src` where there are sink
    /// pads, too.
    suffix: &'static str,
    group: gst::GroupId,
    latency: Duration,
    on_problem: OnProblem,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outlets: Vec<Outlet>,
    /// No more are made.
    closed: bool,
}

impl std::fmt::Debug for Outlets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlets").finish_non_exhaustive()
    }
}

impl Outlets {
    /// None yet.
    pub(crate) fn new(
        element: &gst::Bin,
        suffix: &'static str,
        latency: Duration,
        on_problem: OnProblem,
    ) -> Self {
        Self {
            element: element.downgrade(),
            suffix,
            group: gst::GroupId::next(),
            latency,
            on_problem,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An outlet for each of `kinds`, in that order: those that there are, and
    /// new ones where there are too few. Runs `pad-added`; blocks.
    pub(crate) fn expose(&self, kinds: &[Kind]) -> Result<Vec<Outlet>, String> {
        let host = self.element.upgrade().ok_or("the element is gone")?;
        let (mut all, mut new) = (Vec::new(), Vec::new());
        {
            let mut state = self.state();
            if state.closed {
                return Err("the stream has ended".into());
            }
            for (index, kind) in kinds.iter().enumerate() {
                let ordinal = kinds[..index].iter().filter(|it| *it == kind).count();
                if ordinal >= MOST {
                    return Err(format!("there are more than {MOST} streams of {kind}"));
                }
                let of_kind = |it: &&Outlet| it.kind() == *kind;
                let there = state.outlets.iter().filter(of_kind).nth(ordinal).cloned();
                let outlet = match there {
                    Some(outlet) => outlet,
                    None => {
                        let outlet = self.make(&host, *kind, ordinal)?;
                        state.outlets.push(outlet.clone());
                        new.push(outlet.clone());
                        outlet
                    }
                };
                all.push(outlet);
            }
        }
        for outlet in &new {
            outlet.expose(&host)?;
        }
        if !new.is_empty() {
            // In a call, more may come at any time.
            if self.suffix.is_empty() {
                host.no_more_pads();
            }
            self.tell_latency();
        }
        Ok(all)
    }

    fn make(&self, host: &gst::Bin, kind: Kind, ordinal: usize) -> Result<Outlet, String> {
        let template = host.pad_template(&format!("{kind}{}_%u", self.suffix));
        Outlet::new(OutletSpec {
            element: host.upcast_ref(),
            template: &template.ok_or("the element has no such pads")?,
            kind,
            name: format!("{kind}{}_{ordinal}", self.suffix),
            group: self.group,
            latency: self.latency,
            on_problem: self.on_problem.clone(),
        })
    }

    /// What the pads answer when asked for their latency has changed.
    pub(crate) fn tell_latency(&self) {
        if let Some(host) = self.element.upgrade() {
            let _ = host.post_message(gst::message::Latency::builder().src(&host).build());
        }
    }

    /// Ends all streams for what is downstream, each in its own time: what is
    /// linked to one may wait for the end of another.
    pub(crate) fn send_eos(&self) {
        let outlets = {
            let mut state = self.state();
            state.closed = true;
            state.outlets.clone()
        };
        let Some(host) = self.element.upgrade() else {
            return;
        };
        for outlet in outlets {
            host.call_async(move |_| outlet.send_eos());
        }
    }

    /// Takes them all off the element. Blocks.
    pub(crate) fn remove_all(&self) {
        let outlets = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.outlets)
        };
        if let Some(host) = self.element.upgrade() {
            for outlet in outlets {
                outlet.remove(&host);
            }
        }
    }
}
