use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response};
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::access::Token;
use crate::message::Candidate;
use crate::signaller::Refusal;
use crate::signaller::supervisor::{Event, Supervisor};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE video0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:video0\r\na=ice-ufrag:ufrg\r\na=ice-pwd:aLongEnoughPassword0123\r\n\
    a=fingerprint:sha-256 00\r\na=setup:actpass\r\na=rtpmap:96 VP8/90000\r\n";
const ANSWER: &str = "v=0\r\no=- 2 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
const CANDIDATE: &str = "candidate:1 1 UDP 1 192.0.2.1 9 typ host";
const SOON: Duration = Duration::from_secs(5);

/// What a server was asked.
#[derive(Debug)]
struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A server that does as it is told, and tells what it was asked.
struct Server {
    address: std::net::SocketAddr,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Server {
    async fn new(
        respond: impl Fn(&Asked) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let (asked_in, asked) = mpsc::unbounded_channel();
        let handler = move |request: Request| {
            let (asked_in, respond) = (asked_in.clone(), respond.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let asked = Asked {
                    method: head.method,
                    path: head.uri.path().to_owned(),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let response = respond(&asked);
                let _ = asked_in.send(asked);
                response
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, asked }
    }

    fn uri(&self) -> String {
        format!("whip+http://{}/whip/cam", self.address)
    }

    async fn asked(&mut self) -> Asked {
        timeout(SOON, self.asked.recv()).await.unwrap().unwrap()
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

const TAKES_PATCH: (&str, &str) = ("accept-patch", "application/trickle-ice-sdpfrag");
const IS_SDP: (&str, &str) = ("content-type", "application/sdp; charset=utf-8");

/// A server that takes everything.
fn good(asked: &Asked) -> Response<Body> {
    match asked.method {
        Method::OPTIONS => response(204, &[TAKES_PATCH], ""),
        Method::POST => response(
            201,
            &[("location", "../session/7?a=b"), ("etag", "\"x\""), IS_SDP],
            ANSWER,
        ),
        _ => response(204, &[], ""),
    }
}

fn signaller(uri: &str, token: Option<&str>) -> Box<dyn Signaller> {
    let uri = SignallingUri::parse(uri).unwrap();
    let (role, open): (_, fn(&_, &_) -> _) = match uri.scheme.starts_with("whep") {
        true => (Role::Subscribe, open_whep),
        false => (Role::Publish, open),
    };
    let mut options = Options::new(role, "element0");
    options.token = token.map(Token::new);
    open(&uri, &options).unwrap()
}

/// A signaller that has connected, and its peer.
struct Up {
    signaller: Box<dyn Signaller>,
    connection: Connection,
    peer: PeerId,
    info: PeerInfo,
}

impl Up {
    async fn new(uri: &str, token: Option<&str>) -> Self {
        let mut signaller = signaller(uri, token);
        let mut connection = signaller.connect().await.unwrap();
        let Some(Incoming::Joined { peer, info }) = connection.incoming.recv().await else {
            panic!("nobody joined");
        };
        Self {
            signaller,
            connection,
            peer,
            info,
        }
    }

    async fn send(&self, message: Message) {
        let peer = self.peer.clone();
        let note = Outgoing::Message { peer, message };
        self.connection.outgoing.send(note).await.unwrap();
    }

    async fn offer(&self) {
        self.send(Message::Offer {
            sdp: OFFER.to_owned(),
        })
        .await;
    }

    async fn trickle(&self) {
        let candidate = Candidate {
            candidate: CANDIDATE.to_owned(),
            sdp_mid: Some("video0".to_owned()),
            sdp_m_line_index: Some(0),
        };
        self.send(Message::Candidate(candidate)).await;
    }

    async fn recv(&mut self) -> Option<Incoming> {
        timeout(SOON, self.connection.incoming.recv())
            .await
            .unwrap()
    }

    /// The channel's end and its reason, after the peer has left.
    async fn lost(mut self) -> SignallerError {
        assert!(matches!(self.recv().await, Some(Incoming::Left { .. })));
        assert_eq!(self.recv().await, None);
        self.signaller.lost().await.unwrap()
    }
}

#[tokio::test]
async fn an_offer_is_answered_and_a_close_deletes() {
    let mut server = Server::new(good).await;
    let mut up = Up::new(&server.uri(), Some("secret")).await;
    assert_eq!(up.info.protocol, "whip");
    assert_eq!(server.asked().await.method, Method::OPTIONS);
    up.offer().await;
    let asked = server.asked().await;
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/whip/cam")
    );
    assert_eq!(asked.header("content-type"), Some("application/sdp"));
    assert_eq!(asked.header("authorization"), Some("Bearer secret"));
    assert_eq!(asked.body, OFFER);
    let answer = Message::Answer {
        sdp: ANSWER.to_owned(),
    };
    let peer = up.peer.clone();
    assert_eq!(
        up.recv().await,
        Some(Incoming::Message {
            peer,
            message: answer
        })
    );
    drop(up.connection);
    up.signaller.close().await;
    let asked = server.asked().await;
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("DELETE", "/session/7")
    );
    assert_eq!(asked.header("authorization"), Some("Bearer secret"));
}

#[tokio::test]
async fn ice_servers_are_taken_from_links() {
    let server = Server::new(|asked| {
        let mut response = good(asked);
        let link = match asked.method {
            Method::OPTIONS => r#"<stun:now.example>; rel="ice-server""#,
            _ => r#"<turn:then.example>; rel="ice-server"; username="u"; credential="p""#,
        };
        let headers = response.headers_mut();
        headers.insert("link", link.parse().unwrap());
        response
    })
    .await;
    let mut signaller = signaller(&server.uri(), None);
    let mut connection = signaller.connect().await.unwrap();
    let now = IceServer::parse("stun:now.example").unwrap();
    let first = connection.incoming.recv().await;
    assert_eq!(first, Some(Incoming::IceServers(vec![now])));
    let Some(Incoming::Joined { peer, .. }) = connection.incoming.recv().await else {
        panic!("nobody joined");
    };
    let message = Message::Offer {
        sdp: OFFER.to_owned(),
    };
    let offer = Outgoing::Message { peer, message };
    connection.outgoing.send(offer).await.unwrap();
    let then = IceServer::parse("turn://u:p@then.example").unwrap();
    let next = connection.incoming.recv().await;
    assert_eq!(next, Some(Incoming::IceServers(vec![then])));
}

#[tokio::test]
async fn candidates_follow_by_patch() {
    let mut server = Server::new(good).await;
    let up = Up::new(&server.uri(), None).await;
    assert!(up.info.channel.unwrap().trickle_out);
    up.offer().await;
    up.trickle().await;
    up.send(Message::EndOfCandidates).await;
    let mut bodies = String::new();
    while !bodies.contains("a=end-of-candidates") {
        let asked = server.asked().await;
        if asked.method == Method::PATCH {
            assert_eq!(asked.header("if-match"), Some("\"x\""));
            assert_eq!(
                asked.header("content-type"),
                Some("application/trickle-ice-sdpfrag")
            );
            assert!(crate::sdp::trickle_fragment(&asked.body).is_ok());
            bodies += &asked.body;
        }
    }
    let head = "a=group:BUNDLE video0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:video0\r\n\
        a=ice-ufrag:ufrg\r\na=ice-pwd:aLongEnoughPassword0123\r\n";
    assert!(bodies.starts_with(head), "{bodies}");
    assert!(bodies.contains(&format!("a={CANDIDATE}\r\n")), "{bodies}");
}

#[tokio::test]
async fn a_server_that_does_not_say_so_gets_no_patch() {
    let mut server = Server::new(|asked| match asked.method {
        Method::POST => good(asked),
        _ => response(405, &[], ""),
    })
    .await;
    let mut up = Up::new(&server.uri(), None).await;
    assert!(!up.info.channel.unwrap().trickle_out);
    assert_eq!(server.asked().await.method, Method::OPTIONS);
    up.offer().await;
    up.recv().await;
    assert_eq!(server.asked().await.method, Method::POST);
    // It refuses the first; there is no second.
    for _ in 0..2 {
        up.trickle().await;
        tokio::task::yield_now().await;
    }
    drop(up.connection);
    up.signaller.close().await;
    assert_eq!(server.asked().await.method, Method::PATCH);
    assert_eq!(server.asked().await.method, Method::DELETE);
}

#[tokio::test]
async fn redirects_are_followed_and_the_last_server_names_the_session() {
    let mut target = Server::new(good).await;
    let location = format!("http://{}/other/place", target.address);
    let server = Server::new(move |asked| match asked.method {
        Method::POST => response(307, &[("location", &location)], ""),
        _ => good(asked),
    })
    .await;
    let mut up = Up::new(&server.uri(), Some("secret")).await;
    up.offer().await;
    assert!(matches!(up.recv().await, Some(Incoming::Message { .. })));
    let asked = target.asked().await;
    assert_eq!(
        (asked.path.as_str(), asked.body.as_str()),
        ("/other/place", OFFER)
    );
    drop(up.connection);
    up.signaller.close().await;
    assert_eq!(target.asked().await.path, "/session/7");
}

#[tokio::test]
async fn redirects_without_end_are_given_up() {
    let mut server = Server::new(|_| response(308, &[("location", "/again")], "")).await;
    let up = Up::new(&server.uri(), None).await;
    up.offer().await;
    assert!(matches!(up.lost().await, SignallerError::Transient(_)));
    let mut posts = 0;
    while let Ok(asked) = server.asked.try_recv() {
        posts += usize::from(asked.method == Method::POST);
    }
    assert_eq!(posts, client::REDIRECTS + 1);
}

#[tokio::test]
async fn refusals_repeat_the_servers_words_and_say_whether_to_try_again() {
    for (status, permanent, hint) in [
        (400, true, "bad words"),
        (401, true, "token"),
        (403, true, "token"),
        (404, false, "path"),
        (405, true, "bad words"),
        (409, false, "bad words"),
        (429, false, "bad words"),
        (500, false, "bad words"),
        (503, false, "bad words"),
    ] {
        let server = Server::new(move |_| response(status, &[], "bad words")).await;
        let up = Up::new(&server.uri(), None).await;
        up.offer().await;
        let error = up.lost().await;
        assert!(error.to_string().contains(hint), "{error}");
        assert!(error.to_string().contains("bad words"), "{error}");
        let is = matches!(error, SignallerError::Permanent(_));
        assert_eq!(is, permanent, "{status}");
    }
}

/// Both in one: nobody waits for the stream yet, and then it has no time.
#[tokio::test]
async fn a_server_that_has_refused_at_first_is_asked_until_it_takes_it() {
    let posts = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = posts.clone();
    let server = Server::new(move |asked| match asked.method {
        Method::POST => match counted.fetch_add(1, Ordering::Relaxed) {
            0 => response(404, &[], "nobody waits"),
            1 => response(503, &[("retry-after", "1")], "busy"),
            _ => good(asked),
        },
        _ => good(asked),
    })
    .await;
    let mut supervisor = Supervisor::spawn(signaller(&server.uri(), None));
    let mut reasons = Vec::new();
    let mut refused = None;
    let taken = loop {
        match timeout(SOON, supervisor.events.recv()).await.unwrap() {
            Some(Event::Incoming(Incoming::Joined { peer, .. })) => {
                let sdp = OFFER.to_owned();
                let message = Message::Offer { sdp };
                supervisor.send(Outgoing::Message { peer, message });
            }
            Some(Event::Incoming(Incoming::Message { .. })) => break Instant::now(),
            Some(Event::Down {
                reason, reached, ..
            }) => {
                assert!(!reached, "it has never taken us");
                refused = Some(Instant::now());
                reasons.push(reason);
            }
            Some(Event::Failed(error)) => panic!("{error}"),
            Some(_) => (),
            None => panic!("it has ended"),
        }
    };
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("nobody waits"), "{reasons:?}");
    assert!(reasons[1].contains("busy"), "{reasons:?}");
    // It is left in peace for as long as it has asked for.
    let wait = taken - refused.unwrap();
    assert!(wait >= Duration::from_secs(1), "{wait:?}");
    assert_eq!(posts.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_has_worked_once_is_tried_again() {
    let posts = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = Server::new(move |asked| match asked.method {
        Method::POST if posts.fetch_add(1, Ordering::Relaxed) > 0 => response(404, &[], ""),
        _ => good(asked),
    })
    .await;
    let mut up = Up::new(&server.uri(), None).await;
    up.offer().await;
    up.recv().await;
    let end = Outgoing::End {
        peer: up.peer.clone(),
        reason: "no path".to_owned(),
    };
    up.connection.outgoing.send(end).await.unwrap();
    assert!(matches!(up.recv().await, Some(Incoming::Left { .. })));
    assert_eq!(up.recv().await, None);
    let error = up.signaller.lost().await.unwrap();
    assert!(error.to_string().contains("no path"), "{error}");

    let mut connection = up.signaller.connect().await.unwrap();
    let joined = connection.incoming.recv().await;
    let Some(Incoming::Joined { peer, .. }) = joined else {
        panic!("{joined:?}")
    };
    assert_ne!(peer, up.peer, "it is another session");
    let again = Up {
        signaller: up.signaller,
        connection,
        peer,
        info: up.info,
    };
    again.offer().await;
    assert!(matches!(again.lost().await, SignallerError::Transient(_)));
}

#[tokio::test]
async fn answers_that_are_none_end_the_session_on_both_sides() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Headers, bool); 3] = [
        (&[IS_SDP], false),
        (&[("location", "ftp://a/b"), IS_SDP], false),
        (
            &[("location", "/session"), ("content-type", "text/html")],
            true,
        ),
    ];
    for (headers, deleted) in cases {
        let mut server = Server::new(move |_| response(201, headers, ANSWER)).await;
        let up = Up::new(&server.uri(), None).await;
        up.offer().await;
        up.lost().await;
        let mut methods = Vec::new();
        while let Ok(asked) = server.asked.try_recv() {
            methods.push(asked.method);
        }
        assert_eq!(methods.contains(&Method::DELETE), deleted, "{headers:?}");
    }
}

#[tokio::test]
async fn an_owner_that_refuses_ends_the_session() {
    let server = Server::new(good).await;
    let up = Up::new(&server.uri(), None).await;
    let refusal = Refusal::Busy("max-peers".to_owned());
    let refuse = Outgoing::Refuse {
        peer: up.peer.clone(),
        refusal,
    };
    up.connection.outgoing.send(refuse).await.unwrap();
    let error = up.lost().await;
    assert!(error.to_string().contains("max-peers"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_when_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut signaller = signaller(&format!("whip+http://{address}/"), None);
    let error = signaller.connect().await.unwrap_err();
    assert!(matches!(error, SignallerError::Transient(_)), "{error}");
}

#[test]
fn whoever_watches_is_sent_elsewhere() {
    let uri = SignallingUri::parse("whip+https://example.org/cam").unwrap();
    let options = Options::new(Role::Subscribe, "rtcsrc0");
    let error = open(&uri, &options).err().unwrap();
    assert!(error.0.contains("whep+https"), "{error}");
}

#[test]
fn whoever_publishes_by_whep_is_sent_elsewhere() {
    let uri = SignallingUri::parse("whep+https://example.org/cam").unwrap();
    for role in [Role::Publish, Role::Both] {
        let error = open_whep(&uri, &Options::new(role, "rtcsink0"))
            .err()
            .unwrap();
        assert!(error.0.contains("whip+https"), "{error}");
    }
}

fn whep(server: &Server) -> String {
    format!("whep+http://{}/whep/cam", server.address)
}

#[tokio::test]
async fn a_stream_is_watched_by_the_same_notes() {
    let mut server = Server::new(good).await;
    let mut up = Up::new(&whep(&server), Some("secret")).await;
    assert_eq!(up.info.protocol, "whep");
    assert_eq!(up.info.channel.unwrap().offerer, Offerer::Us);
    assert_eq!(server.asked().await.method, Method::OPTIONS);
    up.offer().await;
    let asked = server.asked().await;
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/whep/cam")
    );
    assert_eq!(asked.header("authorization"), Some("Bearer secret"));
    assert_eq!(asked.body, OFFER);
    let answered = up.recv().await;
    assert!(
        matches!(&answered, Some(Incoming::Message { message: Message::Answer { sdp }, .. }) if sdp == ANSWER),
        "{answered:?}"
    );
    up.trickle().await;
    let asked = server.asked().await;
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("PATCH", "/session/7")
    );
    assert_eq!(asked.header("if-match"), Some("\"x\""));
    assert!(asked.body.contains(CANDIDATE), "{}", asked.body);
    drop(up.connection);
    up.signaller.close().await;
    assert_eq!(server.asked().await.method, Method::DELETE);
}

#[tokio::test]
async fn a_stream_that_cannot_be_watched_says_why() {
    for (status, again) in [(401, false), (404, true), (406, false), (503, true)] {
        let server = Server::new(move |asked: &Asked| match asked.method {
            Method::POST => response(status, &[], "a reason to read"),
            _ => good(asked),
        })
        .await;
        let up = Up::new(&whep(&server), None).await;
        up.offer().await;
        let error = up.lost().await;
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("the WHEP server answered {status}")),
            "{text}"
        );
        assert!(text.contains("a reason to read"), "{text}");
        assert_eq!(
            matches!(error, SignallerError::Transient(_)),
            again,
            "{text}"
        );
    }
}

#[test]
fn a_session_never_leads_from_encryption_to_clear_text() {
    let locate = |base: &str, location: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("location", location.parse().unwrap());
        client::located(Protocol::Whip, &Url::parse(base).unwrap(), &headers).map(String::from)
    };
    assert_eq!(locate("https://a/b/c", "d").unwrap(), "https://a/b/d");
    assert_eq!(locate("http://a/b", "https://c/d").unwrap(), "https://c/d");
    assert_eq!(locate("https://a/b", "//c/d#e").unwrap(), "https://c/d");
    assert!(locate("https://a/b", "http://a/c").is_err());
    assert!(locate("https://a/b", "http://[").is_err());
}

proptest! {
    #[test]
    fn fragments_of_any_offer_never_panic(offer in "(m=|a=mid:|a=ice-ufrag:|\r\n|.){0,40}", candidate in ".*", end in any::<bool>()) {
        let written = Fragments::new(&offer).write(std::slice::from_ref(&candidate), end);
        prop_assert!(written.is_none_or(|text| text.contains("a=ice-pwd:")));
    }

    #[test]
    fn a_candidate_cannot_add_lines(evil in "candidate:.{0,20}[\r\n]a=evil") {
        let written = Fragments::new(OFFER).write(&[evil], false);
        prop_assert!(written.is_none_or(|text| !text.contains("\na=evil")));
    }
}
