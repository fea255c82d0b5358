//! Who may know whom.

use crate::source::{Source, Token, assert_none, sources};

/// The modules that may open sockets, tell the time, and wait; and the list of all
/// parsers, which is for tests.
const NET: [&str; 6] = [
    "src/signaller/",
    "src/server/",
    "src/tunnel",
    "src/turn_check",
    "src/bin/",
    "src/fuzzing.rs",
];

/// Reports each place where `breaks` says why it is wrong. It is given the
/// tokens from that place on.
fn check(sources: &[Source], breaks: impl Fn(&Source, &[Token]) -> Option<&'static str>) {
    let mut breaches = Vec::new();
    for source in sources {
        let tokens = source.tokens();
        for start in 0..tokens.len() {
            if let Some(why) = breaks(source, &tokens[start..]) {
                let token = &tokens[start];
                breaches.push(format!(
                    "{}:{}: {} {why}",
                    source.path, token.line, token.text
                ));
            }
        }
    }
    assert_none(&breaches);
}

/// Do the tokens begin with this path (`["crate", "server"]`)?
fn begins_with(tokens: &[Token], path: &[&str]) -> bool {
    let mut words = tokens
        .iter()
        .filter(|t| t.text != ":")
        .map(|t| t.text.as_str());
    path.iter().all(|word| words.next() == Some(word))
        && tokens
            .get(1)
            .is_some_and(|t| path.len() == 1 || t.text == ":")
}

#[test]
fn src_knows_nothing_of_gstreamer() {
    check(&sources(&["src"]), |_, tokens| {
        let foreign = ["gst", "glib", "gstreamer", "gio"].contains(&tokens[0].text.as_str());
        foreign.then_some("belongs to plugins/")
    });
}

#[test]
fn what_decides_opens_no_socket_and_reads_no_clock() {
    let pure: Vec<_> = sources(&["src"])
        .into_iter()
        .filter(|source| !NET.iter().any(|net| source.path.starts_with(net)))
        .collect();
    assert!(pure.len() > 5);
    check(&pure, |_, tokens| {
        let word = tokens[0].text.as_str();
        let stacks = ["tokio", "axum", "hyper", "rustls", "async_tungstenite"];
        let sockets = ["TcpStream", "TcpListener", "UdpSocket"];
        let clocks = ["Instant", "SystemTime"];
        if stacks.contains(&word) || sockets.contains(&word) {
            Some("is for the net modules")
        } else if ["server", "signaller", "tunnel", "turn_check"]
            .iter()
            .any(|net| begins_with(tokens, &["crate", net]))
        {
            Some("reaches up into the net modules")
        } else if clocks
            .iter()
            .any(|clock| begins_with(tokens, &[clock, "now"]))
        {
            Some("reads a clock; time is an argument")
        } else {
            None
        }
    });
}

#[test]
fn webrtcbin_is_known_in_one_folder() {
    check(&sources(&["plugins"]), |source, tokens| {
        let there = source.path.contains("/src/webrtcbin/");
        (tokens[0].text == "\"webrtcbin\"" && !there).then_some("belongs to webrtcbin/")
    });
}

#[test]
fn elements_know_neither_each_other_nor_webrtcbin() {
    let elements = ["sink", "source", "duplex"];
    check(&sources(&["plugins"]), |source, tokens| {
        let own = elements
            .iter()
            .find(|e| source.path.contains(&format!("/src/{e}/")))?;
        let other = |e: &&str| e != own && begins_with(tokens, &["crate", e]);
        if elements.iter().any(other) {
            Some("reaches into another element")
        } else if begins_with(tokens, &["crate", "webrtcbin"]) {
            Some("reaches past the driver into webrtcbin")
        } else {
            None
        }
    });
}

#[test]
fn what_is_below_an_element_does_not_know_it() {
    check(&sources(&["plugins"]), |source, tokens| {
        let below = ["driver", "media", "data", "webrtcbin", "runtime", "isolate"];
        below
            .iter()
            .find(|e| source.path.contains(&format!("/src/{e}")))?;
        let elements = ["sink", "source", "duplex"];
        let up = elements.iter().any(|e| begins_with(tokens, &["crate", e]));
        up.then_some("reaches up into an element")
    });
}

#[test]
fn nothing_is_called_utils() {
    let mut breaches = Vec::new();
    for source in sources(&["src", "plugins", "tests"]) {
        let names = ["util", "utils", "helper", "helpers", "common", "misc"];
        let parts = source.path.trim_end_matches(".rs").split('/');
        if parts.into_iter().any(|part| names.contains(&part)) {
            breaches.push(format!("{}: says nothing of what is in it", source.path));
        }
    }
    assert_none(&breaches);
}
