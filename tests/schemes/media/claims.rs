//! What a viewer's token allows, as far as only the publisher can watch over
//! it: signed by `sigmund token`, read by `sigmund serve`, obeyed by `rtcsink`.

use std::thread;
use std::time::Duration;

use sigmund_tests::viewer::{ChannelConfig, Manners, Viewer};
use sigmund_tests::{Host, Publisher, Relay, eventually, relay};

use super::Stage;
use crate::SOON;
use crate::server::Folder;

/// What one token allows, in bit/s.
const MOST: u64 = 500_000;

/// What is sent to those whose token says nothing, in bit/s.
const START: u64 = 2_000_000;

/// How long what arrives is counted.
const WINDOW: Duration = Duration::from_secs(4);

/// A key, a server that trusts it, and tokens for both sides.
struct Guarded {
    folder: Folder,
    relay: Relay,
    endpoint: String,
}

impl Guarded {
    fn new(name: &str, host: &Host) -> Self {
        let folder = Folder::new(name);
        let key = folder.0.join("key");
        let key = key.to_str().expect("it is readable");
        relay::said(&["token", "--generate-key", "hs256", "--key-file", key]);
        Self {
            relay: Relay::start(host, &["--key-file", key]),
            endpoint: format!("http://{}:8080/whep/cam", host.address()),
            folder,
        }
    }

    fn token(&self, rights: &[&str]) -> String {
        let key = self.folder.0.join("key");
        let key = key.to_str().expect("it is readable");
        let mint = ["token", "--key-file", key, "--stream", "cam"];
        relay::said(&[&mint, rights].concat()).trim().to_owned()
    }

    fn publish(&self, host: &Host, pipeline: &str) -> Publisher {
        let (uri, token) = (self.relay.uri("cam"), self.token(&["--publish"]));
        let sink = format!("rtcsink name=live uri={uri} token={token}");
        let publisher = Publisher::start(host, &pipeline.replace("SINK", &sink));
        // Who may not look sees no list: it is there when somebody gets in.
        eventually(SOON, "the stream is there", || {
            self.try_watch(host, &["--view"], Manners::silent())
        });
        publisher
    }

    fn try_watch(&self, host: &Host, rights: &[&str], manners: Manners) -> Option<Viewer> {
        let token = Some(self.token(rights));
        Viewer::try_join(host, &self.endpoint, Manners { token, ..manners }).ok()
    }

    #[track_caller]
    fn watch(&self, host: &Host, rights: &[&str], manners: Manners) -> Viewer {
        let viewer = self.try_watch(host, rights, manners);
        viewer.expect("the token lets it in")
    }
}

/// One that brings the channel `data_0`.
fn with_channel() -> Manners {
    let chat = ChannelConfig {
        label: "data_0".into(),
        ..ChannelConfig::default()
    };
    Manners {
        channels: vec![chat],
        ..Manners::silent()
    }
}

#[test]
fn without_the_right_a_viewer_has_pictures_and_no_channel() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let guarded = Guarded::new("data-right", &stage.lab.host("relay"));
    let mut publisher = guarded.publish(
        &stage.publisher,
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! queue ! \
         SINK video-codecs=VP8 appsrc name=chat is-live=true ! live.data_0",
    );
    let without = guarded.watch(&stage.viewer, &["--view"], with_channel());
    let with = guarded.watch(&stage.viewer, &["--view", "--data"], with_channel());
    with.has_channel("data_0");
    without.watch(30);
    let line = |viewer: &Viewer| {
        let answer = &viewer.resource().answer;
        let line = answer.lines().find(|it| it.starts_with("m=application"));
        line.expect("each m-line is answered").to_owned()
    };
    assert!(line(&without).starts_with("m=application 0 "));
    assert!(!line(&with).starts_with("m=application 0 "));
    assert!(without.seen().channels.is_empty());
    publisher.assert_healthy();
}

/// Bit/s of video.
fn rate(viewer: &Viewer) -> u64 {
    let before = viewer.seen().bytes;
    thread::sleep(WINDOW);
    (viewer.seen().bytes - before) * 8 / WINDOW.as_secs()
}

#[test]
fn the_most_that_a_token_allows_is_the_most_that_is_sent() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let guarded = Guarded::new("most-bitrate", &stage.lab.host("relay"));
    // Snow takes whatever it is given.
    let mut publisher = guarded.publish(
        &stage.publisher,
        &format!(
            "videotestsrc is-live=true pattern=snow ! \
             video/x-raw,width=320,height=240,framerate=15/1 ! queue ! \
             SINK video-codecs=H264 min-bitrate=100000 start-bitrate={START}"
        ),
    );
    let free = guarded.watch(&stage.viewer, &["--view"], Manners::silent());
    free.watch(30);
    let freely = rate(&free);
    drop(free);
    let most = MOST.to_string();
    let rights = ["--view", "--max-bitrate", &most];
    let bound = guarded.watch(&stage.viewer, &rights, Manners::silent());
    bound.watch(30);
    let bound = rate(&bound);
    // Encoders aim, and hit in the mean.
    assert!(bound < MOST * 5 / 4, "{bound} bit/s of {MOST}");
    assert!(freely > MOST * 2, "{freely} bit/s without a bound");
    publisher.assert_healthy();
}
