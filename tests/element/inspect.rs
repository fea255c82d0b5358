//! The element as `gst-inspect-1.0` and its documents show it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use gst::prelude::*;
use sigmund_tests::process::Process;
use sigmund_tests::publisher::plugin_directory;
use sigmund_tests::{Lab, eventually, http, media};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rtcsink() -> gst::Element {
    made("rtcsink")
}

fn made(element: &str) -> gst::Element {
    gst::init().unwrap();
    gst::Registry::get().scan_path(plugin_directory());
    gst::ElementFactory::make(element)
        .build()
        .expect("the plugin is found")
}

#[test]
fn every_property_says_what_it_is_for() {
    for element in ["rtcsink", "rtcsrc", "rtcpeer"].map(made) {
        for property in element.list_properties() {
            if property.owner_type() != element.type_() {
                continue;
            }
            let blurb = property.blurb().unwrap_or_default();
            assert!(blurb.len() > 10, "{} says {blurb:?}", property.name());
        }
        let factory = element.factory().unwrap();
        for what in ["klass", "long-name"] {
            let text = factory.metadata(what).unwrap();
            assert!(text.contains("WebRTC"), "{what} is {text:?}");
        }
        assert!(element.type_().name().starts_with("Sigmund"));
    }
}

/// As `GST_DEBUG_DUMP_DOT_DIR` writes them down, and whatever else lists properties.
#[test]
fn what_is_secret_cannot_be_read_back() {
    for element in ["rtcsink", "rtcsrc", "rtcpeer"].map(made) {
        let name = element.name();
        element.set_property("token", "hush-token");
        element.set_property("turn-secret", "hush-secret");
        element.set_property("ice-servers", "stun://a,turn://joe:hush-password@b");
        let shown = element.property::<String>("ice-servers");
        assert_eq!(shown, "stun://a:3478,turn://joe:***@b:3478", "{name}");
        let pipeline = gst::Pipeline::new();
        pipeline.add(&element).unwrap();
        let graph = pipeline.debug_to_dot_data(gst::DebugGraphDetails::all());
        assert!(graph.contains("turn://joe"), "{name}: no properties");
        assert!(!graph.contains("hush"), "{name}: {graph}");
    }
}

#[test]
fn players_find_the_source_by_its_uris() {
    let source = made("rtcsrc");
    let factory = source.factory().unwrap();
    let schemes = factory.uri_protocols();
    for scheme in [
        "whep+http",
        "whep+https",
        "sigmund+ws",
        "sigmund+wss",
        "janus+ws",
        "janus+wss",
    ] {
        assert!(schemes.iter().any(|it| it == scheme), "{schemes:?}");
    }
    for scheme in ["listen", "stdio", "app", "file"] {
        assert!(!schemes.iter().any(|it| it == scheme), "{schemes:?}");
    }
    let handler = source.dynamic_cast::<gst::URIHandler>().unwrap();
    let error = handler.set_uri("listen://127.0.0.1:0/cam").unwrap_err();
    assert!(error.matches(gst::URIError::UnsupportedProtocol), "{error}");
}

#[test]
fn the_readme_names_only_properties_that_there_are() {
    let element = rtcsink();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme
        .lines()
        .skip_while(|l| !l.starts_with("### The properties"));
    let table = table.skip_while(|l| !l.starts_with("| `"));
    let rows: Vec<_> = table.take_while(|l| l.starts_with("| `")).collect();
    let names = rows.iter().flat_map(|row| {
        let names = row.split('|').nth(1).unwrap_or_default().split(',');
        names.map(|name| name.trim().trim_matches('`'))
    });
    let mut known = 0;
    for name in names {
        assert!(
            element.find_property(name).is_some(),
            "README names {name}; there is none"
        );
        known += 1;
    }
    assert!(known > 10, "the table of properties was not found");
}

/// Each `sh` block of the README and each file in pipelines/, as they stand.
fn lines() -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (number, block) in readme.split("```sh\n").skip(1).enumerate() {
        let text = block.split("```").next().unwrap_or_default();
        if text.contains("gst-launch-1.0") {
            lines.push((format!("README {}", number + 1), text.to_owned()));
        }
    }
    for entry in fs::read_dir(root().join("pipelines")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        lines.push((name, fs::read_to_string(entry.path()).unwrap()));
    }
    lines.sort();
    lines
}

/// What a file in pipelines/ is given, by the first word of its usage that asks
/// for something.
fn arguments(text: &str) -> Vec<String> {
    let webm = || {
        media::file(
            "short.webm",
            "videotestsrc num-buffers=90 ! vp8enc deadline=1 ! webmmux",
        )
    };
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    if text.contains(".webm") {
        vec![path(webm())]
    } else if text.contains("FILE.mp4") {
        let mp4 = "videotestsrc num-buffers=90 ! x264enc tune=zerolatency ! h264parse ! mp4mux";
        vec![path(media::file("short.mp4", mp4))]
    } else if text.contains("FILE.mkv") {
        let directory = sigmund_tests::process::log_directory();
        vec![path(directory.join("recorded.mkv"))]
    } else if text.contains("realpath") {
        vec![path(media::clip())]
    } else if text.contains("ice-servers") {
        vec!["stun://127.0.0.1".into()]
    } else if text.contains("tls-certificate") {
        certificate()
    } else {
        Vec::new()
    }
}

fn certificate() -> Vec<String> {
    let directory = sigmund_tests::process::log_directory();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| directory.join(name));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    [certificate, key]
        .map(|path| path.to_string_lossy().into_owned())
        .to_vec()
}

#[test]
fn each_line_that_people_paste_runs() {
    for (name, text) in lines() {
        if text.contains("v4l2src") {
            continue;
        }
        let Some(mut lab) = Lab::new() else { return };
        let hermit = lab.hermit("hermit");
        // There is neither screen nor loudspeaker here.
        let text = text.replace("autovideosink", "fakesink");
        let text = text.replace("autoaudiosink", "fakesink");
        let mut command = hermit.command("sh");
        command.args(["-c", &text, "sh"]).args(arguments(&text));
        command.env("GST_PLUGIN_PATH", plugin_directory());
        let mut process = Process::spawn("pasted", command);
        let address = eventually(Duration::from_secs(15), &name, || {
            let log = process.log();
            assert!(
                !log.contains("ERROR") && !log.contains("queues") && !process.has_ended(),
                "{name}: {log}"
            );
            let doing = ["Watch at ", "Publish at ", "Call at "];
            let (_, address) = doing.iter().find_map(|it| log.split_once(it))?;
            let address = address.split_whitespace().next()?;
            let page = address.split('#').next().unwrap_or_default();
            page.ends_with('/').then(|| page.to_owned())
        });
        if address.starts_with("http://") {
            http::request(&hermit, "GET", &format!("{address}healthz"), &[], "").expect(200);
        }
    }
}

#[test]
fn gst_inspect_lists_the_plugin() {
    let output = Command::new("gst-inspect-1.0")
        .arg("sigmund")
        .env("GST_PLUGIN_PATH", plugin_directory())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success()
            && ["rtcsink", "rtcsrc", "rtcpeer"]
                .iter()
                .all(|it| text.contains(it)),
        "{text}"
    );
}
