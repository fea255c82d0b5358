//! The data channels of one session: owned by its task, worked on in the pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sigmund::data::{Budget, FarSide, Frame, Kind, MAX_PIECE, find_channel};
use sigmund::message::PeerId;

use super::super::CAT;
use super::super::announce::Announcement;
use super::Task;
use crate::data::{DataTrack, IncomingChannels, Lane, Next, Outbox, Outgoing};
use crate::runtime;
use crate::webrtcbin::{Accept, Arrivals, Channel, ChannelState, PeerConnection};

impl Task {
    /// Works on the data channels, on the pool.
    async fn with_data<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut DataLinks) -> T + Send + 'static,
    ) -> Option<T> {
        let mut data = self.data.take()?;
        let worked = runtime::blocking(move || {
            let result = work(&mut data);
            (data, result)
        });
        let (data, result) = worked.await?;
        self.data = Some(data);
        Some(result)
    }

    /// Something is to be done for a channel.
    pub(super) async fn pump(&mut self) {
        let troubles = self.with_data(DataLinks::pump).await;
        self.tell_troubles(troubles);
    }

    /// The far side has had its time: opens the channels that it has not.
    pub(super) async fn open_channels(&mut self) {
        self.open_channels = None;
        let Some(connection) = self.connection.clone() else {
            return;
        };
        let opened = self.with_data(move |data| {
            // Those that it has opened meanwhile first.
            let troubles = data.pump();
            data.open_missing(&connection);
            troubles
        });
        let troubles = opened.await;
        self.tell_troubles(troubles);
    }

    fn tell_troubles(&self, troubles: Option<Vec<Trouble>>) {
        for trouble in troubles.unwrap_or_default() {
            match trouble {
                Trouble::Unwanted => gst::info!(
                    CAT,
                    "{} opened a data channel for which there is no pad; it is closed",
                    self.peer
                ),
                Trouble::Closed(text) => {
                    let warning = Announcement::Warning(text);
                    self.shared.announcer.announce(warning);
                }
            }
        }
    }

    /// Are data channels wanted?
    pub(super) fn takes_data(&self) -> bool {
        !self.pads.is_empty() || self.channels().is_some()
    }

    /// Where channels go that the far side opens and no pad has.
    pub(super) fn channels(&self) -> Option<Arc<IncomingChannels>> {
        self.shared.reception.as_ref()?.channels.clone()
    }

    /// A data pad was added; a peer that has channels gets that one, too.
    pub(super) async fn add_pad(&mut self, pad: DataTrack) {
        self.pads.push(pad.clone());
        let connected = self.connected.is_some();
        if let Some(connection) = self.connection.clone() {
            self.with_data(move |data| data.add(&connection, pad, connected))
                .await;
        }
    }

    /// Lets go of all channels: to be done before the connection is freed.
    pub(super) async fn close_channels(&mut self) {
        self.open_channels = None;
        if let Some(data) = self.data.take() {
            runtime::blocking(move || data.close()).await;
        }
    }

    /// A data pad was removed.
    pub(super) async fn remove_pad(&mut self, pad: DataTrack) {
        self.pads.retain(|it| !it.is(&pad));
        self.with_data(move |data| data.remove(&pad)).await;
    }
}

/// Channels that one peer may open.
const MAX_CHANNELS: usize = 32;

/// Messages that are sent in one go, before others have their turn.
const TURN: usize = 256;

/// Wakes the session's task; never waits.
pub(super) type Ring = Arc<dyn Fn() + Send + Sync>;

/// All channels of one peer.
pub(super) struct DataLinks {
    peer: PeerId,
    tracks: Vec<DataTrack>,
    /// Where other channels that the far side opens go.
    channels: Option<Arc<IncomingChannels>>,
    /// Holds an m-line open on which we have no channel.
    holder: Option<Channel>,
    far: Arc<OnceLock<FarSide>>,
    links: Vec<Link>,
    arrivals: Option<Arc<Arrivals>>,
    ring: Ring,
}

/// One channel.
struct Link {
    track: DataTrack,
    channel: Channel,
    lane: Arc<Lane>,
    is_open: bool,
    /// Where messages are credited.
    budget: Budget,
    /// The far side is to say when it has read all.
    has_asked: bool,
    /// The caps that the far side was told last.
    told: Option<Arc<str>>,
    /// There if it is the channel that its track sends on to this peer.
    outbox: Option<Arc<Outbox>>,
}

/// What the user is to be told.
enum Trouble {
    /// The far side opened a channel that nobody wants.
    Unwanted,
    /// A channel was closed, because.
    Closed(String),
}

impl DataLinks {
    pub(super) fn new(
        peer: &PeerId,
        tracks: Vec<DataTrack>,
        channels: Option<Arc<IncomingChannels>>,
        ring: Ring,
    ) -> Self {
        Self {
            peer: peer.clone(),
            tracks,
            channels,
            holder: None,
            far: Arc::default(),
            links: Vec::new(),
            arrivals: None,
            ring,
        }
    }

    /// What the far side takes: known before the first channel can open.
    pub(super) fn know(&self, far: FarSide) {
        let _ = self.far.set(far);
    }

    /// Prepares the connection, before anything is negotiated. Where we offer,
    /// the channels must be in the offer; those that are agreed on must be
    /// there either way.
    pub(super) fn prepare(&mut self, connection: &PeerConnection, offering: bool) {
        let arrivals = Arrivals::new(self.accept(), {
            let ring = self.ring.clone();
            Box::new(move || ring())
        });
        connection.accept_channels(&arrivals);
        self.arrivals = Some(arrivals);
        self.open(connection, |channel| offering || channel.negotiated);
        if offering && self.links.is_empty() {
            self.holder = connection.hold_channels().ok();
        }
    }

    /// Opens the channels that the far side has not opened by itself.
    fn open_missing(&mut self, connection: &PeerConnection) {
        self.open(connection, |channel| !channel.negotiated);
    }

    /// A pad was added.
    fn add(&mut self, connection: &PeerConnection, track: DataTrack, connected: bool) {
        self.tracks.push(track);
        if connected {
            self.open_missing(connection);
        }
    }

    /// A pad was removed.
    fn remove(&mut self, track: &DataTrack) {
        self.tracks.retain(|it| !it.is(track));
        let (gone, kept) = std::mem::take(&mut self.links)
            .into_iter()
            .partition(|link| link.track.is(track));
        self.links = kept;
        for link in gone {
            link.close();
        }
    }

    fn open(
        &mut self,
        connection: &PeerConnection,
        wanted: impl Fn(&sigmund::data::Channel) -> bool,
    ) {
        // The far side opens its own, unless they are agreed on.
        let incoming = self.channels.iter().flat_map(|it| it.tracks());
        let agreed = incoming.filter(|it| it.settings().0.negotiated);
        let tracks: Vec<_> = self.tracks.iter().cloned().chain(agreed).collect();
        for track in &tracks {
            let (settings, _) = track.settings();
            let there = self.links.iter().any(|link| link.track.is(track));
            if there || !wanted(&settings) || settings.check().is_err() {
                continue;
            }
            let label = track.label();
            let reliable = settings.is_reliable();
            let ring = self.ring.clone();
            let Some(lane) = track.lane(&self.peer, &label, reliable, &self.far, ring) else {
                continue;
            };
            match connection.open_channel(&label, &settings, lane.clone()) {
                Ok(channel) => self.links.push(Link::new(track.clone(), channel, lane)),
                Err(error) => gst::warning!(CAT, "{}: {error}", self.peer),
            }
        }
    }

    /// Decides about channels of the far side, from what the pads are now.
    fn accept(&self) -> Accept {
        let pads: Vec<_> = self
            .tracks
            .iter()
            .map(|track| (track.clone(), track.settings().0))
            .collect();
        let channels = self.channels.clone();
        let (peer, far, ring) = (self.peer.clone(), self.far.clone(), self.ring.clone());
        let count = AtomicUsize::new(0);
        Box::new(move |label, reliable| {
            let named = pads.iter().map(|(track, channel)| (track.name(), channel));
            let track = match find_channel(named, label) {
                Some(index) => pads[index].0.clone(),
                None => channels.as_ref()?.take(label)?,
            };
            if count.fetch_add(1, Ordering::Relaxed) >= MAX_CHANNELS {
                return None;
            }
            track.lane(&peer, label, reliable, &far, ring.clone())
        })
    }

    /// Sends what waits and can be sent, and follows what has happened. Blocks.
    fn pump(&mut self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let arrived = self.arrivals.as_ref().map(|it| it.take());
        for arrival in arrived.into_iter().flatten() {
            let track = arrival.lane.as_ref().and_then(|lane| self.track_of(lane));
            match (arrival.lane.clone(), track) {
                (Some(lane), Some(track)) => {
                    self.links.push(Link::new(track, arrival.channel, lane));
                }
                _ => {
                    arrival.channel.close();
                    troubles.push(Trouble::Unwanted);
                }
            }
        }
        let Some(far) = self.far.get().copied() else {
            return troubles;
        };
        for index in 0..self.links.len() {
            self.settle(index, far);
        }
        let mut again = false;
        self.links.retain_mut(|link| match link.pump(far) {
            Ok(more) => {
                again |= more;
                true
            }
            Err(why) => {
                troubles.extend(why.map(Trouble::Closed));
                link.close();
                false
            }
        });
        if again {
            (self.ring)();
        }
        troubles
    }

    /// The track that a lane was given by.
    fn track_of(&self, lane: &Lane) -> Option<DataTrack> {
        let incoming = self.channels.iter().flat_map(|it| it.tracks());
        let mut all = self.tracks.iter().cloned().chain(incoming);
        all.find(|track| track.name() == lane.pad())
    }

    /// A channel that has opened is read; the first one of its track is the
    /// one that it sends on.
    fn settle(&mut self, index: usize, far: FarSide) {
        let link = &self.links[index];
        if link.is_open || link.channel.state() != ChannelState::Open {
            return;
        }
        let sends = |it: &Link| it.outbox.is_some() && it.track.is(&link.track);
        // Of what comes in pieces, some might be lost.
        let far = match link.lane.is_reliable() {
            true => far,
            false => FarSide {
                max_message: far.max_message.min(MAX_PIECE),
                ..far
            },
        };
        let outbox = match self.links.iter().any(sends) {
            true => None,
            false => Some(link.track.join(&self.peer, far, self.ring.clone())),
        };
        let link = &mut self.links[index];
        link.lane.enter();
        link.is_open = true;
        link.outbox = outbox;
    }

    /// Drops all channels: to be done before the connection stops.
    fn close(mut self) {
        for link in self.links.drain(..) {
            link.detach();
        }
        self.holder = None;
        if let Some(arrivals) = self.arrivals.take() {
            arrivals.close();
        }
    }
}

impl Link {
    fn new(track: DataTrack, channel: Channel, lane: Arc<Lane>) -> Self {
        Self {
            track,
            channel,
            lane,
            is_open: false,
            budget: Budget::default(),
            has_asked: false,
            told: None,
            outbox: None,
        }
    }

    fn detach(&self) {
        self.lane.close();
        if let Some(outbox) = &self.outbox {
            self.track.leave(outbox);
        }
    }

    fn close(&self) {
        self.detach();
        self.channel.close();
    }

    /// Is there more to do that nobody will ring for? An error: the channel is
    /// over, with what to say about it.
    fn pump(&mut self, far: FarSide) -> Result<bool, Option<String>> {
        let lane = self.lane.clone();
        let told = |why: &str| {
            let (label, peer) = (lane.label(), lane.peer());
            Some(format!(
                "the data channel {label:?} of peer {peer} is closed: {why}"
            ))
        };
        if let Some(fault) = self.lane.fault() {
            return Err(told(&fault));
        }
        match self.channel.state() {
            ChannelState::Opening => return Ok(false),
            ChannelState::Over => return Err(None),
            ChannelState::Open => (),
        }
        if let Some(granted) = self.lane.take_granted() {
            self.budget.grant(granted).map_err(told)?;
        }
        if let Some(grant) = self.lane.take_grant() {
            let frame = glib::Bytes::from_owned(Frame::Credit(grant).write());
            self.channel
                .send(Kind::Binary, &frame)
                .map_err(|e| told(&e))?;
        }
        let Some(outbox) = self.outbox.clone() else {
            return Ok(false);
        };
        let mut room = 0;
        for _ in 0..TURN {
            if outbox.is_empty() {
                return Ok(false);
            }
            // What has been handed over meanwhile makes room, nothing else changes it.
            if room == 0 {
                room = self.channel.room();
            }
            if room == 0 {
                return Ok(false);
            }
            let credited = self.lane.is_credited();
            let budget = &mut self.budget;
            let next = outbox.next(|it| !credited || budget.take(it.framed()));
            match next {
                None => return Ok(false),
                Some(Next::Message(message)) => {
                    let sent = self.send(&message, far).map_err(|e| told(&e))?;
                    room = room.saturating_sub(sent);
                }
                Some(Next::Finish) => {
                    if !self.is_done().map_err(|e| told(&e))? {
                        return Ok(false);
                    }
                    outbox.reach();
                }
            }
        }
        Ok(true)
    }

    /// Has all been handed over, and read where that is known?
    fn is_done(&mut self) -> Result<bool, String> {
        if !self.lane.is_credited() {
            return Ok(self.channel.is_drained());
        }
        if !self.budget.is_read() && !std::mem::replace(&mut self.has_asked, true) {
            let frame = glib::Bytes::from_owned(Frame::Finish.write());
            self.channel.send(Kind::Binary, &frame)?;
        }
        let done = self.budget.is_read();
        self.has_asked &= !done;
        Ok(done)
    }

    /// How many bytes that was on the wire.
    fn send(&mut self, message: &Outgoing, far: FarSide) -> Result<u64, String> {
        if !far.framed {
            self.channel.send(message.kind, &message.bytes)?;
            return Ok(message.bytes.len() as u64);
        }
        // They hold for what comes after them: so it must come after them.
        if self.told != message.caps && self.lane.is_credited() && self.channel.is_ordered() {
            let text = message.caps.as_deref().unwrap_or_default();
            let frame = glib::Bytes::from_owned(Frame::Caps(text.as_bytes()).write());
            self.channel.send(Kind::Binary, &frame)?;
            self.told.clone_from(&message.caps);
        }
        let frame = Frame::Message {
            kind: message.kind,
            time: message.time,
            bytes: &message.bytes,
        };
        let frame = glib::Bytes::from_owned(frame.write());
        self.channel.send(Kind::Binary, &frame)?;
        Ok(frame.len() as u64)
    }
}
