//! One task an element: owns its tracks, encodings and the list of sessions,
//! and speaks with signalling.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sigmund::address::IceServer;
use sigmund::ladder::Limits;
use sigmund::message::PeerId;
use sigmund::sdp::Codec;
use sigmund::session::EndReason;
use sigmund::signaller::supervisor::{Event as Signalling, Supervisor};
use sigmund::signaller::{Capabilities, Incoming, Outgoing, PeerInfo, Refusal, Signaller};
use sigmund::tunnel::Tunnels;
use tokio::sync::{mpsc, oneshot, watch};

use super::announce::{Announcement, Announcer};
use super::complaints::Complaints;
use super::session::{self, Event, Serial, SessionHandle};
use super::snapshot::{PeerStats, Snapshot};
use super::tally::Tallies;
use crate::data::{DataTrack, IncomingChannels};
use crate::media::{EncodingSpec, Encodings, Format, House, Lease, OnEncoder, Track};
use crate::receive::Outlets;
use crate::runtime;
use crate::webrtcbin::Network;

/// How long the element waits for its sessions and encoders when it stops.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// How long a change of state waits for signalling to open.
const OPEN_WAIT: Duration = Duration::from_secs(3);

/// How long signalling may take to say good-bye.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// How long nobody watches before memory is given back.
const DESERTED: Duration = Duration::from_secs(2);

/// Tells of a peer's webrtcbin while it may still be configured.
pub(crate) type OnConnection = Arc<dyn Fn(&PeerId, &gst::Element) + Send + Sync>;

/// What the element's properties come to.
pub(crate) struct HostConfig {
    pub(crate) element: glib::WeakRef<gst::Bin>,
    pub(crate) signaller: Box<dyn Signaller>,
    /// The tracks that there are, with the settings of their encoders: the
    /// first peer may come before any further call.
    pub(crate) tracks: Vec<(Track, Option<gst::Structure>)>,
    /// The data pads that there are.
    pub(crate) pads: Vec<DataTrack>,
    pub(crate) house: House,
    /// Codecs for raw tracks, best first.
    pub(crate) codecs: Vec<Codec>,
    pub(crate) limits: Limits,
    pub(crate) max_peers: usize,
    /// How long a peer whose path is lost may be without media.
    pub(crate) give_up: Duration,
    /// Where media that come in go.
    pub(crate) reception: Option<Reception>,
    /// Are media sent and received, with whoever calls?
    pub(crate) call: bool,
    pub(crate) network: Network,
    pub(crate) announcer: Announcer,
    pub(crate) on_encoder: OnEncoder,
    pub(crate) on_connection: OnConnection,
}

/// Where media that come in go.
#[derive(Clone)]
pub(crate) struct Reception {
    /// What is taken, best first.
    pub(crate) codecs: Vec<Codec>,
    /// The pads.
    pub(crate) outlets: Arc<Outlets>,
    /// Channels that the far side opens, if it may.
    pub(crate) channels: Option<Arc<IncomingChannels>>,
    /// What the jitterbuffers hold back at most.
    pub(crate) latency: Duration,
}

/// What sessions share of it.
pub(super) struct Shared {
    pub(super) element: glib::WeakRef<gst::Bin>,
    pub(super) house: House,
    pub(super) codecs: Vec<Codec>,
    pub(super) limits: Limits,
    pub(super) give_up: Duration,
    pub(super) reception: Option<Reception>,
    pub(super) call: bool,
    pub(super) network: Network,
    /// What signalling hands out besides; renewed now and then.
    pub(super) ice_servers: watch::Sender<Vec<IceServer>>,
    pub(super) tunnels: Tunnels,
    pub(super) channel: Capabilities,
    pub(super) announcer: Announcer,
    pub(super) on_connection: OnConnection,
    /// When the element played and the first track had caps.
    pub(super) started: watch::Sender<Option<Instant>>,
    /// What does not work (a TURN server by its name), and when that was said.
    pub(super) told: Mutex<HashMap<String, Instant>>,
}

/// What many viewers find at the same time is said once.
const SAID: Duration = Duration::from_secs(10);

impl Shared {
    /// Is it time to say again that this does not work?
    pub(super) fn is_news(&self, what: &str) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < SAID);
        let first = !told.contains_key(what);
        told.entry(what.to_owned()).or_insert(now);
        first
    }

    /// What the next connection may use: the user's ICE servers first, then
    /// those that signalling hands out at present.
    pub(super) fn network(&self) -> Network {
        let mut network = self.network.clone();
        for server in &*self.ice_servers.borrow() {
            if !network.ice_servers.contains(server) {
                network.ice_servers.push(server.clone());
            }
        }
        network
    }
}

/// Why an element cannot start; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StartError(pub(crate) String);

/// The element's hold on its task.
#[derive(Debug)]
pub(crate) struct Host {
    commands: mpsc::UnboundedSender<Command>,
    snapshot: watch::Receiver<Snapshot>,
}

/// What the element wants. Unbounded: only the application's own calls.
#[derive(Debug)]
enum Command {
    AddTrack(Track, Option<gst::Structure>),
    RemoveTrack(Track),
    AddData(DataTrack),
    RemoveData(DataTrack),
    Stop(oneshot::Sender<()>),
}

/// What sessions and tracks tell their host.
pub(super) enum Report {
    /// A note for signalling.
    Send(Outgoing),
    /// A session needs a codec of a track.
    Lease(Track, Codec, oneshot::Sender<Result<Lease, String>>),
    /// The state of a session, once a second.
    Stats(PeerId, Box<PeerStats>),
    /// A session is over and everything of it is free.
    Ended(PeerId, Serial),
    /// Caps have come, on some track, whether the clock runs or not.
    Arrived,
    /// Time is over for tracks that still have none.
    Settled,
    /// Nobody has watched for a while, if that is still so.
    TidyUp,
    /// What flows on a track has changed.
    Format(Track),
    /// An encoding has no working encoder.
    EncodingFailed(Track, Codec, String),
}

struct Task {
    shared: Arc<Shared>,
    supervisor: Supervisor,
    complaints: Complaints,
    max_peers: usize,
    on_encoder: OnEncoder,
    tracks: Vec<(Track, Option<gst::Structure>)>,
    pads: Vec<DataTrack>,
    encodings: Encodings,
    /// Passed-through tracks have a GOP cache even with no viewer.
    standing: Vec<Lease>,
    sessions: HashMap<PeerId, SessionHandle>,
    tallies: Tallies,
    /// Counts sessions: a peer that comes back may have the name of before.
    serial: Serial,
    /// Those that have not freed everything yet, replaced ones among them.
    running: HashSet<Serial>,
    /// Are tracks without caps given their last chance, or have they had it?
    settling: bool,
    /// Will it be looked soon whether anybody is left?
    tidying: bool,
    snapshot: watch::Sender<Snapshot>,
    reports: mpsc::Sender<Report>,
    /// Encodings hold the sender; it closes when the last thread has ended.
    alive: mpsc::Sender<()>,
    all_gone: mpsc::Receiver<()>,
}

impl Host {
    /// Opens signalling and starts the task. Fails when the channel cannot be
    /// opened; one that may come up later is retried in the background.
    pub(crate) async fn start(config: HostConfig) -> Result<Self, StartError> {
        let channel = config.signaller.capabilities();
        let mut supervisor = Supervisor::spawn(config.signaller);
        // A server that takes its time is waited for in the background.
        let first = tokio::time::timeout(OPEN_WAIT, supervisor.events.recv()).await;
        if let Ok(Some(Signalling::Failed(error))) = first {
            return Err(StartError(error.to_string()));
        }
        let (commands, inbox) = mpsc::unbounded_channel();
        let (reports, outbox) = mpsc::channel(1024);
        let (alive, all_gone) = mpsc::channel(1);
        let (snapshot, seen) = watch::channel(Snapshot::default());
        let mut task = Task {
            shared: Arc::new(Shared {
                element: config.element,
                house: config.house,
                codecs: config.codecs,
                limits: config.limits,
                give_up: config.give_up,
                reception: config.reception,
                call: config.call,
                tunnels: tunnels(config.network.tls_ca.clone(), &config.announcer),
                network: config.network,
                ice_servers: watch::Sender::default(),
                channel,
                announcer: config.announcer,
                on_connection: config.on_connection,
                started: watch::Sender::new(None),
                told: Mutex::default(),
            }),
            supervisor,
            complaints: Complaints::default(),
            max_peers: config.max_peers,
            on_encoder: config.on_encoder,
            tracks: Vec::new(),
            pads: config.pads,
            encodings: Encodings::default(),
            standing: Vec::new(),
            sessions: HashMap::new(),
            tallies: Tallies::default(),
            serial: 0,
            running: HashSet::new(),
            settling: false,
            tidying: false,
            snapshot,
            reports,
            alive,
            all_gone,
        };
        for (track, settings) in config.tracks {
            task.add_track(track, settings);
        }
        if let Ok(Some(event)) = first {
            task.handle_signalling(event);
        }
        runtime::spawn(task.run(inbox, outbox));
        Ok(Self {
            commands,
            snapshot: seen,
        })
    }

    /// A sink pad was requested.
    pub(crate) fn add_track(&self, track: Track, settings: Option<gst::Structure>) {
        let _ = self.commands.send(Command::AddTrack(track, settings));
    }

    /// A sink pad was released.
    pub(crate) fn remove_track(&self, track: Track) {
        let _ = self.commands.send(Command::RemoveTrack(track));
    }

    /// A data pad was requested.
    pub(crate) fn add_data(&self, pad: DataTrack) {
        let _ = self.commands.send(Command::AddData(pad));
    }

    /// A data pad was released.
    pub(crate) fn remove_data(&self, pad: DataTrack) {
        let _ = self.commands.send(Command::RemoveData(pad));
    }

    /// The address, and the sessions as of their last report.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Ends all sessions and waits until everything of them is free.
    pub(crate) async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        if self.commands.send(Command::Stop(done)).is_ok() {
            let _ = stopped.await;
        }
    }
}

fn tunnels(ca: Option<PathBuf>, announcer: &Announcer) -> Tunnels {
    let announcer = announcer.clone();
    Tunnels::new(
        ca,
        Arc::new(move |text| announcer.announce(Announcement::Warning(text))),
    )
}

impl Task {
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut reports: mpsc::Receiver<Report>,
    ) {
        let mut signalling = true;
        let done = loop {
            tokio::select! {
                // In this order: who joins after a pad was added finds its track.
                biased;
                command = commands.recv() => match command {
                    Some(Command::AddTrack(track, settings)) => self.add_track(track, settings),
                    Some(Command::RemoveTrack(track)) => self.remove_track(&track),
                    Some(Command::AddData(pad)) => self.add_data(pad),
                    Some(Command::RemoveData(pad)) => self.remove_data(&pad),
                    Some(Command::Stop(done)) => break Some(done),
                    None => break None,
                },
                Some(report) = reports.recv() => self.handle_report(report),
                // It ends for good only after it has said why.
                event = self.supervisor.events.recv(), if signalling => match event {
                    Some(event) => self.handle_signalling(event),
                    None => signalling = false,
                },
            }
        };
        self.stop(reports).await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn handle_signalling(&mut self, event: Signalling) {
        match event {
            Signalling::Up { address } => self.set_address(address),
            Signalling::Down {
                reason,
                reached,
                retry_in,
            } => {
                if self.complaints.is_news(&reason, Instant::now()) {
                    let what = match reached {
                        true => format!("was lost ({reason}); media that flow go on"),
                        false => format!("cannot be reached ({reason})"),
                    };
                    let wait = retry_in.as_secs_f32();
                    self.warn(format!("signalling {what}; next attempt in {wait:.1} s"));
                }
            }
            Signalling::Failed(error) => self
                .shared
                .announcer
                .announce(Announcement::Error(format!("signalling: {error}"))),
            Signalling::Incoming(Incoming::Joined { peer, info }) => self.join(peer, info),
            Signalling::Incoming(Incoming::Message { peer, message }) => {
                self.tell(&peer, Event::Message(message));
            }
            Signalling::Incoming(Incoming::IceServers(servers)) => {
                self.shared.ice_servers.send_replace(servers);
            }
            Signalling::Incoming(Incoming::Left { peer, reason }) => {
                if let Some(session) = self.sessions.get_mut(&peer) {
                    session.leave(&reason);
                }
            }
        }
    }

    /// It may be another one after a reconnection.
    fn set_address(&mut self, address: Option<String>) {
        if self.snapshot.borrow().address == address {
            return;
        }
        self.snapshot
            .send_modify(|s| s.address.clone_from(&address));
        if let Some(address) = address {
            let announcer = &self.shared.announcer;
            announcer.announce(Announcement::Address(address));
        }
    }

    fn join(&mut self, peer: PeerId, info: PeerInfo) {
        // Left while nobody told us, and back.
        if let Some(before) = self.sessions.get_mut(&peer) {
            before.leave("it has come back");
        }
        if let Some(text) = self.no_room() {
            self.supervisor.send(Outgoing::Refuse {
                peer,
                refusal: Refusal::Busy(text),
            });
            return;
        }
        let tracks = self.tracks.iter().map(|(track, _)| track.clone()).collect();
        self.serial += 1;
        let session = session::spawn(
            (peer.clone(), self.serial),
            info,
            (tracks, self.pads.clone()),
            self.shared.clone(),
            self.reports.clone(),
        );
        self.running.insert(self.serial);
        self.sessions.insert(peer, session);
    }

    fn no_room(&self) -> Option<String> {
        let here = self.sessions.values().filter(|it| !it.is_leaving()).count();
        if here >= self.max_peers {
            Some(format!(
                "{} peers are here, which is the most allowed",
                self.max_peers
            ))
        } else if self.tracks.is_empty() && self.pads.is_empty() && self.shared.reception.is_none()
        {
            Some("the stream has no media yet".to_owned())
        } else {
            None
        }
    }

    fn ended(&mut self, peer: &PeerId, serial: Serial) {
        self.running.remove(&serial);
        if self
            .sessions
            .get(peer)
            .is_none_or(|it| it.serial() != serial)
        {
            return;
        }
        self.sessions.remove(peer);
        self.tallies.forget(peer);
        self.snapshot.send_modify(|s| drop(s.peers.remove(peer)));
        self.tidy_up_soon();
    }

    fn handle_report(&mut self, report: Report) {
        match report {
            Report::Send(note) => {
                self.supervisor.send(note);
            }
            Report::Lease(track, codec, reply) => {
                let lease = self.lease(&track, codec);
                let _ = reply.send(lease);
            }
            Report::Stats(peer, stats) => {
                if self.sessions.contains_key(&peer) {
                    if let Some(report) = self.tallies.add(&peer, &stats.network) {
                        let peer = peer.clone();
                        self.supervisor.send(Outgoing::Report { peer, report });
                    }
                    self.snapshot
                        .send_modify(|s| drop(s.peers.insert(peer, *stats)));
                }
            }
            Report::Ended(peer, serial) => self.ended(&peer, serial),
            Report::TidyUp => self.tidy_up(),
            Report::Arrived => self.settle_soon(),
            Report::Settled => self.settle(),
            Report::Format(track) => self.format_changed(&track),
            Report::EncodingFailed(track, codec, error) => {
                self.warn(format!("{}: {error}", track.name()));
                self.tell_all(|| Event::EncodingFailed(track.clone(), codec, error.clone()));
            }
        }
    }

    fn lease(&mut self, track: &Track, codec: Codec) -> Result<Lease, String> {
        let time = self
            .shared
            .house
            .borrow()
            .clone()
            .ok_or("the pipeline is not playing yet")?;
        let settings = self
            .tracks
            .iter()
            .find(|(t, _)| t.is(track))
            .and_then(|(_, settings)| settings.clone());
        let passthrough = matches!(*track.format().borrow(), Some(Format::Encoded(_)));
        let (reports, failed_track) = (self.reports.clone(), track.clone());
        let announcer = self.shared.announcer.clone();
        self.encodings.lease(track, codec, || EncodingSpec {
            track: track.clone(),
            codec,
            passthrough,
            host: self.shared.element.clone(),
            time,
            limits: self.shared.limits,
            settings,
            on_setup: self.on_encoder.clone(),
            on_failed: Arc::new(move |error| {
                let report = Report::EncodingFailed(failed_track.clone(), codec, error);
                let _ = reports.try_send(report);
            }),
            on_warning: Arc::new(move |text| {
                announcer.announce(Announcement::Warning(text));
            }),
            _alive: self.alive.clone(),
        })
    }

    fn add_track(&mut self, track: Track, settings: Option<gst::Structure>) {
        let mut format = track.format();
        let mut house = self.shared.house.clone();
        let (reports, watched) = (self.reports.clone(), track.downgrade());
        self.tracks.push((track, settings));
        let ended = reports.clone();
        let follow = async move {
            if format.wait_for(Option::is_some).await.is_err()
                || reports.send(Report::Arrived).await.is_err()
            {
                return;
            }
            if house.wait_for(Option::is_some).await.is_err() {
                return;
            }
            while let Some(track) = watched.upgrade() {
                if reports.send(Report::Format(track)).await.is_err()
                    || format.changed().await.is_err()
                {
                    return;
                }
            }
        };
        // Ends with the track, or with us.
        runtime::spawn(async move {
            tokio::select! {
                () = ended.closed() => {}
                () = follow => {}
            }
        });
    }

    /// Encoded input keeps its encoding for ever, and a changed one ends what
    /// it was before.
    fn format_changed(&mut self, track: &Track) {
        if !self.tracks.iter().any(|(t, _)| t.is(track)) {
            return;
        }
        let format = *track.format().borrow();
        let codec = match format {
            Some(Format::Encoded(offer)) => Some(offer.codec),
            _ => None,
        };
        self.standing
            .retain(|lease| !lease.track().is(track) || Some(lease.codec()) == codec);
        if format.is_some() {
            self.started();
            self.tell_all(|| Event::TrackChanged(track.clone()));
        }
        if let Some(codec) = codec
            && !self.standing.iter().any(|lease| lease.track().is(track))
            && let Ok(lease) = self.lease(track, codec)
        {
            self.standing.push(lease);
        }
    }

    /// When the last viewer has left, its memory goes back to the system.
    fn tidy_up_soon(&mut self) {
        if !self.sessions.is_empty() || std::mem::replace(&mut self.tidying, true) {
            return;
        }
        let reports = self.reports.clone();
        runtime::spawn(async move {
            tokio::time::sleep(DESERTED).await;
            let _ = reports.send(Report::TidyUp).await;
        });
    }

    fn tidy_up(&mut self) {
        self.tidying = false;
        if self.sessions.is_empty() {
            runtime::detach(crate::memory::give_back);
        }
    }

    /// The first track has caps, and the clock runs: viewers are served.
    fn started(&self) {
        let first =
            |at: &mut Option<Instant>| at.replace(at.unwrap_or_else(Instant::now)).is_none();
        self.shared.started.send_if_modified(first);
    }

    /// The first track has caps; the rest is given a little time.
    fn settle_soon(&mut self) {
        if std::mem::replace(&mut self.settling, true) {
            return;
        }
        let reports = self.reports.clone();
        runtime::spawn(async move {
            tokio::time::sleep(session::STRAGGLERS).await;
            let _ = reports.send(Report::Settled).await;
        });
    }

    /// Pads that nothing flows on hold up neither the pipeline nor viewers.
    fn settle(&self) {
        let silent = |track: &Track| track.format().borrow().is_none();
        for (track, _) in self.tracks.iter().filter(|(track, _)| silent(track)) {
            self.warn(format!(
                "{}: nothing has arrived, not even caps; the stream goes on without it",
                track.name()
            ));
            let track = track.clone();
            runtime::detach(move || track.stop_prerolling());
        }
    }

    fn remove_track(&mut self, track: &Track) {
        self.tracks.retain(|(t, _)| !t.is(track));
        self.standing.retain(|lease| !lease.track().is(track));
        if self
            .tracks
            .iter()
            .all(|(t, _)| t.format().borrow().is_none())
        {
            self.shared.started.send_replace(None);
        }
        self.tell_all(|| Event::TrackGone(track.clone()));
    }

    fn add_data(&mut self, pad: DataTrack) {
        self.tell_all(|| Event::DataAdded(pad.clone()));
        self.pads.push(pad);
    }

    fn remove_data(&mut self, pad: &DataTrack) {
        self.pads.retain(|it| !it.is(pad));
        self.tell_all(|| Event::DataGone(pad.clone()));
    }

    fn tell(&self, peer: &PeerId, event: Event) {
        if let Some(session) = self.sessions.get(peer) {
            session.tell(event);
        }
    }

    fn tell_all(&self, event: impl Fn() -> Event) {
        for session in self.sessions.values() {
            session.tell(event());
        }
    }

    fn warn(&self, text: String) {
        self.shared.announcer.announce(Announcement::Warning(text));
    }

    /// Ends everything, each part with a deadline.
    async fn stop(mut self, mut reports: mpsc::Receiver<Report>) {
        self.tell_all(|| Event::Close(EndReason::Closed("the stream has stopped".into())));
        self.tracks.clear();
        self.standing.clear();
        let ended = async {
            while !self.running.is_empty() {
                match reports.recv().await {
                    Some(report) => self.handle_report(report),
                    None => break,
                }
            }
        };
        let in_time = tokio::time::timeout(STOP_DEADLINE, ended).await.is_ok();
        self.supervisor.close(CLOSE_DEADLINE).await;
        drop(self.alive);
        let freed = tokio::time::timeout(STOP_DEADLINE, self.all_gone.recv())
            .await
            .is_ok();
        if !in_time || !freed {
            let open = self.running.len();
            gst::error!(super::CAT, "{open} sessions did not end in time");
        }
    }
}
