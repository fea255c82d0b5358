//! A way to the routes, for [`fuzzing`](crate::fuzzing): each request comes to a
//! server that has one stream, whose publisher answers nobody.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use tower::Service;

use super::accept::Client;
use super::events::Observer;
use super::hub::{Kind, Publication, Publisher};
use super::routes::{self, App};
use super::rules::{Current, Rules};
use crate::access::Limits;

struct House {
    runtime: tokio::runtime::Runtime,
    router: Router,
    _stream: Publication,
}

impl House {
    fn new() -> Self {
        let limits = Limits {
            answer_timeout: Duration::ZERO,
            ..Limits::default()
        };
        let rules = Current::new(Rules {
            auth: crate::access::Authenticator::open(),
            limits,
            ..Rules::default()
        });
        let app = App::new(rules, Observer::default(), true);
        let published = app.hub.publish("cam", Kind::Publish, &[], Publisher::Local);
        let (stream, _) = published.expect("nobody has it");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("the system has what a runtime needs");
        Self {
            runtime,
            router: routes::router(std::sync::Arc::new(app)),
            _stream: stream,
        }
    }
}

thread_local! {
    static HOUSE: House = House::new();
}

/// Reads a request as loosely as can be: what HTTP itself would refuse, hyper
/// has refused.
fn parse(bytes: &[u8]) -> Option<Request<Body>> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
    let mut request = Request::builder().method(method).uri(words.next()?);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    let client = Client(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let body = Body::from(body.to_owned());
    request.extension(client).body(body).ok()
}

pub(crate) fn request(bytes: &[u8]) {
    let Some(request) = parse(bytes) else {
        return;
    };
    HOUSE.with(|house| {
        let mut router = house.router.clone();
        let answered = house.runtime.block_on(router.call(request));
        let response = answered.unwrap_or_else(|never| match never {});
        // The one that a publisher is at fault for, and has no words with.
        let status = response.status();
        assert!(
            !status.is_server_error()
                || status == StatusCode::GATEWAY_TIMEOUT
                || status == StatusCode::SERVICE_UNAVAILABLE,
            "{status}"
        );
    });
}
