//! `janus+ws://`: a crowd of browsers, served by Janus out of one upload.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fantoccini::wd::WindowHandle;
use serde_json::Value;
use sigmund_tests::browser::{self, Browser, Kind};
use sigmund_tests::process::Process;
use sigmund_tests::publisher::Command;
use sigmund_tests::web::host_page;
use sigmund_tests::{Host, Publisher, eventually, page};

use super::{PLAIN, STAMPED, Stage, documented, serve};
use crate::SOON;
use crate::janus::{arguments, configure};
use crate::server::{Folder, installed};

const PORT: u16 = 8188;

/// A real Janus on a host of its own, with a room 1234.
pub(super) struct Gateway {
    process: Process,
    program: PathBuf,
    host: Host,
    folder: Folder,
}

impl Gateway {
    pub(super) fn start(stage: &mut Stage) -> Option<Self> {
        let program = installed("janus", "Debian package janus")?;
        let host = stage.lab.host("janus");
        let folder = Folder::new("janus-media");
        configure(&folder, &host.address().to_string(), PORT, "", false);
        Some(Self {
            process: spawn(&host, &program, &folder),
            program,
            host,
            folder,
        })
    }

    pub(super) fn uri(&self) -> String {
        format!("janus+ws://{}/1234", self.host.address())
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    pub(super) fn restart(&mut self) {
        self.process = spawn(&self.host, &self.program, &self.folder);
    }
}

/// A room of it, a publisher in it, and a browser in front of it.
struct Room {
    browser: Browser,
    tabs: Vec<WindowHandle>,
    publisher: Publisher,
    janus: Gateway,
    _stage: Stage,
}

impl Room {
    /// With so many tabs of a browser that watch.
    fn new(tabs: usize) -> Option<Self> {
        let mut stage = Stage::new()?;
        let janus = Gateway::start(&mut stage)?;
        let address = janus.host.address().to_string();
        let replaced = [("janus.example", address.as_str()), (PLAIN, STAMPED)];
        let pipeline = documented::pipeline("janus+ws", &replaced);
        let publisher = Publisher::start(&stage.publisher, &pipeline);
        let html = format!(
            "<!doctype html><title>A room</title><video autoplay muted playsinline></video>
             <script>{}
               room.watch('ws://{}:{PORT}/', 1234, document.querySelector('video'));
             </script>",
            include_str!("janus.js"),
            janus.host.address()
        );
        let address = host_page(&stage.viewer, &html);
        let browser = Browser::start(&stage.viewer, Kind::Chromium);
        let open = |_| {
            let tab = browser.new_window();
            browser.open(&address);
            tab
        };
        Some(Self {
            tabs: (0..tabs).map(open).collect(),
            browser,
            publisher,
            janus,
            _stage: stage,
        })
    }

    /// When each tab showed the first frame of its `round`th connection.
    #[track_caller]
    fn await_pictures(&self, round: usize) -> Vec<u64> {
        let shown = |tab: &WindowHandle| {
            self.browser.switch_to(tab.clone());
            eventually(SOON * 2, "a picture in each tab", || {
                let state = self.browser.ask("return room.shown;", &[]);
                state[round].as_u64()
            })
        };
        self.tabs.iter().map(shown).collect()
    }

    /// Every tab shows moving pictures.
    #[track_caller]
    fn assert_moving(&self) {
        for tab in &self.tabs {
            self.browser.switch_to(tab.clone());
            page::assert_frames(&self.browser, 20, 2);
            // Each newer than the one before.
            let (shown, trouble) = (page::stamps(&self.browser, 1), self.trouble());
            assert!(shown.distinct() >= 5, "{shown:?}, {trouble}");
        }
    }

    fn trouble(&self) -> Value {
        self.browser.ask("return room.trouble;", &[])
    }
}

fn spawn(host: &Host, program: &Path, folder: &Folder) -> Process {
    let mut command = host.command(program.to_str().unwrap());
    command.args(arguments(&folder.0));
    serve("janus", host, PORT, command)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}

#[test]
fn a_crowd_of_tabs_watches_out_of_one_encoding_and_one_upload() {
    let _turn = browser::turn();
    let Some(mut room) = Room::new(3) else {
        return;
    };
    room.await_pictures(0);
    room.assert_moving();
    assert_eq!(room.publisher.ask(Command::Connections), 1);
    assert_eq!(room.publisher.emissions("peer-added").len(), 1);
    let before = room.publisher.video_encoders();
    let began = room.publisher.count(Command::Stamped);
    room.assert_moving();
    let frames = room.publisher.count(Command::Stamped) - began;
    let after = room.publisher.video_encoders();
    assert_eq!((before.len(), after.len()), (1, 1), "{after:?}");
    let encoded = after[0].frames - before[0].frames;
    // Not once for each viewer; a busy machine may leave some out.
    assert!(
        (frames / 3..=frames + 6).contains(&encoded),
        "{encoded} of {frames}"
    );
    room.publisher.assert_healthy();
}

/// Media pass through it, so pictures stand still meanwhile.
#[test]
fn the_picture_returns_after_a_killed_janus() {
    let _turn = browser::turn();
    let Some(mut room) = Room::new(2) else {
        return;
    };
    room.await_pictures(0);
    room.janus.kill();
    std::thread::sleep(Duration::from_secs(2));
    room.janus.restart();
    let returned = now();
    let waits: Vec<_> = room.await_pictures(1);
    let waits = waits.iter().map(|shown| shown.saturating_sub(returned));
    eprintln!("pictures are back after {:?} ms", waits.collect::<Vec<_>>());
    room.assert_moving();
    assert_eq!(room.publisher.emissions("peer-added").len(), 2);
    assert_eq!(room.publisher.emissions("peer-removed").len(), 1);
    room.publisher.assert_healthy();
}
