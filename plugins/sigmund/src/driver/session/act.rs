//! Doing what the session has decided.

use std::sync::Arc;
use std::time::Instant;

use sigmund::ladder::{Estimate, Limits};
use sigmund::sdp::{Codec, Identity, Kind, MediaPlan, OfferPlan, SdpError, TrackOffer, own_offer};
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
use crate::webrtcbin::{self, Network, PeerConnection};

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
            Action::StartMedia => self.start_media().await,
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
        self.connect(plan.media, Some(plan.identity), data).await
    }

    /// Offerer: decides what to offer, and builds the connection for it.
    pub(super) async fn prepare_offer(&mut self, tracks: &[TrackOffer]) -> Result<(), Refusal> {
        let data = !self.pads.is_empty();
        let offer = own_offer(tracks, self.info.receives.as_ref(), data).map_err(refusal)?;
        self.connect(offer.media, None, offer.data)
            .await
            .map_err(Refusal::Failed)
    }

    /// Builds the connection and its senders, while the encoders come up.
    async fn connect(
        &mut self,
        media: Vec<MediaPlan>,
        identity: Option<Identity>,
        data: bool,
    ) -> Result<(), String> {
        let mut leases = Vec::new();
        for medium in &media {
            let track = medium.track.and_then(|index| self.tracks.get(index));
            let track = track.ok_or("a plan for no track")?;
            leases.push(self.lease(track.clone(), medium.codec).await?);
        }
        let house = self.shared.house.borrow().clone();
        let time = house.ok_or("the pipeline is not playing")?;
        let network = self.network().await;
        let (shared, peer, report) = (self.shared.clone(), self.peer.clone(), self.report());
        let name = match self.number {
            1 => format!("peer-{peer}"),
            number => format!("peer-{peer}-{number}"),
        };
        let mut links = data.then(|| {
            let news = self.data_news.clone();
            let ring = Arc::new(move || news.notify_one());
            DataLinks::new(&self.peer, self.pads.clone(), ring)
        });
        let built = runtime::blocking(move || {
            let offering = identity.is_none();
            let built = build(&shared, &name, &time, &network, &media, identity, &report)?;
            (shared.on_connection)(&peer, built.0.element());
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
        for (lease, feeder) in leases.into_iter().zip(feeders) {
            lease.serve_keyframes(&feeder);
            let estimate = Estimate::new(self.limits);
            self.media.push(Medium {
                lease,
                feeder,
                estimate,
            });
        }
        Ok(())
    }

    async fn lease(&self, track: Track, codec: Codec) -> Result<Lease, String> {
        let (reply, lease) = oneshot::channel();
        self.tell_host(Report::Lease(track, codec, reply)).await;
        lease
            .await
            .map_err(|_| "the element is stopping".to_owned())?
    }

    async fn start_media(&mut self) {
        let now = Instant::now();
        self.connected = Some(now);
        self.recovery.handle_connected();
        self.open_channels = self.data.is_some().then(|| now + ITS_CHANNELS);
        if let Some(connection) = self.connection.clone() {
            runtime::blocking(move || connection.tell_latency()).await;
        }
        for medium in &self.media {
            medium.lease.join(&medium.feeder);
            if self.info.max_bitrate.is_some() && medium.lease.codec().kind() == Kind::Video {
                let bitrate = medium.estimate.bitrate();
                medium.lease.estimate(&medium.feeder, bitrate);
            }
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
fn limits(ours: Limits, info: &PeerInfo, leases: &[Lease]) -> Limits {
    let Some(most) = info.max_bitrate else {
        return ours;
    };
    let sounds = leases.iter().filter(|it| it.codec().kind() == Kind::Audio);
    let sound = u64::from(SOUND) * sounds.count() as u64;
    let most = u32::try_from(most.saturating_sub(sound)).unwrap_or(u32::MAX);
    ours.at_most(most)
}

/// What a medium of sound takes, in bit/s, as our encoder makes it.
const SOUND: u32 = 96_000;

/// On the pool: builds the connection and its senders.
fn build(
    shared: &Shared,
    name: &str,
    time: &HouseTime,
    network: &Network,
    media: &[MediaPlan],
    identity: Option<Identity>,
    report: &webrtcbin::Report,
) -> Result<(PeerConnection, Vec<Feeder>), String> {
    let host = shared.element.upgrade().ok_or("the element is gone")?;
    let offering = identity.is_none();
    let mut connection = PeerConnection::build(name, &host, time, network, identity, report)?;
    let feeders = media
        .iter()
        .enumerate()
        .map(|(index, plan)| connection.add_sender(index, plan, offering))
        .collect::<Result<Vec<_>, _>>();
    match feeders {
        Ok(feeders) => Ok((connection, feeders)),
        Err(error) => {
            connection.stop(&host);
            Err(error)
        }
    }
}

fn refusal(error: SdpError) -> Refusal {
    match error {
        SdpError::Malformed(text) => Refusal::Malformed(text),
        SdpError::Incompatible(text) => Refusal::Incompatible(text),
    }
}

/// For the log: without what it carries, which may be secret or long.
pub(super) fn name(action: &Action) -> &'static str {
    match action {
        Action::Prepare(_) => "prepare",
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
