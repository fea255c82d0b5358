//! Doing what the session has decided.

use std::sync::Arc;
use std::time::Instant;

use sigmund::ladder::{Estimate, Limits};
use sigmund::message::PeerId;
use sigmund::sdp::{
    Codec, Identity, Kind, MediaPlan, OfferPlan, SdpError, TrackOffer, own_offer, receive_offer,
};
use sigmund::session::{Action, ConnectionEvent, EndReason, Session};
use sigmund::signaller::{Outgoing, PeerInfo, Refusal};
use tokio::sync::oneshot;

use super::super::announce::Announcement;
use super::super::host::{Report, Shared};
use super::data::DataLinks;
use super::{ITS_CHANNELS, Medium, Task};
use crate::isolate::HouseTime;
use crate::media::{Feeder, Lease, Track};
use crate::runtime;
use crate::webrtcbin::{self, Network, PeerConnection, Receiving};

impl Task {
    /// Does what the session has decided. `Some` ends it.
    pub(super) async fn act(&mut self, session: &mut Session, action: Action) -> Option<EndReason> {
        match action {
            Action::Prepare(plan) => {
                let result = self
                    .prepare(*plan)
                    .await
                    .map(|()| ConnectionEvent::Prepared);
                self.feed(session, result);
            }
            Action::Adapt(lines) => {
                let result = self.adapt(session, lines).await;
                self.feed(session, result.map(|()| ConnectionEvent::Prepared));
            }
            Action::Rewire => self.rewire(session).await,
            Action::SetRemote { offer, sdp } => {
                let result = match &self.connection {
                    Some(connection) => {
                        if let Some(identity) = session.identity() {
                            connection.expect_identity(identity.clone());
                        }
                        if let (Some(data), Some(far)) = (&self.data, session.data()) {
                            data.know(far);
                        }
                        connection.set_remote(offer, &sdp).await
                    }
                    None => Err("no connection".into()),
                };
                self.feed(session, result.map(|()| ConnectionEvent::RemoteSet));
            }
            Action::CreateOffer | Action::CreateAnswer => {
                let offer = action == Action::CreateOffer;
                let result = match &self.connection {
                    Some(connection) => connection.create(offer).await,
                    None => Err("no connection".into()),
                };
                self.feed(session, result.map(ConnectionEvent::Created));
            }
            Action::SetLocal { offer, sdp } => {
                let result = match &self.connection {
                    Some(connection) => {
                        connection.watch_transport(&self.report());
                        connection.set_local(offer, &sdp).await
                    }
                    None => Err("no connection".into()),
                };
                self.feed(session, result.map(|()| ConnectionEvent::LocalSet));
            }
            Action::AddCandidate(candidate) => {
                if let Some(connection) = self.connection.clone() {
                    runtime::blocking(move || connection.add_candidate(&candidate)).await;
                }
            }
            Action::AddRelays => self.add_relays().await,
            Action::Send(message) => self.tell_peer(message).await,
            Action::Refuse(error) => self.refuse(refusal(error)).await,
            Action::StartMedia => self.start_media(session).await,
            Action::End(reason) => return Some(reason),
        }
        None
    }

    fn feed(&self, session: &mut Session, result: Result<ConnectionEvent, String>) {
        let event = result.unwrap_or_else(ConnectionEvent::Failed);
        session.handle_connection(Instant::now(), event);
    }

    /// Answerer: builds the connection for the plan.
    async fn prepare(&mut self, plan: OfferPlan) -> Result<(), String> {
        let data = plan.data.is_some();
        let media = match self.shared.call {
            true => plan.lines(),
            false => numbered(plan.media),
        };
        self.connect(media, Some(plan.identity), data).await
    }

    /// Offerer: decides what to offer, and builds the connection for it.
    pub(super) async fn prepare_offer(&mut self, tracks: &[TrackOffer]) -> Result<(), Refusal> {
        if self.shared.reception.is_some() {
            let media = receive_offer(&self.receives());
            let data = self.takes_data();
            let built = self.connect(numbered(media), None, data).await;
            return built.map_err(Refusal::Failed);
        }
        let data = !self.pads.is_empty();
        let offer = own_offer(tracks, self.info.receives.as_ref(), data).map_err(refusal)?;
        self.connect(numbered(offer.media), None, offer.data)
            .await
            .map_err(Refusal::Failed)
    }

    /// Builds the connection and its senders, while the encoders come up.
    pub(super) async fn connect(
        &mut self,
        media: Vec<(usize, MediaPlan)>,
        identity: Option<Identity>,
        data: bool,
    ) -> Result<(), String> {
        let mut leases = Vec::new();
        for (mline, medium) in &media {
            let Some(index) = medium.track else { continue };
            let track = self.tracks.get(index).ok_or("a plan for no track")?;
            leases.push((*mline, self.lease(track.clone(), medium.codec).await?));
        }
        let house = self.shared.house.borrow().clone();
        let time = house.ok_or("the pipeline is not playing")?;
        let spec = Spec {
            shared: self.shared.clone(),
            peer: self.peer.clone(),
            name: format!("peer-{}-{}.{}", self.peer, self.serial, self.number),
            time,
            network: self.network().await,
            receiving: self.receiving(),
            report: self.report(),
        };
        let mut links = data.then(|| {
            let news = self.data_news.clone();
            let ring = Arc::new(move || news.notify_one());
            DataLinks::new(&self.peer, self.pads.clone(), self.channels(), ring)
        });
        let built = runtime::blocking(move || {
            let offering = identity.is_none();
            let built = build(&spec, &media, identity)?;
            (spec.shared.on_connection)(&spec.peer, built.0.element());
            if let Some(links) = &mut links {
                links.prepare(&built.0, offering);
            }
            Ok::<_, String>((built, links))
        });
        let built = built.await.ok_or("building the connection failed")??;
        let ((connection, feeders), links) = built;
        self.connection = Some(Arc::new(connection));
        self.data = links;
        self.limits = limits(self.shared.limits, &self.info, &leases);
        let mut leases = leases.into_iter().peekable();
        for (mline, codec, feeder) in feeders {
            match leases.next_if(|(of, _)| *of == mline) {
                Some((_, lease)) => self.assign(mline, lease, feeder),
                None => self.call.keep(mline, codec, feeder),
            }
        }
        Ok(())
    }

    /// From now on, `feeder` is for what `lease` gives; it does not flow yet.
    pub(super) fn assign(&mut self, mline: usize, lease: Lease, feeder: Feeder) {
        lease.serve_keyframes(&feeder);
        self.media.push(Medium {
            mline,
            flows: false,
            lease,
            feeder,
            estimate: Estimate::new(self.limits),
        });
    }

    pub(super) async fn lease(&self, track: Track, codec: Codec) -> Result<Lease, String> {
        let (reply, lease) = oneshot::channel();
        self.tell_host(Report::Lease(track, codec, reply)).await;
        lease
            .await
            .map_err(|_| "the element is stopping".to_owned())?
    }

    async fn start_media(&mut self, session: &mut Session) {
        let now = Instant::now();
        self.connected = Some(now);
        self.recovery.handle_connected();
        self.open_channels = self.data.is_some().then(|| now + ITS_CHANNELS);
        if let Some(connection) = self.connection.clone() {
            runtime::blocking(move || connection.tell_latency()).await;
        }
        if self.shared.call {
            self.rewire(session).await;
        } else {
            for medium in &mut self.media {
                medium.flow(&self.info);
            }
            self.listen(session).await;
        }
        if self.joined.is_none() {
            self.joined = Some(now);
            let added = Announcement::PeerAdded(self.peer.clone(), self.info.clone());
            self.shared.announcer.announce(added);
        }
    }

    /// Turns the peer away: its session never began.
    pub(super) async fn refuse(&self, refusal: Refusal) {
        let peer = self.peer.clone();
        self.send(Outgoing::Refuse { peer, refusal }).await;
    }
}

/// Of the video of a peer, of whose token sound has its part.
fn limits(ours: Limits, info: &PeerInfo, leases: &[(usize, Lease)]) -> Limits {
    let Some(most) = info.max_bitrate else {
        return ours;
    };
    let sounds = leases
        .iter()
        .filter(|(_, it)| it.codec().kind() == Kind::Audio);
    let sound = u64::from(SOUND) * sounds.count() as u64;
    let most = u32::try_from(most.saturating_sub(sound)).unwrap_or(u32::MAX);
    ours.at_most(most)
}

/// What a medium of sound takes, in bit/s, as our encoder makes it.
const SOUND: u32 = 96_000;

/// What a connection is made of.
struct Spec {
    shared: Arc<Shared>,
    peer: PeerId,
    /// Of its bin; no two have the same.
    name: String,
    time: HouseTime,
    network: Network,
    receiving: Option<Receiving>,
    report: webrtcbin::Report,
}

/// The way into an m-line: which one, in which codec.
type Way = (usize, Codec, Feeder);

/// Of which each m-line has the next index.
fn numbered(media: Vec<MediaPlan>) -> Vec<(usize, MediaPlan)> {
    let (mut index, mut before) = (0, None);
    let number = |plan: MediaPlan| {
        let next = before
            .replace(plan.mline)
            .is_some_and(|it| it != plan.mline);
        index += usize::from(next);
        (index, plan)
    };
    media.into_iter().map(number).collect()
}

/// On the pool: builds the connection, its senders and its receivers.
fn build(
    spec: &Spec,
    media: &[(usize, MediaPlan)],
    identity: Option<Identity>,
) -> Result<(PeerConnection, Vec<Way>), String> {
    let host = spec.shared.element.upgrade().ok_or("the element is gone")?;
    let offering = identity.is_none();
    let mut connection = PeerConnection::build(
        &spec.name,
        &host,
        &spec.time,
        &spec.network,
        identity,
        spec.receiving.as_ref(),
        &spec.report,
    )?;
    match add_media(&mut connection, media, offering) {
        Ok(feeders) => Ok((connection, feeders)),
        Err(error) => {
            connection.stop(&host);
            Err(error)
        }
    }
}

/// An m-line each; one that only receives may have several plans, a codec each.
fn add_media(
    connection: &mut PeerConnection,
    media: &[(usize, MediaPlan)],
    offering: bool,
) -> Result<Vec<Way>, String> {
    let mut feeders = Vec::new();
    for plans in media.chunk_by(|(a, _), (b, _)| a == b) {
        match plans {
            [(index, plan)] if plan.call || plan.track.is_some() => {
                let feeder = connection.add_sender(*index, plan, offering)?;
                feeders.push((*index, plan.codec, feeder));
            }
            plans => {
                let plans: Vec<_> = plans.iter().map(|(_, plan)| plan.clone()).collect();
                connection.add_receiver(&plans, offering)?;
            }
        }
    }
    Ok(feeders)
}

pub(super) fn refusal(error: SdpError) -> Refusal {
    match error {
        SdpError::Malformed(text) => Refusal::Malformed(text),
        SdpError::Incompatible(text) => Refusal::Incompatible(text),
    }
}

/// For the log: without what it carries, which may be secret or long.
pub(super) fn name(action: &Action) -> &'static str {
    match action {
        Action::Prepare(_) => "prepare",
        Action::Adapt(_) => "adapt",
        Action::Rewire => "rewire",
        Action::SetRemote { .. } => "set remote description",
        Action::CreateOffer => "create offer",
        Action::CreateAnswer => "create answer",
        Action::SetLocal { .. } => "set local description",
        Action::AddCandidate(_) => "add candidate",
        Action::AddRelays => "add relays",
        Action::Send(_) => "send",
        Action::Refuse(_) => "refuse",
        Action::StartMedia => "start media",
        Action::End(_) => "end",
    }
}
