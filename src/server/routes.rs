//! The routes, and what is true of all of them: whom the server listens to, and
//! the headers that every response has.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::accept::Client;
use super::elsewhere::Elsewhere;
use super::events::{Event, Observer};
use super::hub::{Hub, Kind};
use super::metrics::Metrics;
use super::problem::Problem;
use super::resource::{self, Direction};
use super::rules::{Current, Rules, unix_time};
use super::socket::{self, Slots};
use super::{assets, gstwebrtc};
use crate::access::{self, Action, Denied, Grant, Policy};

/// What all handlers share.
pub(super) struct App {
    pub(super) hub: Arc<Hub>,
    pub(super) rules: Arc<Current>,
    pub(super) observer: Observer,
    /// Clients that may come back.
    pub(super) slots: Slots,
    /// The way to other servers, where there are any.
    pub(super) elsewhere: Option<Elsewhere>,
    /// When the server began.
    pub(super) began: Instant,
    /// May streams come from elsewhere?
    pub(super) remote_publishers: bool,
    /// What `/metrics` shows.
    pub(super) metrics: Arc<Metrics>,
}

/// Headers that a foreign page may read.
const EXPOSED: &str =
    "location, link, etag, accept-patch, accept-post, retry-after, www-authenticate";

/// Methods and headers that a foreign page may use.
const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
const HEADERS: &str = "authorization, content-type, if-match, link";

/// How much of a body that is too long is read and thrown away, as a multiple
/// of what is allowed: a client that is still sending may miss the response.
const DRAIN: usize = 16;

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/streams", get(streams).options(options))
        .route("/healthz", get(async || json(&json!({ "status": "ok" }))))
        .route("/ws", get(socket::endpoint))
        .merge(resources("/whep", Direction::Whep))
        .merge(resources("/whip", Direction::Whip))
        .fallback(anything)
        .method_not_allowed_fallback(async || method_not_allowed("GET, HEAD"))
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

fn resources(path: &str, direction: Direction) -> Router<Arc<App>> {
    let endpoint = move |app, path, request| resource::endpoint(direction, app, path, request);
    let session = move |app, path, request| resource::session(direction, app, path, request);
    Router::new()
        .route(&format!("{path}/{{stream}}"), any(endpoint))
        .route(&format!("{path}/{{stream}}/{{session}}"), any(session))
}

impl App {
    /// One that has no streams yet.
    pub(super) fn new(rules: Arc<Current>, observer: Observer, remote_publishers: bool) -> Self {
        Self {
            hub: Hub::new(rules.clone(), observer.clone(), remote_publishers),
            rules,
            observer,
            slots: Slots::default(),
            elsewhere: None,
            began: Instant::now(),
            remote_publishers,
            metrics: Arc::new(Metrics::new()),
        }
    }

    /// The rules that hold now.
    pub(super) fn rules(&self) -> Arc<Rules> {
        self.rules.get()
    }

    /// May whoever sends this request do that? Without a stream: with any.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        action: Action,
        stream: Option<&str>,
    ) -> Result<Grant, Problem> {
        let token = text(headers, &header::AUTHORIZATION).and_then(access::bearer);
        self.check(token, action, stream).map_err(denied_problem)
    }

    /// May the bearer of this token do that? Without a stream: with any.
    pub(super) fn check(
        &self,
        token: Option<&str>,
        action: Action,
        stream: Option<&str>,
    ) -> Result<Grant, Denied> {
        let checked = self.rules().auth.check(token, action, stream, unix_time());
        checked.inspect_err(|denied| {
            let cause = denied.cause();
            self.observer.tell(&Event::Denied { cause });
        })
    }
}

/// RFC 6750 section 3.1.
fn denied_problem(denied: Denied) -> Problem {
    if !denied.is_unauthorised() {
        let hint = "ask for a token that allows it";
        return Problem::new(StatusCode::FORBIDDEN, denied.to_string(), hint).with(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"sigmund\", error=\"insufficient_scope\"",
        );
    }
    let challenge = match denied {
        Denied::Missing => "Bearer realm=\"sigmund\"",
        Denied::Expired => {
            "Bearer realm=\"sigmund\", error=\"invalid_token\", error_description=\"expired\""
        }
        _ => "Bearer realm=\"sigmund\", error=\"invalid_token\"",
    };
    let hint =
        "send `Authorization: Bearer TOKEN`; in the page's address it stands as #token=TOKEN";
    Problem::new(StatusCode::UNAUTHORIZED, denied.to_string(), hint)
        .with(header::WWW_AUTHENTICATE, challenge)
}

/// Turns foreign pages away, and adds what every response has.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match check(&app.rules().policy, request.uri(), request.headers()) {
        Ok(()) => {
            let mut response = next.run(request).await;
            if let Some(origin) = &origin {
                let headers = response.headers_mut();
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(
                    header::ACCESS_CONTROL_EXPOSE_HEADERS,
                    HeaderValue::from_static(EXPOSED),
                );
            }
            response
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

fn check(policy: &Policy, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let bad_host = || {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "one Host header is needed",
            "send one",
        )
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (uri.authority(), hosts.next(), hosts.next()) {
        // RFC 9112 section 3.2.2: what the request line says counts.
        (Some(authority), _, None) => authority.as_str(),
        (None, Some(host), None) => host.to_str().map_err(|_| bad_host())?,
        _ => return Err(bad_host()),
    };
    let forbidden = |error: access::AccessError| {
        let hint = "open the very address that was announced; other names and pages must be allowed by the publisher";
        Problem::new(StatusCode::FORBIDDEN, error.0, hint)
    };
    policy.check_host(host).map_err(forbidden)?;
    match headers.get(header::ORIGIN) {
        Some(origin) => policy
            .check_origin(origin.to_str().unwrap_or_default(), host)
            .map_err(forbidden),
        None => Ok(()),
    }
}

async fn streams(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let (grant, may_watch) = match app.admit(&headers, Action::View, None) {
        Ok(grant) => (grant, true),
        // Who may only publish sees what waits for that.
        Err(problem) => {
            let grant = app.admit(&headers, Action::Publish, None);
            (grant.map_err(|_| problem)?, false)
        }
    };
    let streams = app
        .hub
        .list()
        .into_iter()
        .filter(|stream| grant.covers(&stream.name))
        .filter(|stream| may_watch || stream.kind == Kind::Receive)
        .map(|stream| {
            let (name, kind) = (stream.name, stream.kind.as_str());
            match stream.kind {
                Kind::Publish => json!({ "name": name, "kind": kind, "viewers": stream.peers }),
                Kind::Receive | Kind::Call => {
                    json!({ "name": name, "kind": kind, "taken": stream.peers > 0 })
                }
            }
        });
    Ok(json(&json!({ "streams": streams.collect::<Vec<_>>() })))
}

/// To loopback without a token, unless a proxy there passes on what others ask.
async fn metrics(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    const PASSED_ON: [&str; 3] = ["forwarded", "x-forwarded-for", "via"];
    let headers = request.headers();
    let client = request.extensions().get::<Client>();
    let near = client.is_some_and(|client| access::is_loopback(client.0))
        && !PASSED_ON.iter().any(|name| headers.contains_key(*name));
    if !near {
        app.admit(headers, Action::Metrics, None)?;
    }
    Ok(super::metrics::page(&app.metrics.text(&app.hub)))
}

/// To a page that asks whether it may (the CORS protocol of the Fetch standard).
/// That it may speak to us at all, [`guard`] has found out already.
pub(super) async fn options() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::OK, headers).into_response()
}

/// The page; or a WebSocket of those who speak gst-plugins-rs' protocol, which
/// they open at any path.
async fn anything(State(app): State<Arc<App>>, request: Request) -> Response {
    if gstwebrtc::is_wanted(request.headers()) {
        let opened = gstwebrtc::endpoint(&app, request);
        return opened.unwrap_or_else(IntoResponse::into_response);
    }
    asset(request.method(), request.uri(), request.headers())
}

fn asset(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    match assets::serve(path, headers) {
        Some(response) if *method == Method::GET || *method == Method::HEAD => response,
        Some(_) => method_not_allowed("GET, HEAD"),
        None => Problem::not_found(
            "there is nothing here",
            "the page is at /, the streams are listed at /streams",
        )
        .into_response(),
    }
}

/// 405, with what is allowed.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "that cannot be done here",
        format!("allowed: {allowed}"),
    )
    .with(header::ALLOW, allowed)
    .into_response()
}

fn json(body: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body.to_string()).into_response()
}

/// A header as text, if it is there, once, and is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Reads a body of the given media type, within the limits of size and time.
pub(super) async fn read_body(
    app: &App,
    parts: &Parts,
    body: Body,
    media_type: &'static str,
) -> Result<String, Problem> {
    let given = text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    if !given.eq_ignore_ascii_case(media_type) {
        let error = format!("the body must be {media_type}");
        let accepted = if parts.method == Method::PATCH {
            HeaderName::from_static("accept-patch")
        } else {
            resource::ACCEPT_POST
        };
        let hint = format!("send `Content-Type: {media_type}`");
        return Err(
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, hint)
                .with(accepted, media_type),
        );
    }
    let waits = parts.headers.contains_key(header::EXPECT);
    let limits = app.rules().limits;
    match timeout(limits.body_timeout, collect(body, limits.body, waits)).await {
        Ok(Ok(bytes)) => String::from_utf8(bytes).map_err(|_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "the body is not UTF-8 text",
                "send a session description",
            )
        }),
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(timed_out(limits.body_timeout)),
    }
}

fn timed_out(bound: Duration) -> Problem {
    let error = format!("the body was not complete after {} s", bound.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, error, "send it faster")
        .with(header::CONNECTION, "close")
}

/// `waits`: the client sends its body only when we begin to read it.
async fn collect(mut body: Body, limit: usize, waits: bool) -> Result<Vec<u8>, Problem> {
    use axum::body::HttpBody;
    let too_large = || {
        let error = format!("the body is longer than {limit} bytes");
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            error,
            "no sensible session description is that long",
        )
        .with(header::CONNECTION, "close")
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit && (waits || announced > limit * DRAIN) {
        return Err(too_large());
    }
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let broken = |_| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "the body broke off",
                "send it whole",
            )
        };
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        seen += data.len();
        if seen > limit * DRAIN {
            break;
        }
        if seen <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    if seen > limit {
        Err(too_large())
    } else {
        Ok(bytes)
    }
}
