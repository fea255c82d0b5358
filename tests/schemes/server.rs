//! Servers, started for a test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use sigmund_tests::eventually;
use sigmund_tests::process::Process;

/// Long for a machine that is busy with other tests.
const START: Duration = Duration::from_secs(20);

/// A program of that name, if it is installed. Else the test is skipped; with
/// `CI=true` it fails.
pub(crate) fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    places.push(tools());
    let found = places
        .iter()
        .map(|it| it.join(program))
        .find(|it| it.is_file());
    if found.is_none() {
        let missing = format!("{program} is not installed ({package})");
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
        eprintln!("SKIPPED: {missing}");
    }
    found
}

/// Where `scripts/fetch-test-tools.sh` puts what Debian does not have.
fn tools() -> PathBuf {
    let build = sigmund_tests::process::build_directory();
    let target = build.parent().unwrap_or(Path::new("."));
    target.join("tools/bin")
}

/// A port of loopback that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// A server that listens on a port of loopback. Killed when dropped.
pub(crate) struct Server {
    name: &'static str,
    process: Process,
    start: Box<dyn Fn() -> Command>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(
        name: &'static str,
        port: u16,
        start: impl Fn() -> Command + 'static,
    ) -> Self {
        let mut server = Self {
            name,
            process: Process::spawn(name, start()),
            start: Box::new(start),
            port,
        };
        server.await_port();
        server
    }

    /// Kills it, without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same port.
    pub(crate) fn restart(&mut self) {
        self.process = Process::spawn(self.name, (self.start)());
        self.await_port();
    }

    fn await_port(&mut self) {
        let what = format!("{} listens", self.name);
        eventually(START, &what, || {
            assert!(!self.process.has_ended(), "{} does not start", self.name);
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }
}

/// A folder that goes with its owner.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("sigmund-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("it can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
