//! One task a session: owns its [`Session`], which decides, and its peer
//! connection, which acts. Nothing of it is shared, nothing is locked.

mod act;
mod again;
mod call;
mod data;
mod receive;
mod relays;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sigmund::ladder::{Estimate, Limits};
use sigmund::message::{Message, PeerId};
use sigmund::sdp::{Codec, TrackOffer};
use sigmund::session::{Config, ConnectionEvent, EndReason, Recovery, Session, Side};
use sigmund::signaller::{Offerer, Outgoing, PeerInfo, Refusal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::announce::Announcement;
use super::host::{Report, Shared};
use super::snapshot::PeerStats;
use crate::data::DataTrack;
use crate::media::{Feeder, Format, Lease, Track};
use crate::receive::Outlet;
use crate::runtime;
use crate::webrtcbin::{self, IncomingStream, PeerConnection, SenderReport};
use data::DataLinks;
use receive::Ears;

/// Events that may wait for a session. A peer that fills it is ended.
const INBOX: usize = 512;

/// How long a joiner waits for the stream to start.
const START_WAIT: Duration = Duration::from_secs(5);

/// How long the first viewers wait for the rest of the tracks, from when the
/// first of them has caps.
pub(in crate::driver) const STRAGGLERS: Duration = Duration::from_secs(1);

/// A browser's receiver reports come at least every 5 s (RFC 3550 section
/// 6.2, minimum interval); 8 s of silence means that it was killed.
const SILENCE: Duration = Duration::from_secs(8);

/// The least silence that is one, where this machine has lost an address that may
/// have been the connection's: it is, if it is twice as long as any before.
const MOVED: Duration = Duration::from_secs(2);

/// Where there are no media there is no RTCP either: after so much silence,
/// data channels are asked for a sign of life.
const QUIET: Duration = Duration::from_secs(3);

/// Where the far side offers, it may open channels of its own; those that it
/// has not opened by then are opened by us.
const ITS_CHANNELS: Duration = Duration::from_millis(300);

/// How often the network is asked.
const TICK: Duration = Duration::from_secs(1);

/// Time for the DTLS good-bye to leave before the sockets close.
const GOODBYE: Duration = Duration::from_millis(50);

/// A teardown that takes longer is left on its thread.
const TEARDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// What a session is told.
#[derive(Debug)]
pub(in crate::driver) enum Event {
    /// A note from its peer.
    Message(Message),
    /// Its connection reports: which one, and what.
    Connection(u32, ConnectionEvent),
    /// It is to end.
    Close(EndReason),
    /// Its peer is gone, and signalling knows.
    Left(EndReason),
    /// A stream of its peer's has begun: on which connection, and which one.
    Stream(u32, IncomingStream),
    /// Somebody has linked or unlinked a source pad.
    Relinked(Outlet),
    /// A track flows in another format.
    TrackChanged(Track),
    /// A track was removed.
    TrackGone(Track),
    /// No encoder works for this codec of this track.
    EncodingFailed(Track, Codec, String),
    /// A data pad was added.
    DataAdded(DataTrack),
    /// A data pad was removed.
    DataGone(DataTrack),
}

/// Tells sessions of peers with the same name apart.
pub(in crate::driver) type Serial = u64;

/// The host's hold on a session.
#[derive(Debug)]
pub(in crate::driver) struct SessionHandle {
    inbox: mpsc::Sender<Event>,
    flooded: Arc<AtomicBool>,
    serial: Serial,
    leaving: bool,
}

impl SessionHandle {
    /// Never waits. A session whose inbox is full ends.
    pub(in crate::driver) fn tell(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(event) {
            self.flooded.store(true, Ordering::Relaxed);
        }
    }

    /// Which one it is.
    pub(in crate::driver) fn serial(&self) -> Serial {
        self.serial
    }

    /// Its peer is gone: it ends, and tells signalling no more.
    pub(in crate::driver) fn leave(&mut self, reason: &str) {
        self.leaving = true;
        self.tell(Event::Left(EndReason::left(reason)));
    }

    /// Is it about to end?
    pub(in crate::driver) fn is_leaving(&self) -> bool {
        self.leaving
    }
}

/// Starts a session.
pub(in crate::driver) fn spawn(
    (peer, serial): (PeerId, Serial),
    info: PeerInfo,
    (tracks, pads): (Vec<Track>, Vec<DataTrack>),
    shared: Arc<Shared>,
    reports: mpsc::Sender<Report>,
) -> SessionHandle {
    let (sender, inbox) = mpsc::channel(INBOX);
    let flooded = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    // Its token decides what it gets.
    let pads = if info.no_data { Vec::new() } else { pads };
    let task = Task {
        limits: shared.limits,
        peer,
        recovery: Recovery::new(info.again, shared.give_up, began),
        serial,
        info,
        tracks,
        gone: Vec::new(),
        pads,
        shared,
        reports,
        events: sender.clone(),
        flooded: flooded.clone(),
        began,
        joined: None,
        number: 1,
        media: Vec::new(),
        call: call::Call::default(),
        data: None,
        data_news: Arc::default(),
        open_channels: None,
        ears: Ears::default(),
        connection: None,
        relays: relays::Relays::default(),
        connected: None,
        retired: None,
        sent: SenderReport::default(),
        sent_before: SenderReport::default(),
        left: false,
    };
    runtime::spawn(task.run(inbox));
    SessionHandle {
        inbox: sender,
        flooded,
        serial,
        leaving: false,
    }
}

struct Task {
    peer: PeerId,
    serial: Serial,
    info: PeerInfo,
    tracks: Vec<Track>,
    /// Tracks that were removed meanwhile.
    gone: Vec<Track>,
    pads: Vec<DataTrack>,
    shared: Arc<Shared>,
    reports: mpsc::Sender<Report>,
    events: mpsc::Sender<Event>,
    flooded: Arc<AtomicBool>,
    began: Instant,
    /// When media first flowed.
    joined: Option<Instant>,
    recovery: Recovery,
    /// Counts connections, so that a late report of one is not taken for the next one's.
    number: u32,
    media: Vec<Medium>,
    /// What it has of a call besides.
    call: call::Call,
    /// Where both sides want data channels.
    data: Option<DataLinks>,
    data_news: Arc<Notify>,
    /// When to open the channels that the far side has not opened.
    open_channels: Option<Instant>,
    /// What comes in.
    ears: Ears,
    connection: Option<Arc<PeerConnection>>,
    relays: relays::Relays,
    /// Since when media flows.
    connected: Option<Instant>,
    /// Of the bitrate, of which the peer's token may want less than the element.
    limits: Limits,
    /// Frees the connection before.
    retired: Option<JoinHandle<()>>,
    /// What the connection has sent, and what those before it had.
    sent: SenderReport,
    sent_before: SenderReport,
    /// Is its peer gone, as signalling has told us?
    left: bool,
}

/// One of our media on its way to this peer.
struct Medium {
    /// In a call: the index of its m-line.
    mline: usize,
    /// Does it flow?
    flows: bool,
    lease: Lease,
    feeder: Feeder,
    estimate: Estimate,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        let reason = match self.offers().await {
            Ok(tracks) => self.serve(tracks, &mut inbox).await,
            Err(text) => {
                self.refuse(Refusal::Busy(text.clone())).await;
                EndReason::Closed(text)
            }
        };
        drop(inbox);
        self.end(reason).await;
    }

    /// What our tracks can be sent as, once the stream has started. Tracks
    /// that have no caps when the rest has had them for a while are left out.
    async fn offers(&mut self) -> Result<Vec<TrackOffer>, String> {
        if self.shared.call || self.tracks.is_empty() {
            self.house().await?;
        }
        if self.shared.call {
            self.await_first_formats().await;
        } else if !self.tracks.is_empty() {
            self.await_start().await;
        }
        let tracks = std::mem::take(&mut self.tracks);
        let any = !tracks.is_empty();
        let formats: Vec<(Track, Format)> = tracks
            .into_iter()
            .filter_map(|track| {
                let format = *track.format().borrow();
                format.map(|format| (track, format))
            })
            .collect();
        let silent = any && formats.is_empty() && !self.shared.call;
        if silent || self.shared.house.borrow().is_none() {
            return Err("the stream has not started; try again in a moment".into());
        }
        let shared = self.shared.clone();
        // The first offer of a process probes the encoders.
        let offers = runtime::blocking(move || {
            formats
                .into_iter()
                .map(|(track, format)| (track, format.offer(&shared.codecs)))
                .unzip()
        });
        let (tracks, offers) = offers.await.ok_or("probing the encoders failed")?;
        self.tracks = tracks;
        Ok(offers)
    }

    /// Waits until the stream has started, and the rest of its tracks a little
    /// longer.
    async fn await_start(&self) {
        let mut started = self.shared.started.subscribe();
        let since = tokio::time::timeout(START_WAIT, started.wait_for(Option::is_some)).await;
        if let Ok(Ok(since)) = since.map(|since| since.map(|since| *since))
            && let Some(since) = since
        {
            let all = async {
                for track in &self.tracks {
                    let _ = track.format().wait_for(Option::is_some).await;
                }
            };
            let _ = tokio::time::timeout_at((since + STRAGGLERS).into(), all).await;
        }
    }

    /// The state machine, with its first steps prepared.
    async fn session(
        &mut self,
        tracks: Vec<TrackOffer>,
        began: Instant,
        timeout: Duration,
    ) -> Result<Session, EndReason> {
        let channel = self.info.channel.unwrap_or(self.shared.channel);
        self.call.tracks.clone_from(&tracks);
        let mut lines = None;
        let side = match channel.offerer {
            Offerer::Them => Side::Answerer {
                tracks,
                receives: self.receives(),
                data: self.takes_data(),
            },
            Offerer::Us if self.shared.call => {
                lines = Some(self.prepare_call(&tracks).await?);
                Side::Offerer
            }
            Offerer::Us => {
                if let Err(refusal) = self.prepare_offer(&tracks).await {
                    if self.number == 1 {
                        self.refuse(refusal.clone()).await;
                    }
                    return Err(EndReason::Closed(refusal.to_string()));
                }
                Side::Offerer
            }
        };
        let config = Config {
            side,
            call: self.shared.call,
            lines,
            trickle_out: channel.trickle_out && self.shared.network.trickle,
            relay_only: self.shared.network.relay_only,
            tcp: self.shared.network.tcp,
            external: self.shared.network.external.clone(),
            ice_servers: !self.shared.network().ice_servers.is_empty(),
            head_start: if self.shared.network.relay_only {
                Duration::ZERO
            } else {
                Config::default().head_start
            },
            late_relays: self.late_relays().await,
            negotiation_timeout: timeout,
            ..Config::default()
        };
        Ok(Session::new(config, began))
    }

    /// The session's life, from its first note to its end.
    async fn serve(
        &mut self,
        tracks: Vec<TrackOffer>,
        inbox: &mut mpsc::Receiver<Event>,
    ) -> EndReason {
        let timeout = Config::default().negotiation_timeout;
        let timeout = self.info.patience.unwrap_or(timeout);
        let mut session = match self.session(tracks, self.began, timeout).await {
            Ok(session) => session,
            Err(reason) => return reason,
        };
        let mut tick = tokio::time::interval(TICK);
        loop {
            while let Some(action) = session.poll_action() {
                gst::debug!(
                    crate::driver::CAT,
                    "{} after {:?}: {:?}, {}",
                    self.peer,
                    self.began.elapsed(),
                    session.phase(),
                    act::name(&action)
                );
                if let Some(reason) = self.act(&mut session, action).await {
                    match self.after(reason).await {
                        Ok(next) => session = next,
                        Err(reason) => return reason,
                    }
                }
            }
            if self.flooded.swap(false, Ordering::Relaxed) {
                session.close(EndReason::Misbehaved(
                    "it sent more than we could take".into(),
                ));
                continue;
            }
            let timeout = self.recovery.poll_timeout(&session);
            let timeout = timeout.map(tokio::time::Instant::from_std);
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(Event::DataAdded(_)) if self.info.no_data => (),
                    Some(Event::DataAdded(pad)) => self.add_pad(pad).await,
                    Some(Event::DataGone(pad)) => self.remove_pad(pad).await,
                    Some(Event::Stream(number, stream)) => {
                        self.hear_on(&mut session, number, stream).await;
                    }
                    Some(event) if self.call.concerns(&self.shared, &event) => {
                        self.handle_track(&mut session, event).await;
                    }
                    Some(Event::Relinked(outlet)) => self.relinked(&mut session, &outlet).await,
                    Some(event) => self.handle(&mut session, event),
                    None => session.close(EndReason::Closed("the element is gone".into())),
                },
                () = sleep_until(timeout) => {
                    self.recovery.handle_timeout(&mut session, Instant::now());
                }
                () = sleep_until(self.relays.due()) => self.check_relays(),
                () = sleep_until(self.open_channels.map(Into::into)) => self.open_channels().await,
                () = self.data_news.notified(), if self.data.is_some() => self.pump().await,
                _ = tick.tick() => self.check_network(&mut session).await,
            }
        }
    }

    fn handle(&mut self, session: &mut Session, event: Event) {
        let now = Instant::now();
        match event {
            Event::Message(message) => self.recovery.handle_message(session, now, message),
            Event::Connection(number, event) => {
                if number == self.number {
                    self.relays.watch(&event);
                    self.recovery.handle_connection(session, now, event);
                }
            }
            Event::Close(reason) => session.close(reason),
            Event::Left(reason) => {
                self.left = true;
                session.close(reason);
            }
            // Taken before, as they take time.
            Event::Stream(..) | Event::Relinked(_) => (),
            Event::TrackChanged(track) => {
                let stale = |m: &Medium| {
                    m.lease.track().is(&track) && !still_gives(&track, m.lease.codec())
                };
                if self.media.iter().any(stale) {
                    let text = "the stream has changed its format; join again".to_owned();
                    session.close(EndReason::Closed(text));
                }
            }
            Event::TrackGone(track) => {
                self.gone.push(track.clone());
                let had_media = !self.media.is_empty();
                self.media.retain(|m| !m.lease.track().is(&track));
                if had_media && self.media.is_empty() {
                    session.close(EndReason::Closed("the stream has ended".into()));
                }
            }
            Event::EncodingFailed(track, codec, error) => {
                let hit = |m: &Medium| m.lease.track().is(&track) && m.lease.codec() == codec;
                if self.media.iter().any(hit) {
                    session.close(EndReason::Failed(error));
                }
            }
            // Done where they come in.
            Event::DataAdded(_) | Event::DataGone(_) => (),
        }
    }

    /// Once a second: is it still there, and what does the network say?
    async fn check_network(&mut self, session: &mut Session) {
        let (Some(connection), Some(_)) = (self.connection.clone(), self.connected) else {
            return;
        };
        let now = Instant::now();
        self.ears.rest(now);
        let silence = connection.silence(now);
        let answers = connection.answers();
        // Without either ICE will notice, after 50 s.
        let has_media = !self.media.is_empty() || self.ears.hears();
        let unusual = MOVED.max(2 * connection.longest_pause());
        let is_lost = silence > SILENCE || silence > unusual && connection.has_moved();
        if is_lost && (answers || has_media) {
            session.handle_connection(now, ConnectionEvent::Silent(silence));
            return;
        }
        let look = move || {
            if answers && silence > QUIET {
                connection.ask();
            }
            connection.statistics()
        };
        let Some(mut network) = runtime::blocking(look).await else {
            return;
        };
        let report = network.to_report();
        let mut lowest = self.limits.max;
        for medium in &mut self.media {
            if medium.lease.codec().kind() == sigmund::sdp::Kind::Video {
                lowest = medium.estimate.handle_report(now, report);
                medium.lease.estimate(&medium.feeder, lowest);
            }
        }
        self.count(&mut network);
        let joined = self.joined.unwrap_or(now);
        let stats = PeerStats {
            protocol: self.info.protocol.clone(),
            codecs: self.codecs(),
            joined_in: joined - self.began,
            age: now - joined,
            connections: self.number,
            estimate: lowest,
            network,
        };
        self.tell_host(Report::Stats(self.peer.clone(), Box::new(stats)))
            .await;
    }

    async fn send(&self, note: Outgoing) {
        self.tell_host(Report::Send(note)).await;
    }

    async fn tell_host(&self, report: Report) {
        // The host outlives its sessions; it may be stopping.
        let _ = self.reports.send(report).await;
    }

    /// Frees everything, and tells everybody.
    async fn end(mut self, reason: EndReason) {
        let was_added = self.joined.is_some();
        let was_connected = self.connected.is_some();
        for medium in self.media.drain(..) {
            medium.lease.leave(&medium.feeder);
        }
        self.close_channels().await;
        if !self.left {
            self.send(Outgoing::End {
                peer: self.peer.clone(),
                reason: reason.to_string(),
            })
            .await;
        }
        if was_added {
            let removed = Announcement::PeerRemoved(self.peer.clone(), reason.to_string());
            self.shared.announcer.announce(removed);
        }
        if matches!(reason, EndReason::Impostor) && self.shared.reception.is_some() {
            let text = format!("nothing is taken from this publisher: {reason}");
            self.shared.announcer.announce(Announcement::Warning(text));
        }
        if let (EndReason::Failed(text), false) = (&reason, was_connected) {
            self.confess(text);
        }
        gst::info!(super::CAT, "session {} ended: {reason}", self.peer);
        self.let_go(matches!(reason, EndReason::Failed(_))).await;
        if let Some(connection) = self.connection.take() {
            if was_connected && !matches!(reason, EndReason::Silent(_)) {
                say_goodbye(&connection).await;
            }
            free(&self.shared.element, &self.peer, connection).await;
        }
        self.await_retired().await;
        self.tell_host(Report::Ended(self.peer.clone(), self.serial))
            .await;
    }

    /// A peer got nothing, and the fault is ours: who can mend it is told. Why no
    /// relay is there has been said.
    fn confess(&self, text: &str) {
        if !self.shared.network.relay_only && self.shared.is_news(text) {
            let text = format!("a peer could not be connected: {text}");
            self.shared.announcer.announce(Announcement::Warning(text));
        }
    }

    /// Where the present connection reports.
    fn report(&self) -> webrtcbin::Report {
        let (events, overflow) = (self.events.clone(), self.flooded.clone());
        let number = self.number;
        Arc::new(move |event| {
            let full = events.try_send(Event::Connection(number, event));
            if let Err(mpsc::error::TrySendError::Full(_)) = full {
                overflow.store(true, Ordering::Relaxed);
            }
        })
    }
}

async fn say_goodbye(connection: &Arc<PeerConnection>) {
    let leaving = connection.clone();
    runtime::blocking(move || leaving.say_goodbye()).await;
    tokio::time::sleep(GOODBYE).await;
}

async fn free(element: &glib::WeakRef<gst::Bin>, peer: &PeerId, connection: Arc<PeerConnection>) {
    let element = element.clone();
    let stopped = runtime::blocking(move || {
        if let Some(host) = element.upgrade() {
            connection.stop(&host);
        }
    });
    if tokio::time::timeout(TEARDOWN_DEADLINE, stopped)
        .await
        .is_err()
    {
        gst::error!(super::CAT, "session {peer} does not stop; left behind");
    }
}

/// Can a viewer of `codec` go on with what the track gives now?
fn still_gives(track: &Track, codec: Codec) -> bool {
    match *track.format().borrow() {
        Some(Format::Encoded(offer)) => offer.codec == codec,
        Some(Format::Raw(_)) => true,
        None => true,
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_leave_is_one_line() {
        let (inbox, mut events) = mpsc::channel(1);
        let mut session = SessionHandle {
            inbox,
            flooded: Arc::default(),
            serial: 1,
            leaving: false,
        };
        session.leave("bye\n0:00:01 ERROR forged\u{1b}[2J");
        let Ok(Event::Left(reason)) = events.try_recv() else {
            panic!("nothing was told")
        };
        assert!(!reason.to_string().contains(char::is_control), "{reason}");
    }
}
