//! The commands, their words and their exit codes.

use super::*;

fn failure(words: &[&str]) -> (i32, String) {
    let output = sigmund(words);
    assert_eq!(output.stdout, b"", "{words:?}");
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn help_says_all_that_is_needed() {
    let help = said(&["--help"]);
    for word in ["serve", "token", "Examples:"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let help = said(&["serve", "--help"]);
    for word in [
        "--listen",
        "--config",
        "[limits]",
        "SIGHUP",
        "Exit codes",
        "rtcsink",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(said(&["token", "--help"]).contains("--generate-key"));
    assert!(said(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_is_wrong_is_said_with_the_right_exit_code() {
    let folder = Folder::new("wrong");
    let file = folder.write("a.toml", "log = \"info\"\nlisten = 8080\n");
    for (words, expected) in [
        (
            &["serve", "--config", &file][..],
            "a.toml:2: listen: it takes a text",
        ),
        (&["serve", "--listen", "0.0.0.0:0"], "anonymous"),
        (&["serve", "--listen", "8080"], "ADDRESS:PORT"),
        (&["serve", "--log", "a=b=c"], "log: it takes"),
        (&["serve", "--check", "--key-file", "/nowhere"], "/nowhere"),
        (&["serve", "extra"], "extra"),
        (&["token", "--publish", "--stream", "cam"], "--key-file"),
        (
            &["token", "--key-file", "/nowhere", "--stream", "cam"],
            "--publish",
        ),
        (&["token", "--key-file", "/nowhere", "--view"], "--stream"),
        (
            &[
                "token",
                "--key-file",
                "/nowhere",
                "--view",
                "--stream",
                "cam",
            ],
            "/nowhere",
        ),
    ] {
        let (code, text) = failure(words);
        assert!(
            code == 2 && text.contains(expected),
            "{words:?}: {code} {text}"
        );
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (code, text) = failure(&["serve", "--listen", &taken]);
    assert!(code == 1 && text.contains("in use"), "{code} {text}");
    let (code, text) = failure(&[
        "serve",
        "--tls-certificate",
        "/nowhere",
        "--tls-key",
        "/nowhere",
    ]);
    assert!(
        code == 1 && text.contains("tls-certificate=/nowhere"),
        "{code} {text}"
    );
}

#[test]
fn options_can_be_checked_without_serving() {
    let folder = Folder::new("check");
    folder.write("tokens", "s3cret view cam\n");
    let file = folder.write(
        "a.toml",
        "listen = \"0.0.0.0:1\"\ntoken-file = \"tokens\"\n",
    );
    assert_eq!(said(&["serve", "--check", "--config", &file]), "");
}

#[test]
fn keys_are_made_once_and_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("keys");
    let (secret, pair) = (folder.path("secret"), folder.path("pair"));
    assert_eq!(
        said(&["token", "--generate-key", "--key-file", &secret]),
        ""
    );
    assert_eq!(
        said(&["token", "--generate-key", "eddsa", "--key-file", &pair]),
        ""
    );
    for file in [&secret, &pair] {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let (code, text) = failure(&["token", "--generate-key", "--key-file", &secret]);
    assert!(code == 1 && text.contains("exists"), "{code} {text}");
    let sign = |file: &str| sigmund(&["token", "--key-file", file, "--view", "--stream", "*"]);
    assert!(sign(&secret).status.success());
    assert!(sign(&pair).status.success());
    let public = sign(&format!("{pair}.pub"));
    assert_eq!(public.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&public.stderr).contains("private"));
    // For those who want it in a pipe.
    assert!(said(&["token", "--generate-key"]).trim().len() >= 32);
    assert!(said(&["token", "--generate-key", "eddsa"]).contains("PUBLIC KEY"));
}
