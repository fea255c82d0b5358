//! The HTTP of WHIP (RFC 9725), which WHEP shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use url::Url;

use crate::access::Token;
use crate::address::IceServer;
use crate::message::MAX_SDP;
use crate::signaller::SignallerError;
use crate::signaller::dial::{self, Tls};

/// How often an offer is sent on to another server.
pub(super) const REDIRECTS: usize = 5;

const SDP: HeaderValue = HeaderValue::from_static("application/sdp");
const FRAGMENT: HeaderValue = HeaderValue::from_static("application/trickle-ice-sdpfrag");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Which of the two the server speaks. They differ in who sends media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signaller) enum Protocol {
    /// We publish (RFC 9725).
    Whip,
    /// We watch (draft-ietf-wish-whep).
    Whep,
}

impl Protocol {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Whip => "WHIP",
            Self::Whep => "WHEP",
        }
    }

    /// For lists and names of sessions.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Whip => "whip",
            Self::Whep => "whep",
        }
    }

    fn server(self) -> String {
        format!("the {} server", self.name())
    }
}

/// How a server is spoken to.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Url,
    pub(super) token: Option<Token>,
    pub(super) tls: Tls,
    pub(super) patience: Patience,
}

/// How long the server wants to be left in peace (`Retry-After`).
#[derive(Clone, Default)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Patience {
    /// Longer than that nobody is waited for, whatever he says.
    const LONGEST: Duration = Duration::from_secs(60);

    /// Takes it from the headers of a refusal. A date is not understood.
    fn learn(&self, headers: &HeaderMap) {
        let after = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
        let seconds = after.and_then(|it| it.trim().parse().ok()).unwrap_or(0);
        self.0.store(seconds, Ordering::Relaxed);
    }

    /// Waits, once.
    pub(super) async fn wait(&self) {
        let wait = Duration::from_secs(self.0.swap(0, Ordering::Relaxed));
        tokio::time::sleep(wait.min(Self::LONGEST)).await;
    }
}

/// A session on the server.
pub(super) struct Resource {
    url: Url,
    /// Names the ICE session, with its quotes.
    etag: Option<HeaderValue>,
}

/// What came of an offer.
pub(super) struct Created {
    pub(super) resource: Resource,
    pub(super) answer: String,
    pub(super) told: Told,
}

/// What a server tells of itself by the headers of a response.
pub(super) struct Told {
    /// Does it say that it takes candidates by PATCH?
    pub(super) patches: bool,
    /// STUN and TURN servers to use (RFC 9725 section 4.6).
    pub(super) ice_servers: Vec<IceServer>,
}

impl Told {
    fn by(headers: &HeaderMap) -> Self {
        let links = headers.get_all(LINK).iter();
        Self {
            patches: takes_patch(headers),
            ice_servers: IceServer::from_links(links.filter_map(|link| link.to_str().ok())),
        }
    }
}

/// Why candidates have not arrived.
#[derive(Debug)]
pub(super) enum PatchError {
    /// It does not take them.
    Refused(StatusCode),
    /// This time.
    Lost(SignallerError),
}

impl Client {
    /// Is the server there, and what does it tell of itself? What it thinks of
    /// OPTIONS does not matter; many know nothing of it.
    pub(super) async fn probe(&self) -> Result<Told, SignallerError> {
        let response = self
            .send(Method::OPTIONS, &self.endpoint, &[], Bytes::new())
            .await?;
        Ok(Told::by(response.headers()))
    }

    /// Sends an offer; follows redirects (RFC 9725 section 4.5).
    pub(super) async fn create(&self, offer: &str) -> Result<Created, SignallerError> {
        let headers = [(CONTENT_TYPE, SDP), (ACCEPT, SDP)];
        let mut url = self.endpoint.clone();
        for _ in 0..=REDIRECTS {
            let body = Bytes::from(offer.to_owned());
            let response = self.send(Method::POST, &url, &headers, body).await?;
            match response.status() {
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    url = located(self.protocol, &url, response.headers())?;
                }
                StatusCode::CREATED => return self.created(&url, &response).await,
                status => {
                    self.patience.learn(response.headers());
                    return Err(self.refused(status, response.body()));
                }
            }
        }
        Err(SignallerError::Transient(format!(
            "{} sent us to another one {REDIRECTS} times over",
            self.protocol.server()
        )))
    }

    /// What an error means. 404 is no last word: nobody may wait for the stream
    /// yet, or publish it.
    fn refused(&self, status: StatusCode, body: &[u8]) -> SignallerError {
        let error = dial::refused(&self.protocol.server(), status, body);
        match error {
            SignallerError::Permanent(text) if status == StatusCode::NOT_FOUND => {
                SignallerError::Transient(text)
            }
            error => error,
        }
    }

    async fn created(
        &self,
        url: &Url,
        response: &Response<Bytes>,
    ) -> Result<Created, SignallerError> {
        let headers = response.headers();
        let resource = Resource {
            url: located(self.protocol, url, headers)?,
            etag: headers.get(ETAG).cloned(),
        };
        match answer(self.protocol, response) {
            Ok(answer) => Ok(Created {
                resource,
                answer,
                told: Told::by(headers),
            }),
            Err(error) => {
                self.delete(&resource).await;
                Err(error)
            }
        }
    }

    /// Sends candidates (RFC 9725 section 4.3.1).
    pub(super) async fn patch(
        &self,
        resource: &mut Resource,
        fragment: String,
    ) -> Result<(), PatchError> {
        let mut headers = vec![(CONTENT_TYPE, FRAGMENT)];
        headers.extend(resource.etag.clone().map(|etag| (IF_MATCH, etag)));
        let response = self
            .send(Method::PATCH, &resource.url, &headers, fragment.into())
            .await
            .map_err(PatchError::Lost)?;
        match response.status() {
            status if status.is_success() => {
                // Some name each state of the resource.
                if let Some(etag) = response.headers().get(ETAG) {
                    resource.etag = Some(etag.clone());
                }
                Ok(())
            }
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                let server = self.protocol.server();
                let error = dial::refused(&server, status, response.body());
                Err(PatchError::Lost(error))
            }
            status => Err(PatchError::Refused(status)),
        }
    }

    /// Ends a session. It is over for us, whatever the server says.
    pub(super) async fn delete(&self, resource: &Resource) {
        let deleted = self
            .send(Method::DELETE, &resource.url, &[], Bytes::new())
            .await;
        match deleted.map(|response| response.status()) {
            Ok(status) if status.is_success() => (),
            Ok(status) => tracing::debug!(%status, "a session on a server was not deleted"),
            Err(error) => tracing::debug!("a session on a server was not deleted: {error}"),
        }
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Response<Bytes>, SignallerError> {
        let uri = Uri::try_from(url.as_str())
            .map_err(|error| SignallerError::Permanent(format!("bad address: {error}")))?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().extend(headers.iter().cloned());
        if let Some(token) = &self.token {
            request
                .headers_mut()
                .insert(AUTHORIZATION, dial::bearer(token)?);
        }
        dial::http(request, &self.tls).await
    }
}

/// Where `Location` points to, seen from `base`. The token goes there, too: the
/// server that has it could pass it on anyhow; but never in clear text when it
/// came encrypted.
pub(in crate::signaller) fn located(
    protocol: Protocol,
    base: &Url,
    headers: &HeaderMap,
) -> Result<Url, SignallerError> {
    let wrong = |why: &str| {
        let server = protocol.server();
        SignallerError::Permanent(format!("{server} does not follow RFC 9725: {why}"))
    };
    let location = headers
        .get(LOCATION)
        .and_then(|it| it.to_str().ok())
        .ok_or_else(|| wrong("its response has no Location"))?;
    let mut url = base
        .join(location)
        .map_err(|error| wrong(&format!("its Location is no address ({error})")))?;
    url.set_fragment(None);
    match (base.scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => Ok(url),
        ("https", "http") => Err(wrong("its Location leads from https to http")),
        _ => Err(wrong("its Location is not of the Web")),
    }
}

fn answer(protocol: Protocol, response: &Response<Bytes>) -> Result<String, SignallerError> {
    let wrong =
        |why: &str| SignallerError::Transient(format!("{}'s answer {why}", protocol.server()));
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/sdp") {
        return Err(wrong(
            "is no session description (its Content-Type is not application/sdp)",
        ));
    }
    if response.body().len() > MAX_SDP {
        return Err(wrong("is longer than any honest one"));
    }
    String::from_utf8(response.body().to_vec()).map_err(|_| wrong("is not UTF-8"))
}

fn takes_patch(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_PATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("trickle-ice-sdpfrag"))
}
