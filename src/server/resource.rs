//! WHIP (RFC 9725), and WHEP (draft-ietf-wish-whep), whose HTTP rules are the
//! same: one brings a stream, the other takes one.
//!
//! The client offers. We never make a counter-offer, and there is no ICE
//! restart: a peer whose network changes joins anew.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::accept::Client;
use super::hub::{JoinError, Kind, Reply, Resource, SayError, Waiting};
use super::mark::Mark;
use super::problem::Problem;
use super::routes::{self, App, method_not_allowed, read_body, text};
use super::rules::unix_time;
use crate::access::Action;
use crate::address::encode_part;
use crate::message::Message;
use crate::message::v1::MAX_AGENT;
use crate::sdp::{SdpError, limit_bitrate, trickle_fragment};
use crate::signaller::{Capabilities, Offerer, PeerInfo, Refusal};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
pub(super) const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// How a session's notes travel: ours only in the responses to its requests.
pub(crate) const CHANNEL: Capabilities = Capabilities {
    offerer: Offerer::Them,
    trickle_in: true,
    trickle_out: false,
};

type Shared = State<Arc<App>>;

/// Which way media go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To us: the client publishes.
    Whip,
    /// From us: the client watches.
    Whep,
}

impl Direction {
    /// The first part of its paths, and its name as a protocol.
    fn name(self) -> &'static str {
        match self {
            Self::Whip => "whip",
            Self::Whep => "whep",
        }
    }

    /// The right that it takes.
    fn action(self) -> Action {
        match self {
            Self::Whip => Action::Publish,
            Self::Whep => Action::View,
        }
    }

    /// The streams that it is for.
    fn kind(self) -> Kind {
        match self {
            Self::Whip => Kind::Receive,
            Self::Whep => Kind::Publish,
        }
    }

    /// Who its ICE servers are for while it has no name yet.
    fn nobody(self) -> &'static str {
        match self {
            Self::Whip => "publisher",
            Self::Whep => "viewer",
        }
    }

    /// Who answers, in words.
    fn far_side(self) -> &'static str {
        match self {
            Self::Whip => "whoever receives the stream",
            Self::Whep => "the publisher of the stream",
        }
    }
}

/// `/whep/STREAM`, `/whip/STREAM`: where sessions begin.
pub(super) async fn endpoint(
    direction: Direction,
    app: Shared,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(stream) = path.map_err(|_| no_stream(direction))?;
    let (parts, body) = request.into_parts();
    match parts.method {
        Method::OPTIONS => Ok(endpoint_options(direction, &app, &stream, &parts.headers).await),
        Method::POST => join(direction, &app, &stream, &parts, body).await,
        // "a 2xx successful response with no content"; the type tells players
        // what may be posted here.
        Method::GET | Method::HEAD => {
            app.admit(&parts.headers, direction.action(), Some(&stream))?;
            let links = app.hub.links(&stream, direction.kind());
            links.map_err(|error| join_problem(direction, error))?;
            Ok([
                (header::CONTENT_TYPE, SDP),
                (ACCEPT_POST, SDP),
                (header::CACHE_CONTROL, "no-store"),
            ]
            .into_response())
        }
        _ => Ok(method_not_allowed("POST, GET, HEAD, OPTIONS")),
    }
}

/// `/whep/STREAM/SESSION`, `/whip/STREAM/SESSION`: one session.
pub(super) async fn session(
    direction: Direction,
    app: Shared,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let no_session = || no_session(direction);
    let Path((stream, id)) = path.map_err(|_| no_session())?;
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        let allowed = [
            (header::ALLOW, "PATCH, DELETE, GET, HEAD, OPTIONS"),
            (ACCEPT_PATCH, FRAGMENT),
        ];
        return Ok((allowed, routes::options().await).into_response());
    }
    app.admit(&parts.headers, direction.action(), Some(&stream))?;
    let resource = || {
        let found = app.hub.resource(&stream, direction.name(), &id);
        found.ok_or_else(no_session)
    };
    match parts.method {
        Method::PATCH => {
            let patched = trickle(&app, &resource()?, &parts, body).await?;
            let unsaid = |error| trickle_problem(direction, error);
            app.hub.trickle(&id, patched).map_err(unsaid)?;
            Ok(renewed(&app, &stream, &id))
        }
        Method::DELETE => {
            let known = resource().is_ok();
            if (known && app.hub.delete(&id)) || end_again(&app, &stream, &id).await {
                Ok(StatusCode::OK.into_response())
            } else {
                Err(no_session())
            }
        }
        Method::GET | Method::HEAD => {
            if resource().is_ok() || app.slots.knows(Mark::of_resource(&id)) {
                Ok(renewed(&app, &stream, &id))
            } else {
                Err(no_session())
            }
        }
        _ => Ok(method_not_allowed("PATCH, DELETE, GET, HEAD, OPTIONS")),
    }
}

/// Ends a session that began before the server did, and that its publisher has
/// brought back. `false` if there is none.
async fn end_again(app: &App, stream: &str, id: &str) -> bool {
    match app.slots.claim(Mark::of_resource(id)).await {
        Some(kept) => kept.end(stream),
        None => false,
    }
}

/// Tells the ICE servers too, for clients that cannot take them later, but not
/// in a CORS preflight, which carries no token (RFC 9725 section 4.6).
async fn endpoint_options(
    direction: Direction,
    app: &App,
    stream: &str,
    headers: &HeaderMap,
) -> Response {
    let allowed = [
        (header::ALLOW, "POST, GET, HEAD, OPTIONS"),
        (ACCEPT_POST, SDP),
    ];
    let mut response = (allowed, routes::options().await).into_response();
    let preflight = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !preflight && app.admit(headers, direction.action(), Some(stream)).is_ok() {
        let own = app.hub.links(stream, direction.kind()).unwrap_or_default();
        add_links(&mut response, app, &own, direction.nobody());
    }
    response
}

async fn join(
    direction: Direction,
    app: &App,
    stream: &str,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let not_joined = |error| join_problem(direction, error);
    let grant = app.admit(&parts.headers, direction.action(), Some(stream))?;
    app.hub
        .links(stream, direction.kind())
        .map_err(not_joined)?;
    let offer = read_body(app, parts, body, SDP).await?;
    if offer.trim().is_empty() {
        let hint = "this server makes no offers itself: post your own";
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "there is no offer in the body",
            hint,
        ));
    }
    let info = PeerInfo {
        protocol: direction.name().to_owned(),
        address: parts.extensions.get::<Client>().map(|client| client.0),
        agent: text(&parts.headers, &header::USER_AGENT)
            .map(|agent| agent.chars().take(MAX_AGENT).collect()),
        channel: Some(CHANNEL),
        ..PeerInfo::default()
    };
    let info = info.within(&grant);
    // From here on, a client that goes away drops `waiting`, and so leaves.
    let asked = app.hub.ask(stream, direction.kind(), info, offer);
    let mut waiting = asked.map_err(not_joined)?;
    let reply = timeout(app.rules().limits.answer_timeout, &mut waiting.reply).await;
    match reply {
        Ok(Ok(Reply::Answer(sdp))) => {
            let sdp = match (direction, grant.max_bitrate) {
                (Direction::Whip, Some(most)) => limit_bitrate(&sdp, most),
                _ => sdp,
            };
            created(direction, app, stream, sdp, waiting)
        }
        Ok(Ok(Reply::Refused(refusal))) => Err(refusal_problem(&refusal)),
        Ok(Ok(Reply::Ended(reason))) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the session ended before it began: {reason}"),
            "try again",
        )),
        Ok(Err(_)) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the stream has ended",
            "ask for it again",
        )),
        Err(_) => {
            waiting.give_up();
            Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{} does not answer", direction.far_side()),
                "try again; if it stays so, see the far side's log",
            ))
        }
    }
}

fn created(
    direction: Direction,
    app: &App,
    stream: &str,
    sdp: String,
    waiting: Waiting,
) -> Result<Response, Problem> {
    let (name, part) = (direction.name(), encode_part(stream));
    let location = format!("/{name}/{part}/{}", waiting.id);
    let etag = format!("\"{}\"", waiting.etag);
    let headers = [
        (header::LOCATION, location.as_str()),
        (header::ETAG, etag.as_str()),
        (header::CONTENT_TYPE, SDP),
        (ACCEPT_PATCH, FRAGMENT),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "location, link, etag, accept-patch",
        ),
    ];
    let mut response = (
        StatusCode::CREATED,
        headers.map(|(name, value)| (name, value.to_owned())),
        sdp,
    )
        .into_response();
    add_links(&mut response, app, &waiting.links, waiting.peer.as_str());
    waiting.keep();
    Ok(response)
}

/// Tells the ICE servers: those of the stream, and those of the server, with
/// credentials made for this peer.
fn add_links(response: &mut Response, app: &App, own: &[HeaderValue], peer: &str) {
    let servers = app.rules().ice.for_peer(peer, unix_time());
    let minted = servers
        .iter()
        .filter_map(|server| HeaderValue::from_str(&server.to_link_header()).ok());
    for link in own.iter().cloned().chain(minted) {
        response.headers_mut().append(header::LINK, link);
    }
}

/// 204, with ICE servers whose credentials begin now.
fn renewed(app: &App, stream: &str, id: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let own = app.hub.links_of(stream);
    // The session's own name is not told: it is the key to it.
    let peer = Mark::of_resource(id).text();
    add_links(&mut response, app, &own, &peer);
    response
}

/// What a fragment says of candidates.
async fn trickle(
    app: &App,
    resource: &Resource,
    parts: &Parts,
    body: Body,
) -> Result<Vec<Message>, Problem> {
    check_precondition(&parts.headers, &resource.etag)?;
    let body = read_body(app, parts, body, FRAGMENT).await?;
    let fragment = trickle_fragment(&body).map_err(|error| bad_fragment(&error))?;
    if fragment
        .ufrag
        .is_some_and(|ufrag| !resource.ufrags.contains(&ufrag))
    {
        let hint = "this server has no ICE restart: DELETE this session and begin a new one";
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the fragment belongs to another ICE session",
            hint,
        ));
    }
    let end = fragment.end.then_some(Message::EndOfCandidates);
    let candidates = fragment.candidates.into_iter().map(Message::Candidate);
    Ok(candidates.chain(end).collect())
}

/// RFC 9110 section 13.1.1, and RFC 9725 section 4.3.1 for who fails it how.
fn check_precondition(headers: &HeaderMap, etag: &str) -> Result<(), Problem> {
    let hint = "send `If-Match` with the ETag of the 201 response";
    if !headers.contains_key(header::IF_MATCH) {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "If-Match is missing",
            hint,
        ));
    }
    let mut given = headers
        .get_all(header::IF_MATCH)
        .iter()
        .filter_map(|one| one.to_str().ok())
        .flat_map(|one| one.split(','));
    // Weak tags never match here.
    if given.any(|one| {
        one.trim() == "*"
            || one
                .trim()
                .strip_prefix('"')
                .and_then(|one| one.strip_suffix('"'))
                == Some(etag)
    }) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "If-Match names another ICE session",
        hint,
    ))
}

fn bad_fragment(error: &SdpError) -> Problem {
    let hint = "send a fragment of RFC 8840 section 9";
    Problem::new(StatusCode::BAD_REQUEST, error.to_string(), hint)
}

fn no_stream(direction: Direction) -> Problem {
    match direction {
        Direction::Whep => Problem::not_found(
            "there is no stream of that name",
            "GET /streams lists those there are",
        ),
        Direction::Whip => Problem::not_found(
            "nobody waits to receive a stream of that name",
            "GET /streams lists what is waited for (kind \"receive\")",
        ),
    }
}

fn no_session(direction: Direction) -> Problem {
    Problem::not_found(
        "there is no such session (any more)",
        format!("POST an offer to /{}/STREAM to begin one", direction.name()),
    )
}

/// The stream is for something else.
fn other_kind(direction: Direction, kind: Kind) -> Problem {
    match (direction, kind) {
        (Direction::Whip, Kind::Publish) => Problem::new(
            StatusCode::CONFLICT,
            "that stream has its publisher already",
            "choose another name",
        ),
        (_, Kind::Receive) => Problem::not_found(
            "that stream is not sent but received here",
            "POST to /whip/STREAM to send it",
        ),
        (_, Kind::Publish | Kind::Call) => Problem::not_found(
            "that is a call, which WHIP and WHEP cannot take part in",
            "open the page, or take part by sigmund.v1 with the role \"call\"",
        ),
    }
}

fn join_problem(direction: Direction, error: JoinError) -> Problem {
    let far_side = direction.far_side();
    match error {
        JoinError::Unknown => no_stream(direction),
        JoinError::Other(kind) => other_kind(direction, kind),
        JoinError::Taken => Problem::new(
            StatusCode::CONFLICT,
            "somebody else sends that stream",
            "wait until they have stopped",
        )
        .with(header::RETRY_AFTER, "5"),
        JoinError::NotLive => Problem::new(
            StatusCode::CONFLICT,
            "the stream is not live now",
            "try again in a second",
        )
        .with(header::RETRY_AFTER, "1"),
        JoinError::Full => Problem::busy(format!("{far_side} has too much to do")),
        JoinError::TooMany => {
            let hint = "DELETE some of your sessions";
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "your address has too many sessions",
                hint,
            )
            .with(header::RETRY_AFTER, "5")
        }
        JoinError::TooOften(wait) => {
            let hint = "wait as long as Retry-After says";
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "your address joins too often",
                hint,
            )
            .retry_after(wait)
        }
        JoinError::NoRandom => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the system gives no random numbers",
            "see to the system",
        ),
    }
}

fn trickle_problem(direction: Direction, error: SayError) -> Problem {
    match error {
        SayError::Unknown => no_session(direction),
        SayError::Full => {
            let far_side = direction.far_side();
            Problem::busy(format!("{far_side} has too much to do"))
        }
        SayError::TooMany => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many candidates",
            "a handful is enough",
        ),
    }
}

fn refusal_problem(refusal: &Refusal) -> Problem {
    let (status, hint) = match refusal {
        Refusal::Incompatible(_) => (StatusCode::NOT_ACCEPTABLE, "offer another codec"),
        Refusal::Malformed(_) => (
            StatusCode::BAD_REQUEST,
            "send an offer as browsers make them",
        ),
        Refusal::Busy(_) => return Problem::busy(refusal.to_string()),
        Refusal::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "see the far side's log"),
    };
    Problem::new(status, refusal.to_string(), hint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_the_right_tag_or_a_star_meets_the_condition(given in "[ -~]{0,30}", etag in "[a-zA-Z0-9_-]{11}") {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, given.parse().unwrap());
            let star = given.split(',').any(|one| one.trim() == "*");
            prop_assert_eq!(check_precondition(&headers, &etag).is_ok(), star);
            headers.append(header::IF_MATCH, format!("{given},\"{etag}\"").parse().unwrap());
            prop_assert!(check_precondition(&headers, &etag).is_ok());
        }
    }
}
