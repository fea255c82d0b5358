//! Servers, started for a test.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
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
        miss(&format!("{program} is not installed ({package})"));
    }
    found
}

/// The folder of GStreamer plugins that were built for the tests, if this one is
/// there. As above.
pub(crate) fn plugins(plugin: &str, hint: &str) -> Option<PathBuf> {
    let folder = tools().with_file_name("gstreamer-1.0");
    if !folder.join(plugin).is_file() {
        miss(&format!("{plugin} is not there ({hint})"));
        return None;
    }
    Some(folder)
}

fn miss(missing: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("SKIPPED: {missing}");
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
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let (process, serial) = (std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(format!("sigmund-{process}-{serial}-{name}"));
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

/// A certificate authority of the test's own, and one certificate by it.
pub(crate) struct Authority(Folder);

impl Authority {
    /// Certifies a host by that name or address.
    pub(crate) fn new(name: &str, host: &str) -> Self {
        let folder = Folder::new(name);
        let key = rcgen::KeyPair::generate().expect("there is randomness");
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = parameters.self_signed(&key).expect("it is complete");
        let issuer = rcgen::Issuer::from_params(&parameters, &key);
        let own = rcgen::KeyPair::generate().expect("there is randomness");
        let leaf = rcgen::CertificateParams::new([host.to_owned()]);
        let leaf = leaf.and_then(|it| it.signed_by(&own, &issuer));
        folder.write("ca.pem", &ca.pem());
        folder.write("certificate.pem", &leaf.expect("it is complete").pem());
        folder.write("key.pem", &own.serialize_pem());
        Self(folder)
    }

    /// Whom the clients trust.
    pub(crate) fn ca(&self) -> String {
        self.file("ca.pem")
    }

    /// What the server shows.
    pub(crate) fn certificate(&self) -> String {
        self.file("certificate.pem")
    }

    /// Its key.
    pub(crate) fn key(&self) -> String {
        self.file("key.pem")
    }

    fn file(&self, name: &str) -> String {
        self.0.0.join(name).display().to_string()
    }
}
