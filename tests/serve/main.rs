//! `sigmund` as its users run it: a process, its files, its signals, and clients
//! that come by TCP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod access;
mod attacks;
mod cluster;
mod commands;
mod load;
mod operation;
mod resume;
mod turn;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sigmund::access::Token;
use sigmund::message::{Message, PeerId};
use sigmund::signaller::supervisor::{Event, Supervisor};
use sigmund::signaller::{Incoming, Options, Outgoing, PeerInfo, Registry, Role};

/// Longer than anything should take; only a failure waits for it.
const LONG: Duration = Duration::from_secs(20);

/// An offer as far as the server reads it.
const OFFER: &str = "v=0\r\na=ice-ufrag:abcd\r\n";

/// What stands in descriptions, and must not stand in logs.
const ANSWER: &str = "v=0\r\ns=the-answer\r\n";

/// Runs `sigmund` to its end.
fn sigmund(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sigmund"))
        .args(words)
        .output()
        .unwrap()
}

/// What it writes to stdout when all goes well.
fn said(words: &[&str]) -> String {
    let output = sigmund(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("sigmund-serve-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file at one stroke, as careful programs do. Returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let (new, path) = (self.path("new"), self.path(name));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server.
struct Server {
    process: Child,
    /// The lines of stdout: its address, and that of its metrics.
    announced: Vec<String>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// On a free port of loopback.
    fn start(words: &[&str]) -> Self {
        Self::at("127.0.0.1:0", words)
    }

    fn at(listen: &str, words: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sigmund"))
            .args(["serve", "--listen", listen])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::<Mutex<String>>::default();
        let to = log.clone();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
                to.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        let lines = 1 + usize::from(words.contains(&"--metrics-listen"));
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let announced: Vec<_> = stdout.lines().take(lines).map(Result::unwrap).collect();
        let new = Self {
            process,
            announced,
            log,
            reader: Some(reader),
        };
        assert_eq!(new.announced.len(), lines, "{}", new.log());
        new
    }

    fn address(&self) -> SocketAddr {
        address(&self.announced[0])
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Sends `signal` and waits for the end. Returns the exit code and the log.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        self.signal(signal);
        let mut status = None;
        eventually("it ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        self.reader.take().unwrap().join().unwrap();
        (status.unwrap().code(), self.log())
    }

    fn get(&self, path: &str, headers: &str) -> Reply {
        send(self.address(), "GET", path, headers, "")
    }

    /// Offers to watch a stream.
    fn join(&self, stream: &str, token: Option<&str>) -> Reply {
        let bearer = token.map_or(String::new(), |it| {
            format!("Authorization: Bearer {it}\r\n")
        });
        let headers = format!("Content-Type: application/sdp\r\n{bearer}");
        send(
            self.address(),
            "POST",
            &format!("/whep/{stream}"),
            &headers,
            OFFER,
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn address(url: &str) -> SocketAddr {
    url::Url::parse(url).unwrap().socket_addrs(|| None).unwrap()[0]
}

/// Waits for what has no event.
#[track_caller]
fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !test() {
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An HTTP response.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    /// All values of a header.
    fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// What a failure says to people.
    fn error(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["error"].as_str().unwrap().to_owned()
    }
}

fn send(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A client without media, publisher or viewer.
struct Client {
    runtime: tokio::runtime::Runtime,
    supervisor: Supervisor,
}

impl Client {
    fn publisher(server: &Server, stream: &str, token: Option<&str>) -> Self {
        let uri = format!("ws://{}/{stream}", server.address());
        Self::new(&uri, Role::Publish, token)
    }

    fn viewer(server: &Server, stream: &str, token: Option<&str>) -> Self {
        let uri = format!("ws://{}/{stream}", server.address());
        Self::new(&uri, Role::Subscribe, token)
    }

    fn new(uri: &str, role: Role, token: Option<&str>) -> Self {
        let mut options = Options::new(role, "x");
        options.token = token.map(Token::new);
        Self::open(uri, &options)
    }

    fn open(uri: &str, options: &Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let signaller = Registry::builtin().open(uri, options).unwrap();
        let supervisor = runtime.block_on(async { Supervisor::spawn(signaller) });
        Self {
            runtime,
            supervisor,
        }
    }

    #[track_caller]
    fn event(&mut self) -> Event {
        let events = &mut self.supervisor.events;
        let next = self
            .runtime
            .block_on(async { tokio::time::timeout(LONG, events.recv()).await });
        next.expect("nothing happened").expect("it runs")
    }

    /// It is connected, at the first attempt.
    #[track_caller]
    fn up(&mut self) {
        let event = self.event();
        assert!(matches!(event, Event::Up { .. }), "{event:?}");
    }

    /// It is connected again, and has heard nothing meanwhile.
    #[track_caller]
    fn back(&mut self) {
        loop {
            match self.event() {
                Event::Up { .. } => return,
                Event::Down { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// What is heard next, after any number of lost connections.
    #[track_caller]
    fn heard(&mut self) -> Incoming {
        loop {
            match self.event() {
                Event::Incoming(incoming) => return incoming,
                Event::Up { .. } | Event::Down { .. } => {}
                Event::Failed(error) => panic!("{error}"),
            }
        }
    }

    /// Who joins next.
    #[track_caller]
    fn joined(&mut self) -> PeerId {
        self.joined_with().0
    }

    /// The same, and what is known of it.
    #[track_caller]
    fn joined_with(&mut self) -> (PeerId, PeerInfo) {
        match self.heard() {
            Incoming::Joined { peer, info } => (peer, info),
            other => panic!("{other:?}"),
        }
    }

    /// Leaves in good order.
    fn close(self) {
        self.runtime.block_on(self.supervisor.close(LONG));
    }

    fn say(&self, peer: &PeerId, message: Message) {
        let peer = peer.clone();
        assert!(self.supervisor.send(Outgoing::Message { peer, message }));
    }
}

/// A publisher that answers whoever offers.
struct Publisher(Client);

impl Publisher {
    fn new(server: &Server, stream: &str, token: Option<&str>) -> Self {
        Self(Client::publisher(server, stream, token))
    }

    /// One that is connected.
    fn up(server: &Server, stream: &str, token: Option<&str>) -> Self {
        let mut new = Self::new(server, stream, token);
        new.0.up();
        new
    }

    fn event(&mut self) -> Event {
        self.0.event()
    }

    /// Answers the next viewer.
    fn answer(&mut self) -> PeerId {
        loop {
            if let Event::Incoming(Incoming::Message {
                peer,
                message: Message::Offer { .. },
            }) = self.event()
            {
                let sdp = ANSWER.to_owned();
                self.0.say(&peer, Message::Answer { sdp });
                return peer;
            }
        }
    }

    /// A viewer by WHEP, who is answered.
    fn watched(&mut self, server: &Server, stream: &str, token: Option<&str>) -> Reply {
        std::thread::scope(|scope| {
            let reply = scope.spawn(|| server.join(stream, token));
            self.answer();
            reply.join().unwrap()
        })
    }
}

fn exists(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| Path::new(&folder).join(program).exists())
}
