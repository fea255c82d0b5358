//! Who is let in, as what.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::failure;
use super::resume::{Client, Kept, secret};
use crate::access::{Action, Grant, Rights};
use crate::address::encode_part;
use crate::message::v1::{self, Code, Failure, Hello, Role, Secret, Standing, Welcome};
use crate::message::{PeerId, VERSION};
use crate::server::hub::{JoinError, Kind, Publication, PublishError, Publisher};
use crate::server::mark::Mark;
use crate::server::routes::App;
use crate::server::rules::unix_time;
use crate::signaller::{PeerInfo, envelope};

/// How long a viewer that comes back waits for its publisher to do the same.
/// Clients give us ten seconds.
const RETURN: Duration = Duration::from_secs(5);

/// How often other servers are asked for a viewer that comes back.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// How long a host that comes from another server waits until that has let go of
/// its stream.
const LET_GO: Duration = Duration::from_secs(2);

/// A session that a publisher brings back has so many times the usual for its
/// viewer to follow: it may have been without a server for long.
const FOLLOW: u32 = 2;

/// Who opens a connection, as its request says.
pub(in crate::server) struct Caller {
    pub(in crate::server) address: IpAddr,
    /// What it calls us.
    pub(in crate::server) host: Option<String>,
    pub(in crate::server) agent: Option<String>,
}

/// Lets a client in, anew or again.
pub(super) async fn admit(
    app: &App,
    hello: Hello,
    caller: Caller,
    stop: &watch::Receiver<()>,
) -> Result<(Kept, Welcome), Failure> {
    let grant = authorise(app, &hello)?;
    if hello.role == Role::Publish && !app.remote_publishers {
        let text = "this server belongs to one program and takes no publishers from elsewhere; \
                    run `sigmund serve` for that";
        return Err(failure(Code::Unsupported, text, false));
    }
    if let Some(mut kept) = resumed(app, &hello).await? {
        if let (Client::Viewer(seat), true) =
            (&mut kept.client, hello.wait && hello.role == Role::View)
        {
            let info = info(&hello, &caller, &kept.resume, &grant);
            seat.waits = true;
            seat.voice.wait(info);
        }
        let mut welcome = welcome(app, &kept, &caller);
        if let Client::Publisher(publication, _) = &kept.client {
            welcome.sessions = Some(publication.peers());
        }
        return Ok((kept, welcome));
    }
    let resume = secret().ok_or_else(no_random)?;
    let client = match hello.role {
        Role::View => sit_down(app, Kind::Publish, hello, &caller, &resume, &grant)?,
        Role::Publish => host(app, Kind::Publish, &hello, &caller, stop).await?,
        Role::Call if app.remote_publishers && !app.hub.is_hosted(&hello.stream) => {
            host(app, Kind::Call, &hello, &caller, stop).await?
        }
        Role::Call if hello.host => return Err(taken()),
        Role::Call => sit_down(app, Kind::Call, hello, &caller, &resume, &grant)?,
    };
    let kept = app.slots.keep(client, resume).ok_or_else(no_random)?;
    let welcome = welcome(app, &kept, &caller);
    Ok((kept, welcome))
}

/// What the last of these rights comes with.
fn authorise(app: &App, hello: &Hello) -> Result<Grant, Failure> {
    let actions: &[_] = match hello.role {
        Role::View => &[Action::View],
        Role::Publish => &[Action::Publish],
        Role::Call => &[Action::Publish, Action::View],
    };
    let token = hello.token.as_ref().map(Secret::reveal);
    let mut grant = Grant::everywhere(Rights::default());
    for action in actions {
        let checked = app.check(token, *action, Some(&hello.stream));
        grant = checked.map_err(|denied| failure(Code::Unauthorized, denied.to_string(), false))?;
    }
    Ok(grant)
}

/// What the client had, if it asks for it. A host that is too late, or whose
/// server has begun anew, begins anew, too.
async fn resumed(app: &App, hello: &Hello) -> Result<Option<Kept>, Failure> {
    let Some(resume) = &hello.resume else {
        return Ok(None);
    };
    let begins_anew = hello.role == Role::Publish || hello.host;
    let kept = if begins_anew {
        app.slots.reclaim(resume).await
    } else {
        reclaimed(app, hello, resume).await
    };
    let kept = kept.filter(|kept| kept.is(hello.role, &hello.stream));
    if kept.is_none() && !begins_anew {
        let text =
            "the session is no longer known here; say hello without `resume` to begin another";
        return Err(failure(Code::Gone, text, true));
    }
    Ok(kept)
}

/// What a guest had. A server that has begun anew knows that only when the
/// host is back too; and another server may know it.
async fn reclaimed(app: &App, hello: &Hello, resume: &Secret) -> Option<Kept> {
    let stream = hello.stream.as_str();
    let mut deadline = Instant::now() + RETURN;
    let is_here = app.hub.ice_servers(stream).is_some();
    if is_here && app.elsewhere.is_none() {
        let grace = app.rules().limits.resume_timeout * FOLLOW;
        deadline = deadline.min(app.began + grace);
    }
    let mut additions = app.slots.additions();
    loop {
        if let Some(kept) = app.slots.reclaim(resume).await {
            return Some(kept);
        }
        if let Some(kept) = from_elsewhere(app, hello, resume).await {
            return Some(kept);
        }
        let wait = match app.elsewhere {
            Some(_) => deadline.min(Instant::now() + ASK_AGAIN),
            None => deadline,
        };
        match timeout_at(wait, additions.changed()).await {
            Ok(changed) => changed.ok()?,
            Err(_) if Instant::now() >= deadline => return None,
            Err(_) => {}
        }
    }
}

/// The same for one that another server has known.
async fn from_elsewhere(app: &App, hello: &Hello, resume: &Secret) -> Option<Kept> {
    let mark = Mark::of_connection(resume.reveal());
    let there = app.elsewhere.as_ref()?;
    let peer = there.claim(&hello.stream, mark, false).await?;
    let kind = match hello.role {
        Role::Call => Kind::Call,
        Role::View | Role::Publish => Kind::Publish,
    };
    let seat = app.hub.sit_again(&hello.stream, kind, &peer, mark)?;
    app.slots.keep(Client::Viewer(seat), resume.clone())
}

/// Keeps the places of those whose sessions a host still has.
fn take_back(
    app: &App,
    publication: &Publication,
    sessions: &[Standing],
    stop: &watch::Receiver<()>,
) {
    let grace = app.rules().limits.resume_timeout * FOLLOW;
    for Standing { peer, mark } in sessions {
        let Some(mark) = Mark::parse(mark) else {
            continue;
        };
        let seat = app
            .hub
            .sit_again(publication.name(), publication.kind(), peer, mark);
        let kept = seat.and_then(|seat| app.slots.keep_marked(Client::Viewer(seat), mark));
        if let Some(kept) = kept {
            tokio::spawn(kept.park(grace, stop.clone()));
        }
    }
}

/// What is told of a guest.
fn info(hello: &Hello, caller: &Caller, resume: &Secret, grant: &Grant) -> PeerInfo {
    let agent = hello.agent.as_deref().or(caller.agent.as_deref());
    PeerInfo {
        protocol: "v1".to_owned(),
        address: Some(caller.address),
        agent: agent.map(v1::agent),
        receives: hello.receives.clone(),
        channel: Some(envelope::CHANNEL),
        mark: Some(Mark::of_connection(resume.reveal()).text()),
        again: true,
        ..PeerInfo::default()
    }
    .within(grant)
}

fn sit_down(
    app: &App,
    kind: Kind,
    hello: Hello,
    caller: &Caller,
    resume: &Secret,
    grant: &Grant,
) -> Result<Client, Failure> {
    let waits = hello.wait && kind == Kind::Publish;
    let info = info(&hello, caller, resume, grant);
    let seat = app.hub.sit_down(&hello.stream, kind, info, waits);
    seat.map(Client::Viewer).map_err(|error| match error {
        JoinError::Unknown => failure(
            Code::NotFound,
            "there is no stream of that name (now); GET /streams lists those there are",
            true,
        ),
        JoinError::Other(kind) => other_kind(kind),
        JoinError::Taken => failure(Code::Taken, "somebody else has that place", true),
        JoinError::NotLive => failure(Code::Busy, "the stream is not live now", true),
        JoinError::Full => failure(
            Code::Busy,
            "the publisher of the stream has too much to do",
            true,
        ),
        JoinError::TooMany => failure(
            Code::TooMany,
            "your address has too many sessions; end some",
            true,
        ),
        JoinError::TooOften(wait) => failure(
            Code::TooMany,
            format!("your address joins too often; wait {wait:.1?}"),
            true,
        ),
        JoinError::NoRandom => no_random(),
    })
}

fn other_kind(kind: Kind) -> Failure {
    let text = match kind {
        Kind::Publish => "that stream is sent, and no call; join it as viewer",
        Kind::Receive => "that stream is received; send it by WHIP, to /whip/STREAM",
        Kind::Call => "that is a call; join it with the role \"call\"",
    };
    failure(Code::NotFound, text, true)
}

async fn host(
    app: &App,
    kind: Kind,
    hello: &Hello,
    caller: &Caller,
    stop: &watch::Receiver<()>,
) -> Result<Client, Failure> {
    let publish = || {
        let publisher = Publisher::Remote(caller.address);
        let (stream, sessions) = (&hello.stream, &hello.sessions);
        app.hub
            .publish_again(stream, kind, &[], publisher, sessions)
    };
    let mut published = publish();
    if matches!(published, Err(PublishError::Taken)) && is_let_go(app, hello).await {
        let until = Instant::now() + LET_GO;
        while matches!(published, Err(PublishError::Taken)) && Instant::now() < until {
            sleep(LET_GO / 40).await;
            published = publish();
        }
    }
    let (publication, incoming) = published.map_err(|error| match error {
        PublishError::Taken => taken(),
        PublishError::TooMany => failure(
            Code::TooMany,
            "there are as many streams as there may be",
            true,
        ),
    })?;
    take_back(app, &publication, &hello.sessions, stop);
    Ok(Client::Publisher(publication, incoming))
}

/// Has another server the stream of a host that has come from there, and lets go
/// of it?
async fn is_let_go(app: &App, hello: &Hello) -> bool {
    let (Some(there), Some(resume)) = (&app.elsewhere, &hello.resume) else {
        return false;
    };
    let mark = Mark::of_connection(resume.reveal());
    there.claim(&hello.stream, mark, true).await.is_some()
}

fn taken() -> Failure {
    let text = "somebody else has that stream; choose another name, or wait until it ends";
    failure(Code::Taken, text, true)
}

fn welcome(app: &App, kept: &Kept, caller: &Caller) -> Welcome {
    let (stream, peer, address) = match &kept.client {
        Client::Viewer(seat) => (seat.stream.as_str(), seat.voice.peer.clone(), None),
        Client::Publisher(publication, _) => {
            let stream = publication.name();
            let host = caller.host.as_deref();
            let scheme = if app.rules().policy.tls {
                "https"
            } else {
                "http"
            };
            let page = |host| format!("{scheme}://{host}/#stream={}", encode_part(stream));
            (stream, PeerId::new(v1::PUBLISHER), host.map(page))
        }
    };
    let (mut host, mut sessions) = (false, None);
    match &kept.client {
        Client::Publisher(publication, _) => host = publication.kind() == Kind::Call,
        Client::Viewer(seat) if seat.waits => {
            let there = seat.voice.is_met().then(|| PeerId::new(v1::PUBLISHER));
            sessions = Some(there.into_iter().collect());
        }
        Client::Viewer(_) => {}
    }
    Welcome {
        version: VERSION.to_owned(),
        ice_servers: ice_servers(app, stream, &peer),
        peer,
        resume: kept.resume.clone(),
        address,
        host,
        sessions,
    }
}

/// Those of the stream, and those of the server, with credentials made for this
/// peer now.
pub(super) fn ice_servers(app: &App, stream: &str, peer: &PeerId) -> Vec<v1::IceServer> {
    let own = app.hub.ice_servers(stream).unwrap_or_default();
    let minted = app.rules().ice.for_peer(peer.as_str(), unix_time());
    own.iter().chain(&minted).map(v1::IceServer::from).collect()
}

fn no_random() -> Failure {
    let text = "the system gives no random numbers";
    failure(Code::Busy, text, true)
}
