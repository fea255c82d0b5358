//! Where the element listens, and for whom.

use std::fs;

use sigmund_tests::process::log_directory;
use sigmund_tests::viewer::{Manners, Viewer};
use sigmund_tests::{Publisher, http, whep};

use crate::scenes::{PICTURE, Stage};

fn second_picture() -> String {
    PICTURE
        .replace("name=stamp", "")
        .replace("name=picture", "")
}

#[test]
fn without_a_word_it_listens_on_loopback_under_its_own_name() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let hermit = stage.lab.hermit("hermit");
    let mut publisher = Publisher::start(&hermit, &format!("{PICTURE} ! rtcsink name=porch"));
    assert!(publisher.address().starts_with("http://127.0.0.1:8080/"));
    let address = publisher.get("porch", "address");
    assert_eq!(address, publisher.address());
    // There is no other interface: media takes loopback too.
    Viewer::join_silent(&hermit, &publisher.whep("porch")).watch(20);
    publisher.assert_healthy();
}

#[test]
fn port_0_is_any_port() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    let hermit = stage.lab.hermit("hermit");
    let pipeline = format!("{PICTURE} ! rtcsink uri=listen://127.0.0.1:0/a");
    let one = Publisher::start(&hermit, &pipeline);
    let other = Publisher::start(&hermit, &pipeline);
    assert_ne!(one.address(), other.address());
    Viewer::join_silent(&hermit, &other.whep("a")).watch(10);
}

#[test]
fn several_elements_of_a_process_share_a_port() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let pipeline = format!(
        "{PICTURE} ! {} {} ! rtcsink name=other uri=listen://{address}:8080/other allow-anonymous=true",
        stage.sink(""),
        second_picture(),
    );
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    publisher.get("other", "address");
    for stream in ["cam", "other"] {
        let endpoint = publisher.whep(stream);
        Viewer::join_silent(&stage.viewer, &endpoint).watch(10);
    }
    let streams = publisher.whep("").replace("/whep/", "/streams");
    let streams = http::request(&stage.viewer, "GET", &streams, &[], "")
        .expect(200)
        .body;
    assert!(
        streams.contains("cam") && streams.contains("other"),
        "{streams}"
    );
    publisher.assert_healthy();
}

#[test]
fn two_streams_of_one_name_on_one_port_are_an_error() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let pipeline = format!(
        "{PICTURE} ! {} {} ! rtcsink name=other uri=listen://{address}:8080/cam allow-anonymous=true",
        stage.sink(""),
        second_picture(),
    );
    let error = Publisher::start(&stage.server, &pipeline).error();
    assert!(error.contains("cam"), "{error}");
}

#[test]
fn a_port_that_another_program_has_is_an_error_that_says_so() {
    let Some(stage) = Stage::new() else { return };
    let first = stage.show("");
    first.address();
    let error = stage.show("").error();
    assert!(error.contains("8080"), "{error}");
}

#[test]
fn uris_that_mean_nothing_are_errors_that_name_the_schemes() {
    let Some(stage) = Stage::new() else { return };
    for uri in [
        "nonsense://somewhere/cam",
        "listen",
        "listen://10.77.0.1:99999/cam",
    ] {
        let pipeline = format!("{PICTURE} ! rtcsink uri=\"{uri}\"");
        let error = Publisher::start(&stage.server, &pipeline).error();
        assert!(error.contains("listen://"), "{uri}: {error}");
    }
}

#[test]
fn off_loopback_it_wants_a_token_or_a_word() {
    let Some(stage) = Stage::new() else { return };
    let pipeline = format!(
        "{PICTURE} ! rtcsink uri=listen://{}:8080/cam",
        stage.server.address()
    );
    let error = Publisher::start(&stage.server, &pipeline).error();
    assert!(
        error.contains("token") && error.contains("allow-anonymous"),
        "{error}"
    );
}

#[test]
fn a_token_is_asked_for_and_taken() {
    let Some(stage) = Stage::new() else { return };
    let address = stage.server.address();
    let pipeline = format!("{PICTURE} ! rtcsink uri=listen://{address}:8080/cam token=open-sesame");
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    let endpoint = publisher.whep("cam");
    let with = |token: Option<&str>| Manners {
        audio: false,
        token: token.map(str::to_owned),
        ..Manners::default()
    };
    for wrong in [None, Some("open-barley")] {
        let refusal = Viewer::try_join(&stage.viewer, &endpoint, with(wrong)).unwrap_err();
        assert!(refusal.expect(401).header("www-authenticate").is_some());
    }
    let viewer = Viewer::try_join(&stage.viewer, &endpoint, with(Some("open-sesame"))).unwrap();
    viewer.watch(10);
    assert!(!publisher.log().contains("open-sesame"));
    assert!(!publisher.address().contains("open-sesame"));
    publisher.assert_healthy();
}

#[test]
fn there_is_room_for_max_peers_and_no_more() {
    let Some(stage) = Stage::new() else { return };
    let mut publisher = stage.show("max-peers=2");
    let endpoint = publisher.whep("cam");
    let join = || Viewer::try_join(&stage.viewer, &endpoint, Manners::silent());
    let (one, two) = (join().unwrap(), join().unwrap());
    one.watch(5);
    two.watch(5);
    join().unwrap_err().expect(503);
    one.leave();
    let third = sigmund_tests::eventually(crate::scenes::SOON, "a place is free", || join().ok());
    third.watch(5);
    publisher.assert_healthy();
}

#[test]
fn the_endpoint_speaks_whep_to_the_letter() {
    let Some(stage) = Stage::new() else { return };
    let publisher = stage.show("ice-servers=stun://10.77.0.9");
    let endpoint = publisher.whep("cam");
    let offer = sigmund_tests::viewer::offer(&stage.viewer, &Manners::silent());
    let resource = whep::offer(&stage.viewer, &endpoint, &offer, None).unwrap();
    let response = &resource.response;
    assert_eq!(response.header("content-type"), Some("application/sdp"));
    let links = response.headers("link");
    assert!(
        links
            .iter()
            .any(|l| l.contains("stun:10.77.0.9") && l.contains("ice-server")),
        "{links:?}"
    );
    let options = http::request(&stage.viewer, "OPTIONS", &endpoint, &[], "");
    assert!((200..205).contains(&options.status), "{options:?}");
    assert!(options.header("accept-post").is_some());

    let ufrag = sigmund_tests::description::attribute(&offer, "ice-ufrag").unwrap();
    let mid = sigmund_tests::description::attribute(&offer, "mid").unwrap();
    let fragment = format!(
        "a=ice-ufrag:{ufrag}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n\
         a=candidate:9 1 udp 1 {} 9 typ host\r\na=end-of-candidates\r\n",
        stage.viewer.address()
    );
    resource.patch(&stage.viewer, &fragment).expect(204);
    let stale = whep::Resource {
        etag: "\"another\"".into(),
        ..resource.clone()
    };
    stale.patch(&stage.viewer, &fragment).expect(412);
    resource.delete(&stage.viewer).expect(200);
    resource.delete(&stage.viewer).expect(404);
    resource.patch(&stage.viewer, &fragment).expect(404);
}

#[test]
fn files_that_are_of_no_use_are_refused_at_the_start() {
    let Some(stage) = Stage::new() else { return };
    let bare = log_directory().join("bare.pem");
    fs::write(&bare, "nothing").unwrap();
    let bare = bare.to_string_lossy();
    let dialled = "uri=sigmund+wss://10.77.0.1:9/cam";
    let served = "uri=listen://127.0.0.1:0/cam";
    let (missing, none) = ("No such file", "certificate");
    for (properties, property, file, why) in [
        (dialled, "tls-ca", "/nowhere.pem", missing),
        (dialled, "tls-ca", &bare, none),
        (
            "ice-servers=turns://a:b@10.77.0.9",
            "tls-ca",
            "/nowhere.pem",
            missing,
        ),
        (served, "tls-certificate", "/nowhere.pem", missing),
        (served, "tls-certificate", &bare, "PEM"),
    ] {
        let other = match property {
            "tls-certificate" => format!("tls-key={bare}"),
            _ => String::new(),
        };
        for element in [format!("{PICTURE} ! rtcsink"), "rtcsrc".to_owned()] {
            let pipeline = format!("{element} {properties} {property}={file} {other}");
            let publisher = Publisher::start(&stage.server, &pipeline);
            let error = publisher.error();
            let named = format!("{property}={file}");
            assert!(
                error.contains(&named) && error.contains(why),
                "{pipeline}: {error}"
            );
        }
    }
}
