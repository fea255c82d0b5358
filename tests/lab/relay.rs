//! `sigmund serve` on a host of the lab.

use std::env;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::eventually;
use crate::network::Host;
use crate::process::{Process, build_directory};

/// Long for a machine that is busy with other tests.
const START: Duration = Duration::from_secs(20);

/// Where it listens, if nothing else is said.
const PORT: u16 = 8080;

/// A standalone server for everybody, on port 8080 of its host or another.
/// Killed when dropped.
#[derive(Debug)]
pub struct Relay {
    host: Host,
    port: u16,
    listen: String,
    arguments: Vec<String>,
    process: Process,
}

impl Relay {
    /// Starts one; `arguments` follow `sigmund serve --listen …`.
    pub fn start(host: &Host, arguments: &[&str]) -> Self {
        Self::start_on(host, PORT, arguments)
    }

    /// Starts one that listens on `port`.
    pub fn start_on(host: &Host, port: u16, arguments: &[&str]) -> Self {
        Self::start_at(host, &host.address().to_string(), port, arguments)
    }

    /// Starts one that listens on `port` of all its host's addresses, IPv6 too.
    pub fn start_everywhere(host: &Host, port: u16, arguments: &[&str]) -> Self {
        Self::start_at(host, "[::]", port, arguments)
    }

    fn start_at(host: &Host, address: &str, port: u16, arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&it| it.to_owned()).collect();
        let listen = format!("{address}:{port}");
        let relay = Self {
            host: host.clone(),
            port,
            process: spawn(host, &listen, &arguments),
            listen,
            arguments,
        };
        relay.await_port();
        relay
    }

    /// Kills it, without a word.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.process = spawn(&self.host, &self.listen, &self.arguments);
        self.await_port();
    }

    /// The page that shows `stream`.
    pub fn page(&self, stream: &str) -> String {
        format!(
            "http://{}:{}/#stream={stream}",
            self.host.address(),
            self.port
        )
    }

    /// Where its pages come from.
    pub fn origin(&self) -> String {
        format!("http://{}:{PORT}", self.host.address())
    }

    /// As `rtcsink`'s `uri` takes it.
    pub fn uri(&self, stream: &str) -> String {
        format!(
            "sigmund+ws://{}:{}/{stream}",
            self.host.address(),
            self.port
        )
    }

    /// The names of the streams that it lists; `None` while it is away.
    pub fn streams(&self, seen_from: &Host) -> Option<Vec<String>> {
        let url = format!("http://{}:{}/streams", self.host.address(), self.port);
        let body = seen_from.run(|| {
            let mut response = ureq::get(&url).call().ok()?;
            response.body_mut().read_to_string().ok()
        })?;
        let listed: Value = serde_json::from_str(&body).ok()?;
        let names = listed["streams"].as_array()?.iter();
        names
            .map(|it| it["name"].as_str().map(str::to_owned))
            .collect()
    }

    /// Where it runs.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn await_port(&self) {
        let address = (self.host.address(), self.port);
        eventually(START, "the server listens", || {
            self.host.run(|| TcpStream::connect(address).ok())
        });
    }
}

fn spawn(host: &Host, listen: &str, arguments: &[String]) -> Process {
    let program = program();
    let mut command = host.command(program.to_str().expect("it is readable"));
    command.args(["serve", "--listen", listen]).args(arguments);
    Process::spawn("sigmund-serve", command)
}

/// What `sigmund` says on stdout, called with these words.
///
/// # Panics
/// If it fails.
pub fn said(words: &[&str]) -> String {
    let output = Command::new(program()).args(words).output();
    let output = output.unwrap_or_else(|e| panic!("sigmund: {e}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sigmund {words:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The program, built if it is not: it is of another package than the tests.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = build_directory();
        let target = target
            .parent()
            .expect("profiles lie in the target directory");
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What cargo tells a test of its package makes some build scripts begin
        // anew, and with them all that stands on them; here and at the next test.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_TARGET_DIR" {
                cargo.env_remove(name);
            }
        }
        let built = cargo
            .args([
                "build",
                "--quiet",
                "--package",
                "sigmund",
                "--features",
                "serve",
            ])
            .args(["--bin", "sigmund", "--target-dir"])
            .arg(target)
            .status();
        assert!(built.is_ok_and(|it| it.success()), "sigmund is not built");
        target.join("debug/sigmund")
    })
}
