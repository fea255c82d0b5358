//! The HTTP side of a WHEP viewer.

use ureq::http::Uri;

use crate::http::{self, Response};
use crate::network::Host;

/// A session that a WHEP server has made for us.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Where it lives.
    pub url: String,
    /// Its entity tag; empty where the server gives none.
    pub etag: String,
    /// The SDP answer.
    pub answer: String,
    /// The whole response.
    pub response: Response,
}

/// The WHEP endpoint of a stream of the server whose page is at `address`.
pub fn endpoint(address: &str, stream: &str) -> String {
    let uri: Uri = address.parse().unwrap_or_else(|e| panic!("{address}: {e}"));
    let scheme = uri.scheme_str().expect("an address is absolute");
    let authority = uri.authority().expect("an address is absolute");
    format!("{scheme}://{authority}/whep/{stream}")
}

/// Offers; the session, or the refusal.
pub fn offer(
    host: &Host,
    endpoint: &str,
    sdp: &str,
    token: Option<&str>,
) -> Result<Resource, Response> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/sdp")];
    headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
    let response = http::request(host, "POST", endpoint, &headers, sdp);
    if response.status != 201 {
        return Err(response);
    }
    let location = response.header("location").expect("201 has a Location");
    let url = if location.starts_with('/') {
        let uri: Uri = endpoint.parse().expect("it was reached");
        let (scheme, authority) = (uri.scheme_str(), uri.authority());
        let scheme = scheme.expect("it was reached");
        format!(
            "{scheme}://{}{location}",
            authority.expect("it was reached")
        )
    } else {
        location.to_owned()
    };
    Ok(Resource {
        url,
        etag: response.header("etag").unwrap_or_default().to_owned(),
        answer: response.body.clone(),
        response,
    })
}

impl Resource {
    /// Sends candidates after the offer.
    pub fn patch(&self, host: &Host, fragment: &str) -> Response {
        let headers = [
            ("content-type", "application/trickle-ice-sdpfrag"),
            ("if-match", self.etag.as_str()),
        ];
        http::request(host, "PATCH", &self.url, &headers, fragment)
    }

    /// Ends the session.
    pub fn delete(&self, host: &Host) -> Response {
        http::request(host, "DELETE", &self.url, &[], "")
    }
}
