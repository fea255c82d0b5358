//! Paths that are lost, and the connections that follow under the same name.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigmund_tests::publisher::Command;
use sigmund_tests::{Host, eventually, page};

use crate::embed::Relayed;
use crate::scenes::SOON;

/// Longer than either side needs to notice, on a busy machine.
const NOTICED: Duration = Duration::from_secs(30);

/// Media are back this long after the path at the latest: a round that had just
/// begun has timed out, and another one has done its work.
const BACK: Duration = Duration::from_secs(20);

/// Drops all UDP at a host's hooks.
fn cut(host: &Host, hooks: &[&str]) {
    let nft = |arguments: &[&str]| host.output("nft", arguments);
    nft(&["add", "table", "inet", "wall"]);
    for hook in hooks {
        let chain = format!("{{ type filter hook {hook} priority 0; }}");
        nft(&["add", "chain", "inet", "wall", hook, &chain]);
        nft(&[
            "add", "rule", "inet", "wall", hook, "meta", "l4proto", "udp", "drop",
        ]);
    }
}

fn mend(host: &Host) {
    host.output("nft", &["delete", "table", "inet", "wall"]);
}

fn peer(it: &Relayed) -> Value {
    it.browser.ask("return sigmund.watch.peer;", &[])
}

/// What the publisher's property `stats` says of the peer.
fn stats(it: &mut Relayed, peer: &Value) -> Value {
    it.publisher.get("cam", "stats")[peer.as_str().unwrap()].clone()
}

/// Why the publisher has begun another round, the first time.
#[track_caller]
fn first_cause(it: &Relayed) -> String {
    eventually(NOTICED, "the publisher begins another round", || {
        let log = it.publisher.log();
        let (_, cause) = log.split_once("gets another connection, after ")?;
        cause.lines().next().map(str::to_owned)
    })
}

/// The path is there again: so is the picture, of the same peer.
#[track_caller]
fn assert_healed(it: &mut Relayed, who: &Value, before: &Value) {
    let start = Instant::now();
    eventually(BACK, "the page plays again", || {
        (it.browser.ask("return sigmund.state;", &[]) == "playing").then_some(())
    });
    eprintln!("media are back {:?} after the path", start.elapsed());
    assert!(page::stamps(&it.browser, 2).distinct() >= 40);
    assert_eq!(peer(it), *who);
    assert_eq!(it.publisher.emissions("peer-added").len(), 1);
    assert_eq!(it.publisher.emissions("peer-removed").len(), 0);
    let after = eventually(SOON, "the numbers go on", || {
        let now = stats(it, who);
        (now["connections"].as_u64()? > 1).then_some(now)
    });
    let sent = |stats: &Value| stats["bytes-sent"].as_u64().unwrap();
    assert!(sent(&after) > sent(before), "{before}, {after}");
    assert!(after["age-ms"].as_u64() > before["age-ms"].as_u64());
    assert_eq!(after["joined-in-ms"], before["joined-in-ms"]);
    eventually(SOON, "what was lost is free", || {
        (it.publisher.ask(Command::Connections) == json!(1)).then_some(())
    });
    it.publisher.assert_healthy();
}

/// Plays, and has been counted.
#[track_caller]
fn playing(it: &mut Relayed) -> (Value, Value) {
    let who = peer(it);
    let before = eventually(SOON, "the first numbers", || {
        let now = stats(it, &who);
        (now["bytes-sent"].as_u64()? > 0).then_some(now)
    });
    assert_eq!(before["connections"], 1);
    (who, before)
}

#[test]
fn what_the_page_notices_first_is_mended_under_the_same_name() {
    let Some(mut it) = Relayed::with("") else {
        return;
    };
    let (who, before) = playing(&mut it);
    // The publisher still hears the page, and is content.
    cut(&it.stage.viewer, &["input"]);
    let cause = first_cause(&it);
    assert!(cause.contains("left: it has lost its path"), "{cause}");
    mend(&it.stage.viewer);
    assert_healed(&mut it, &who, &before);
}

#[test]
fn what_rtcsink_notices_first_is_mended_under_the_same_name() {
    let Some(mut it) = Relayed::with("") else {
        return;
    };
    let (who, before) = playing(&mut it);
    // A page that is slow to notice.
    it.browser.ask(
        "const wait = setTimeout;
         globalThis.setTimeout = (act, ms) => wait(act, ms > 2000 ? ms * 20 : ms);",
        &[],
    );
    cut(&it.stage.viewer, &["input", "output"]);
    let cause = first_cause(&it);
    assert!(cause.contains("nothing heard for"), "{cause}");
    mend(&it.stage.viewer);
    assert_healed(&mut it, &who, &before);
}

#[test]
fn a_path_that_stays_away_is_given_up_and_the_page_joins_anew() {
    let Some(it) = Relayed::with("give-up-time=2000") else {
        return;
    };
    let who = peer(&it);
    cut(&it.stage.viewer, &["input", "output"]);
    let reason = eventually(NOTICED, "it is given up", || {
        it.publisher.emissions("peer-removed").pop()
    });
    assert_eq!(reason, [who.clone(), json!("no network path for 2 s")]);
    mend(&it.stage.viewer);
    eventually(BACK, "the page plays again", || {
        (it.browser.ask("return sigmund.state;", &[]) == "playing").then_some(())
    });
    assert_ne!(peer(&it), who);
}
