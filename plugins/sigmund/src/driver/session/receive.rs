//! What comes in: which stream of the peer leaves which pad.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sigmund::sdp::{Codec, Kind};
use sigmund::session::{ConnectionEvent, EndReason, Session};
use tokio::sync::mpsc;

use super::{Event, Task};
use crate::isolate::HouseTime;
use crate::receive::{Inlet, Outlet};
use crate::runtime;
use crate::webrtcbin::{IncomingStream, OnStream, Receiving};

/// How long a session waits for the pipeline to play.
const PLAY_WAIT: Duration = Duration::from_secs(5);

/// Streams that may wait for the identity to be proven.
const EARLY: usize = 16;

/// How long the first packets of a stream are kept for whoever may take them.
const HELD: Duration = Duration::from_secs(1);

/// The receiving half of a session.
#[derive(Default)]
pub(super) struct Ears {
    /// Of the present connection.
    lines: Vec<Line>,
    /// Came before media may flow, or before they were announced, and when.
    early: Vec<(Instant, IncomingStream)>,
    /// Those whose links we follow.
    followed: Vec<Outlet>,
}

/// An m-line on which the peer sends.
struct Line {
    /// Its index in the description that webrtcbin knows.
    mline: usize,
    kind: Kind,
    /// In a call: the streams that it announces there.
    sources: Vec<u32>,
    outlet: Outlet,
    inlet: Option<Inlet>,
}

impl Ears {
    /// Does anything come in?
    pub(super) fn hears(&self) -> bool {
        self.lines.iter().any(|line| line.inlet.is_some())
    }

    /// Streams that nobody has announced by now may never be.
    pub(super) fn rest(&mut self, now: Instant) {
        let rest = |(came, stream): (Instant, IncomingStream)| match now - came > HELD {
            true => (came, stream.rest()),
            false => (came, stream),
        };
        let early = std::mem::take(&mut self.early);
        self.early = early.into_iter().map(rest).collect();
    }

    fn codecs(&self) -> impl Iterator<Item = Codec> {
        let inlets = self.lines.iter().filter_map(|line| line.inlet.as_ref());
        inlets.map(Inlet::codec)
    }

    /// The line that a stream of `kind`, announced for `mline`, belongs to. One
    /// that was not announced counts as the first line's, whatever it is.
    fn line(&mut self, kind: Kind, mline: Option<usize>) -> Option<&mut Line> {
        let of_kind = |line: &Line| line.kind == kind;
        let announced = |line: &Line| of_kind(line) && Some(line.mline) == mline;
        let idle = |line: &Line| of_kind(line) && line.inlet.is_none();
        let lines = &self.lines;
        let index = lines
            .iter()
            .position(announced)
            .or_else(|| lines.iter().position(idle))
            .or_else(|| lines.iter().position(of_kind))?;
        self.lines.get_mut(index)
    }

    /// The same in a call, where streams that are announced later may come before
    /// their announcement. `None`: not now.
    fn line_in_call(&mut self, kind: Kind, source: Option<u32>) -> Option<&mut Line> {
        let announced = |line: &Line| source.is_some_and(|it| line.sources.contains(&it));
        let unannounced = |line: &Line| line.sources.is_empty() && line.inlet.is_none();
        let of_kind = |line: &&Line| line.kind == kind;
        let lines = || self.lines.iter().filter(of_kind);
        let found = lines().find(|it| announced(it));
        let mline = found.or_else(|| lines().find(|it| unannounced(it)))?.mline;
        self.lines.iter_mut().find(|it| it.mline == mline)
    }
}

impl Task {
    /// What we take, best first.
    pub(super) fn receives(&self) -> Vec<Codec> {
        let reception = self.shared.reception.as_ref();
        reception.map(|it| it.codecs.clone()).unwrap_or_default()
    }

    /// How the connection is to take it.
    pub(super) fn receiving(&self) -> Option<Receiving> {
        let latency = self.shared.reception.as_ref()?.latency;
        let (events, flooded) = (self.events.clone(), self.flooded.clone());
        let number = self.number;
        let on_stream: OnStream = Arc::new(move |stream| {
            let told = events.try_send(Event::Stream(number, stream));
            if let Err(mpsc::error::TrySendError::Full(Event::Stream(_, stream))) = told {
                stream.refuse();
                flooded.store(true, Ordering::Relaxed);
            }
        });
        Some(Receiving { latency, on_stream })
    }

    /// What flows either way.
    pub(super) fn codecs(&self) -> Vec<Codec> {
        let out = self.media.iter().map(|m| m.lease.codec());
        out.chain(self.ears.codecs()).collect()
    }

    /// The time of the house, once the pipeline plays.
    pub(super) async fn house(&self) -> Result<HouseTime, String> {
        let mut house = self.shared.house.clone();
        let playing = tokio::time::timeout(PLAY_WAIT, house.wait_for(Option::is_some)).await;
        let time = playing
            .ok()
            .and_then(Result::ok)
            .and_then(|time| time.clone());
        time.ok_or_else(|| "the pipeline is not playing yet; try again in a moment".to_owned())
    }

    /// Media may flow: the pads are there from now on.
    pub(super) async fn listen(&mut self, session: &mut Session) {
        let Some(reception) = self.shared.reception.clone() else {
            return;
        };
        let mut heard = session.heard().to_vec();
        heard.retain(|(mline, _)| !self.ears.lines.iter().any(|it| it.mline == *mline));
        let known = self.ears.lines.iter().map(|line| line.kind);
        let kinds: Vec<_> = known.chain(heard.iter().map(|(_, kind)| *kind)).collect();
        let exposed = runtime::blocking(move || reception.outlets.expose(&kinds)).await;
        let outlets = match exposed {
            Some(Ok(outlets)) => outlets,
            Some(Err(text)) => return session.close(EndReason::Failed(text)),
            None => return session.close(EndReason::Failed("adding pads failed".into())),
        };
        let new = outlets.into_iter().skip(self.ears.lines.len());
        for ((mline, kind), outlet) in heard.into_iter().zip(new.collect::<Vec<_>>()) {
            self.follow_links(&outlet);
            self.ears.lines.push(Line {
                mline,
                kind,
                sources: Vec::new(),
                outlet,
                inlet: None,
            });
        }
        if self.shared.call {
            for flow in session.flows() {
                let line = self.ears.lines.iter_mut().find(|it| it.mline == flow.mline);
                if let Some(line) = line {
                    line.sources = flow.sources;
                }
            }
        }
        for (_, stream) in std::mem::take(&mut self.ears.early) {
            self.hear(session, stream).await;
        }
    }

    /// Ends with the session, or the pad.
    fn follow_links(&mut self, outlet: &Outlet) {
        if self.ears.followed.iter().any(|it| it.is(outlet)) {
            return;
        }
        self.ears.followed.push(outlet.clone());
        let (mut links, outlet) = (outlet.links(), outlet.clone());
        let inbox = self.events.downgrade();
        runtime::spawn(async move {
            while links.changed().await.is_ok() {
                let Some(inbox) = inbox.upgrade() else { return };
                if inbox.send(Event::Relinked(outlet.clone())).await.is_err() {
                    return;
                }
            }
        });
    }

    /// A stream has begun; its first packet waits.
    pub(super) async fn hear_on(
        &mut self,
        session: &mut Session,
        number: u32,
        stream: IncomingStream,
    ) {
        if number == self.number {
            self.hear(session, stream).await;
        } else {
            stream.refuse();
        }
    }

    async fn hear(&mut self, session: &mut Session, stream: IncomingStream) {
        if self.connected.is_none() {
            return self.hear_later(stream);
        }
        let Some(connection) = self.connection.clone() else {
            return stream.refuse();
        };
        // Asking for the m-line takes webrtcbin's lock.
        let asked = runtime::blocking(move || (stream.mline(), stream)).await;
        let Some((mline, stream)) = asked else { return };
        let codec = stream.caps().as_deref().and_then(codec_of);
        let line = match codec {
            Some(codec) if self.shared.call => {
                let source = stream.caps().as_deref().and_then(source_of);
                match self.ears.line_in_call(codec.kind(), source) {
                    Some(line) => Some(line),
                    None => return self.hear_later(stream),
                }
            }
            Some(codec) => self.ears.line(codec.kind(), mline),
            None => None,
        };
        let (Some(codec), Some(line)) = (codec, line) else {
            gst::warning!(
                crate::driver::CAT,
                "{}: a stream that nobody expects",
                self.peer
            );
            return stream.refuse();
        };
        let (before, outlet) = (line.inlet.take(), line.outlet.clone());
        if let Some(channels) = self.channels() {
            channels.clock().follow(stream.pad());
        }
        let house = self.shared.house.borrow().clone();
        let opened = runtime::blocking(move || {
            if let Some(before) = before {
                before.close();
            }
            let time = house.ok_or("the pipeline is not playing")?;
            connection.receive(stream, codec, outlet, time)
        });
        match opened.await {
            Some(Ok(inlet)) => {
                if let Some(line) = self
                    .ears
                    .lines
                    .iter_mut()
                    .find(|it| it.outlet.is(inlet.outlet()))
                {
                    line.inlet = Some(inlet);
                }
                if let Some(reception) = &self.shared.reception {
                    reception.outlets.tell_latency();
                }
            }
            Some(Err(text)) => self.fail(session, text),
            None => self.fail(session, "taking a stream failed".into()),
        }
    }

    fn hear_later(&mut self, stream: IncomingStream) {
        if self.ears.early.len() < EARLY {
            self.ears.early.push((Instant::now(), stream));
        } else {
            stream.refuse();
        }
    }

    /// What is linked to a pad has changed: the stream is given another form.
    pub(super) async fn relinked(&mut self, session: &mut Session, outlet: &Outlet) {
        let line = self.ears.lines.iter_mut().find(|it| it.outlet.is(outlet));
        let Some(mut inlet) = line.and_then(|line| line.inlet.take()) else {
            return;
        };
        let adapted = runtime::blocking(move || {
            let result = inlet.adapt();
            (inlet, result)
        });
        let Some((inlet, result)) = adapted.await else {
            return self.fail(session, "building a decoder failed".into());
        };
        if let Some(line) = self.ears.lines.iter_mut().find(|it| it.outlet.is(outlet)) {
            line.inlet = Some(inlet);
        }
        if let Err(text) = result {
            self.fail(session, text);
        }
    }

    fn fail(&self, session: &mut Session, text: String) {
        session.handle_connection(Instant::now(), ConnectionEvent::Failed(text));
    }

    /// The connection is over: the pads are free for the next one, and nothing
    /// of ours waits for what is linked to them.
    pub(super) async fn let_go(&mut self, failed: bool) {
        if let Some(channels) = self.channels() {
            channels.clock().forget();
        }
        self.ears.early.clear();
        let lines = self.ears.lines.drain(..);
        let inlets: Vec<_> = lines.filter_map(|line| line.inlet).collect();
        runtime::blocking(move || {
            for inlet in &inlets {
                if failed {
                    inlet.blame_decoder();
                }
                inlet.detach();
            }
        })
        .await;
    }
}

/// The stream that RTP caps are of.
fn source_of(caps: &gst::CapsRef) -> Option<u32> {
    caps.structure(0)?.get::<u32>("ssrc").ok()
}

/// The codec that RTP caps name.
fn codec_of(caps: &gst::CapsRef) -> Option<Codec> {
    let name = caps.structure(0)?.get::<&str>("encoding-name").ok()?;
    let known = [Codec::H264, Codec::Vp8, Codec::Opus];
    known
        .into_iter()
        .find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
}
