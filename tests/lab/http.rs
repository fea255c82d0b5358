//! Requests, polite and impolite.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ureq::http::{Request, StatusCode};

use crate::network::Host;

/// Longer than a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status: 201.
    pub status: u16,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, if it is text.
    pub body: String,
}

impl Response {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// All headers of that name (lower case).
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Panics unless it has this status and a body (or needs none).
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.status, self.body);
        let is_error = StatusCode::from_u16(status).is_ok_and(|s| !s.is_success());
        assert!(
            !is_error || !self.body.is_empty(),
            "{status} does not say why"
        );
        self
    }
}

/// Sends one request from `host`. Panics where no answer comes at all.
#[track_caller]
pub fn request(
    host: &Host,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let result = host.run(|| send(method, url, headers, body));
    result.unwrap_or_else(|e| panic!("{method} {url}: {e}"))
}

/// The same from the calling thread, wherever that is.
pub fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = if body.is_empty() {
        agent.run(request.body(())?)?
    } else {
        agent.run(request.body(body)?)?
    };
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Ok(Response {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: response.body_mut().read_to_string().unwrap_or_default(),
    })
}

/// Writes bytes as they are; what comes back until the server closes or is
/// silent for `patience`.
pub fn raw(host: &Host, server: SocketAddr, bytes: &[u8], patience: Duration) -> String {
    host.run(|| {
        let mut stream = TcpStream::connect(server).expect("the server listens");
        stream.set_read_timeout(Some(patience)).expect("not zero");
        // The server may close before it has read all of it.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    })
}
