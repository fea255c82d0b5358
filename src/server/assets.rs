//! Serves the page's files.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::page::{CONTENT_SECURITY_POLICY, FILES, File};

/// A strong ETag for each file.
static ETAGS: LazyLock<Vec<String>> = LazyLock::new(|| FILES.iter().map(etag).collect());

fn etag(file: &File) -> String {
    format!(
        "\"{}\"",
        URL_SAFE_NO_PAD.encode(&Sha256::digest(file.body)[..12])
    )
}

/// The file at `path` (without the leading slash), if there is one.
pub(super) fn serve(path: &str, request: &HeaderMap) -> Option<Response> {
    let at = FILES.iter().position(|file| file.path == path)?;
    let (file, etag) = (&FILES[at], &ETAGS[at]);
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok());
    let mut response = if known.is_some_and(|known| {
        known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == etag)
    }) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.content_type)], file.body).into_response()
    };
    let headers = response.headers_mut();
    // Kept, but asked for each time: a new version of the plugin has a new page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    Some(response)
}
