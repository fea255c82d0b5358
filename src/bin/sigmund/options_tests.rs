use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::setup;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn flags(words: &[&str]) -> Options {
    let words = ["sigmund"].iter().chain(words);
    Line::try_parse_from(words).unwrap().options
}

/// A directory of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("sigmund-options-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file and flags that say everything, each in its own way.
const FILE: &str = r#"
listen = "0.0.0.0:8443"
tls-certificate = "cert.pem"
tls-key = "/keys/key.pem"
anonymous = "view"
token-file = "tokens"
key-file = ["one", "two"]
allowed-host = "cam.example"
allowed-origin = ["https://a.example", "https://b.example"]
ice-server = "stun://stun.example"
turn-server = ["turn://turn.example?transport=udp", "turns:turn.example"]
turn-secret-file = "secret"
turn-ttl = "1h 30m"
metrics-listen = "[::1]:9000"
log = "debug"
log-format = "json"

[limits]
connections = 7
idle-timeout = "2m"
"#;

const FLAGS: &[&str] = &[
    "--listen",
    "0.0.0.0:8443",
    "--tls-certificate",
    "cert.pem",
    "--tls-key",
    "/keys/key.pem",
    "--anonymous",
    "view",
    "--token-file",
    "tokens",
    "--key-file",
    "one",
    "--key-file",
    "two",
    "--allowed-host",
    "cam.example",
    "--allowed-origin",
    "https://a.example",
    "--allowed-origin",
    "https://b.example",
    "--ice-server",
    "stun://stun.example",
    "--turn-server",
    "turn://turn.example?transport=udp",
    "--turn-server",
    "turns:turn.example",
    "--turn-secret-file",
    "secret",
    "--turn-ttl",
    "1h 30m",
    "--metrics-listen",
    "[::1]:9000",
    "--log",
    "debug",
    "--log-format",
    "json",
    "--limit",
    "connections=7",
    "--limit",
    "idle-timeout=2m",
];

#[test]
fn a_file_and_the_command_line_say_the_same() {
    let folder = Folder::new("same");
    let file = folder.write("a.toml", FILE);
    assert_eq!(Options::read(&file).unwrap(), flags(FLAGS));
}

#[test]
fn the_command_line_wins_option_by_option() {
    let folder = Folder::new("wins");
    let file = folder.write("a.toml", FILE);
    let words = [
        "--listen",
        "127.0.0.1:1",
        "--key-file",
        "x",
        "--limit",
        "connections=8",
    ];
    let options = setup::options(Some(&file), &flags(&words)).unwrap();
    assert_eq!(options.listen, Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(
        options.key_file,
        ["x"].map(PathBuf::from),
        "relative to where it was typed"
    );
    assert_eq!(
        options.token_file,
        Some(folder.0.join("tokens")),
        "relative to the file"
    );
    assert_eq!(options.tls_key, Some("/keys/key.pem".into()));
    let mut limits = sigmund::access::Limits::default();
    for limit in &options.limits {
        limit.set(&mut limits).unwrap();
    }
    assert_eq!(
        (limits.connections, limits.idle_timeout.as_secs()),
        (8, 120)
    );
}

#[test]
fn a_wrong_line_is_named_with_its_key_and_what_it_takes() {
    let folder = Folder::new("wrong");
    for (line, words) in [
        ("listen = \"localhost\"", "listen: it takes ADDRESS:PORT"),
        ("listen = \"http://a:80\"", "listen: it takes ADDRESS:PORT"),
        ("listen = 8080", "listen: it takes a text in quotes"),
        ("listn = \"a:1\"", "unknown field `listn`"),
        ("anonymous = true", "anonymous: it takes a text in quotes"),
        (
            "anonymous = \"everybody\"",
            "anonymous: it takes one of nobody, view, all",
        ),
        (
            "log-format = \"xml\"",
            "log-format: it takes one of text, json",
        ),
        (
            "key-file = 3",
            "key-file: it takes a text in quotes, or a list",
        ),
        (
            "ice-server = [\"turn:hush@x\"]",
            "ice-server: bad ICE server",
        ),
        (
            "turn-server = \"turn://u:hush@x\"",
            "turn-server: it takes turn://HOST",
        ),
        (
            "turn-server = \"stun:x\"",
            "turn-server: it takes turn://HOST",
        ),
        (
            "turn-ttl = \"10\"",
            "turn-ttl: it takes a time with its unit",
        ),
        (
            "turn-ttl = \"200000000000y\"",
            "turn-ttl: it takes at most 100 years",
        ),
        ("listen = ", "listen: "),
        (
            "limits = { connections = \"many\" }",
            "limit connections: it takes a whole number",
        ),
        (
            "limits = { idle-timeout = 10 }",
            "limit idle-timeout: it takes a time",
        ),
        (
            "limits = { size = 10 }",
            "there is no limit size; there are: connections,",
        ),
        ("limits = { head = [1] }", "limit head: it takes a number"),
    ] {
        let file = folder.write("a.toml", &format!("# first\nlog = \"info\"\n{line}\n"));
        let error = Options::read(&file).unwrap_err();
        let place = format!("{}:3: ", file.display());
        assert!(
            error.starts_with(&place) && error.contains(words),
            "{line}: {error}"
        );
        assert!(!error.contains("hush"), "{error}");
    }
    let error = Options::read(&folder.0.join("none.toml")).unwrap_err();
    assert!(error.contains("none.toml"), "{error}");
}

fn failure(words: &[&str]) -> String {
    let options = flags(words);
    setup::place(&options)
        .and_then(|place| setup::terms(&options, &place).map(|terms| (terms, place)))
        .and_then(|(terms, place)| {
            terms
                .check(place.listen.ip())
                .map_err(|error| error.to_string())
        })
        .unwrap_err()
}

#[test]
fn what_does_not_go_together_is_explained() {
    let folder = Folder::new("together");
    let path = |name, text| folder.write(name, text).display().to_string();
    let (empty, tokens) = (
        path("empty", "\n"),
        path("tokens", "a view cam\nb look cam\n"),
    );
    for (words, expected) in [
        (&["--listen", "0.0.0.0:0"][..], "token-file or key-file"),
        (
            &["--listen", "0.0.0.0:0", "--anonymous", "nobody"],
            "token-file or key-file",
        ),
        (&["--tls-key", "k"], "tls-key needs tls-certificate"),
        (&["--tls-certificate", "k"], "tls-certificate needs tls-key"),
        (
            &["--turn-server", "turn:x"],
            "turn-server needs turn-secret-file",
        ),
        (
            &["--turn-secret-file", "x"],
            "turn-secret-file needs a turn-server",
        ),
        (
            &["--turn-server", "turn:x", "--turn-secret-file", &empty],
            "it is empty",
        ),
        (&["--turn-ttl", "0s"], "good for a second at least"),
        (&["--key-file", &empty], "at least 32"),
        (&["--key-file", "/nowhere/key"], "key-file /nowhere/key"),
        (&["--token-file", &tokens], "line 2: the rights are"),
        (
            &["--listen", "no-such-host.invalid:1"],
            "cannot listen on no-such-host.invalid:1",
        ),
    ] {
        let error = failure(words);
        assert!(error.contains(expected), "{words:?}: {error}");
    }
}

#[test]
fn who_may_come_follows_from_the_address_and_the_tokens() {
    use sigmund::access::Action::{Metrics, Publish, View};
    let folder = Folder::new("who");
    let tokens = folder
        .write("tokens", "s3cret publish cam\n")
        .display()
        .to_string();
    for (words, view, publish) in [
        (&["--listen", "127.0.0.1:0"][..], true, true),
        (&["--token-file", &tokens], false, false),
        (
            &["--token-file", &tokens, "--anonymous", "view"],
            true,
            false,
        ),
        (
            &["--listen", "0.0.0.0:0", "--token-file", &tokens],
            false,
            false,
        ),
        (&["--listen", "0.0.0.0:0", "--anonymous", "all"], true, true),
    ] {
        let options = flags(words);
        let place = setup::place(&options).unwrap();
        let auth = setup::terms(&options, &place).unwrap().auth;
        let may = |action| auth.check(None, action, Some("cam"), 0).is_ok();
        assert_eq!(
            (may(View), may(Publish), may(Metrics)),
            (view, publish, false),
            "{words:?}"
        );
        let known = auth.check(Some("s3cret"), Publish, Some("cam"), 0);
        assert!(known.is_ok(), "{words:?}");
    }
}

#[test]
fn every_option_is_in_help_and_file_alike() {
    use clap::CommandFactory;
    let line = Line::command();
    let known = Options::read(&Folder::new("known").write("a.toml", "x = 1")).unwrap_err();
    for arg in line.get_arguments().filter(|arg| arg.get_id() != "help") {
        let name = arg.get_long().unwrap();
        let in_file = if name == "limit" { "limits" } else { name };
        assert!(
            known.contains(&format!("`{in_file}`")),
            "{name} is not in {known}"
        );
        assert!(arg.get_help().is_some(), "{name} has no help");
    }
}
