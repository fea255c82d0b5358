//! A call: both send and receive, and tracks come and go in the middle of it.
//!
//! Each m-line has a feeder for life. One that no track flows on is idle; it is
//! kept here.

use std::time::{Duration, Instant};

use sigmund::sdp::{CallLines, Codec, Flow, Kind, MediaPlan, TrackOffer};
use sigmund::session::{EndReason, Session};
use sigmund::signaller::PeerInfo;

use super::super::host::Shared;
use super::{Event, Medium, Task, act};
use crate::media::{Feeder, Format, Track};
use crate::runtime;

/// How long the first exchange waits for tracks; those that come later are added
/// by another one.
const FIRST_FORMATS: Duration = Duration::from_secs(1);

/// What a session has of a call.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// What the tracks of this connection can be sent as, those that are gone, too.
    pub(super) tracks: Vec<TrackOffer>,
    /// The indices of those that are gone.
    gone: Vec<usize>,
    /// The m-lines that no track of ours flows on.
    idle: Vec<Idle>,
}

#[derive(Debug)]
struct Idle {
    mline: usize,
    codec: Codec,
    feeder: Feeder,
}

impl Call {
    /// Keeps the way into an m-line until a track takes it.
    pub(super) fn keep(&mut self, mline: usize, codec: Codec, feeder: Feeder) {
        self.idle.push(Idle {
            mline,
            codec,
            feeder,
        });
    }

    /// The connection is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Is it about a track of a call?
    pub(super) fn concerns(&self, shared: &Shared, event: &Event) -> bool {
        shared.call && matches!(event, Event::TrackChanged(_) | Event::TrackGone(_))
    }
}

impl Medium {
    /// It flows from now on.
    pub(super) fn flow(&mut self, info: &PeerInfo) {
        self.flows = true;
        self.lease.join(&self.feeder);
        if info.max_bitrate.is_some() && self.lease.codec().kind() == Kind::Video {
            let bitrate = self.estimate.bitrate();
            self.lease.estimate(&self.feeder, bitrate);
        }
    }
}

impl Task {
    /// Gives our tracks a moment to begin.
    pub(super) async fn await_first_formats(&self) {
        let all = async {
            for track in &self.tracks {
                let _ = track.format().wait_for(Option::is_some).await;
            }
        };
        let _ = tokio::time::timeout(FIRST_FORMATS, all).await;
    }

    /// Offers: decides what the call begins with, and builds the connection for it.
    pub(super) async fn prepare_call(
        &mut self,
        tracks: &[TrackOffer],
    ) -> Result<CallLines, EndReason> {
        let far = self.info.receives.as_ref();
        let data = self.takes_data();
        let lines = CallLines::new(tracks, far, &self.receives(), data).map_err(act::refusal);
        let prepared = match lines {
            Ok(lines) => {
                let built = self.connect(lines.media(), None, lines.has_data()).await;
                built
                    .map(|()| lines)
                    .map_err(sigmund::signaller::Refusal::Failed)
            }
            Err(refusal) => Err(refusal),
        };
        match prepared {
            Ok(lines) => Ok(lines),
            Err(refusal) => {
                if self.number == 1 {
                    self.refuse(refusal.clone()).await;
                }
                Err(EndReason::Closed(refusal.to_string()))
            }
        }
    }

    /// Adds the m-lines that the connection lacks.
    pub(super) async fn adapt(
        &mut self,
        session: &Session,
        lines: Vec<(usize, MediaPlan)>,
    ) -> Result<(), String> {
        let connection = self.connection.clone().ok_or("no connection")?;
        let known = |mline: usize| {
            self.media.iter().any(|it| it.mline == mline)
                || self.call.idle.iter().any(|it| it.mline == mline)
        };
        let new: Vec<_> = lines.into_iter().filter(|(it, _)| !known(*it)).collect();
        let offering = session.is_offerer();
        let added = runtime::blocking(move || {
            let add = |(mline, plan): (usize, MediaPlan)| {
                let feeder = connection.add_line(mline, &plan, offering)?;
                Ok::<_, String>((mline, plan.codec, feeder))
            };
            new.into_iter().map(add).collect::<Result<Vec<_>, _>>()
        });
        for (mline, codec, feeder) in added.await.ok_or("adding media failed")?? {
            self.call.keep(mline, codec, feeder);
        }
        Ok(())
    }

    /// What flows has been agreed anew.
    pub(super) async fn rewire(&mut self, session: &mut Session) {
        if self.connected.is_none() {
            return;
        }
        let flows = session.flows();
        self.rest(&flows);
        for flow in &flows {
            let Some(track) = flow.track.and_then(|it| self.tracks.get(it)).cloned() else {
                continue;
            };
            if let Err(text) = self.send_on(flow.mline, track).await {
                return session.close(EndReason::Failed(text));
            }
        }
        self.listen(session).await;
    }

    /// Takes off what flows no more.
    fn rest(&mut self, flows: &[Flow]) {
        let tracks = &self.tracks;
        let stays = |medium: &Medium| {
            let flow = flows.iter().find(|it| it.mline == medium.mline);
            let track = flow.and_then(|it| tracks.get(it.track?));
            track.is_some_and(|it| it.is(medium.lease.track()))
        };
        let (media, resting): (Vec<_>, Vec<_>) = self.media.drain(..).partition(stays);
        self.media = media;
        for medium in resting {
            medium.lease.leave(&medium.feeder);
            let codec = medium.lease.codec();
            self.call.keep(medium.mline, codec, medium.feeder);
        }
    }

    /// `track` flows on the m-line from now on.
    async fn send_on(&mut self, mline: usize, track: Track) -> Result<(), String> {
        let on_it = |medium: &Medium| medium.mline == mline;
        if !self.media.iter().any(on_it) {
            let index = self.call.idle.iter().position(|it| it.mline == mline);
            let idle = self.call.idle.swap_remove(index.ok_or("no such m-line")?);
            let lease = self.lease(track, idle.codec).await?;
            self.assign(mline, lease, idle.feeder);
        }
        let info = self.info.clone();
        if let Some(medium) = self.media.iter_mut().find(|it| on_it(it) && !it.flows) {
            medium.flow(&info);
        }
        Ok(())
    }

    /// A track has come, has changed, or has gone.
    pub(super) async fn handle_track(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::TrackChanged(track) if !self.tracks.iter().any(|it| it.is(&track)) => {
                let Some(offer) = self.offer_of(&track).await else {
                    return;
                };
                self.tracks.push(track);
                self.call.tracks.push(offer);
            }
            Event::TrackGone(track) => {
                self.gone.push(track.clone());
                let Some(index) = self.tracks.iter().position(|it| it.is(&track)) else {
                    return;
                };
                self.call.gone.push(index);
            }
            event => return self.handle(session, event),
        }
        session.set_tracks(Instant::now(), &self.call.tracks, &self.call.gone);
        let flows = session.flows();
        self.rest(&flows);
    }

    async fn offer_of(&self, track: &Track) -> Option<TrackOffer> {
        let format: Format = (*track.format().borrow())?;
        let shared = self.shared.clone();
        runtime::blocking(move || format.offer(&shared.codecs)).await
    }
}
