//! gst-plugins-rs' own elements, and what they show.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use sigmund_tests::process::Process;
use sigmund_tests::stamp::Stamp;
use sigmund_tests::{Host, eventually};

use crate::SOON;
use crate::server::{Folder, plugins};

const WIDTH: usize = 320;
const HEIGHT: usize = 240;

/// A pipeline with elements of theirs whose frames are looked at.
pub(super) struct Screen {
    process: Process,
    /// The numbers in the frames' stamps; each greater than the one before.
    seen: Arc<Mutex<Vec<u16>>>,
    _folder: Folder,
}

/// The folder with their plugin, if it is built.
pub(super) fn plugin() -> Option<PathBuf> {
    plugins("libgstrswebrtc.so", "scripts/fetch-test-tools.sh builds it")
}

/// gst-launch on `host` with their plugin, and none of ours.
pub(super) fn launch(host: &Host, plugin: &PathBuf, pipeline: &str) -> Command {
    let mut command = host.command("gst-launch-1.0");
    command.env("GST_PLUGIN_PATH", plugin);
    command.env("GST_REGISTRY", plugin.join("registry.bin"));
    command.arg("-q").args(pipeline.split_whitespace());
    command
}

impl Screen {
    /// Shows what `source` makes, which ends in raw or encoded video.
    pub(super) fn open(host: &Host, name: &str, plugin: &PathBuf, source: &str) -> Self {
        let folder = Folder::new(name);
        let pipe = folder.0.join("frames");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let pipeline = format!(
            "{source} ! queue ! videoconvert ! videoscale ! \
             video/x-raw,format=I420,width={WIDTH},height={HEIGHT} ! \
             filesink sync=false async=false buffer-mode=unbuffered location={}",
            pipe.display()
        );
        // Open for both, it neither waits for anybody nor ends.
        let frames = File::options().read(true).write(true).open(&pipe).unwrap();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        thread::spawn({
            let seen = seen.clone();
            move || read(frames, &seen)
        });
        Self {
            process: Process::spawn(name, launch(host, plugin, &pipeline)),
            seen,
            _folder: folder,
        }
    }

    /// Waits for so many more frames, each newer than all before.
    #[track_caller]
    pub(super) fn watch(&mut self, frames: usize) {
        let count = || self.seen.lock().unwrap().len();
        let goal = count() + frames;
        eventually(SOON * 2, "moving pictures", || {
            assert!(!self.process.has_ended(), "it has ended");
            (count() >= goal).then_some(())
        });
    }
}

fn read(mut frames: File, seen: &Mutex<Vec<u16>>) {
    let mut frame = vec![0; WIDTH * HEIGHT * 3 / 2];
    while frames.read_exact(&mut frame).is_ok() {
        let stamp = Stamp::read(&frame, WIDTH, WIDTH, HEIGHT);
        let mut seen = seen.lock().unwrap();
        if let Some(Stamp { number, .. }) = stamp
            && seen.last().is_none_or(|&last| number > last)
        {
            seen.push(number);
        }
    }
}
