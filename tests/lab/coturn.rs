//! coturn on a host of the lab: STUN and TURN by UDP, TCP and TLS.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::eventually;
use crate::internet::Site;
use crate::network::Host;
use crate::process::{Process, log_directory};
use crate::world::TURN;

/// Long for a machine that is busy with other tests.
const START: Duration = Duration::from_secs(20);

/// The ports that it relays at.
const RELAYS: std::ops::RangeInclusive<u16> = 49_152..=59_999;

/// A TURN server. Plain on port 3478, TLS on 5349 and 443. Killed when dropped.
#[derive(Debug)]
pub struct Coturn {
    host: Host,
    folder: PathBuf,
    process: Option<Process>,
    /// Lines of its configuration.
    more: String,
    /// Base64 of the SHA-256 of its certificate's key, as browsers take it.
    key_hash: String,
}

/// Who may use it.
#[derive(Clone, Debug)]
pub enum Accounts {
    /// Users and their passwords (long-term credentials).
    Users(Vec<(String, String)>),
    /// Whoever knows what was minted from this secret (TURN REST).
    Secret(String),
}

impl Coturn {
    /// Starts one for `accounts`; `more` are lines of its configuration.
    pub fn start(host: &Host, accounts: &Accounts, more: &str) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-coturn-{serial}", std::process::id());
        let folder = log_directory().join(name);
        fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let key_hash = certify(host, &folder);
        let turn = Self {
            host: host.clone(),
            folder,
            process: None,
            more: more.to_owned(),
            key_hash,
        };
        turn.write("turn.conf", &turn.configuration(accounts, more));
        // Its port for TLS is one; firewalls let another one pass.
        let rules = "table inet doors {\n chain arriving { type nat hook prerouting priority dstnat\n \
             tcp dport 443 redirect to :5349\n }\n }";
        turn.write("doors.nft", rules);
        host.output("nft", &["-f", &turn.path("doors.nft")]);
        let mut turn = turn;
        turn.restart();
        turn
    }

    /// Starts it again, after [`kill`](Self::kill) or instead. It forgets all
    /// allocations.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = self.host.command("turnserver");
        command.args(["-c", &self.path("turn.conf")]);
        self.process = Some(Process::spawn("coturn", command));
        eventually(START, "coturn answers", || {
            answers(&self.host).then_some(())
        });
    }

    /// Starts it again, and others may use it.
    pub fn restart_for(&mut self, accounts: &Accounts) {
        self.write("turn.conf", &self.configuration(accounts, &self.more));
        self.restart();
    }

    /// Kills it, without a word.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The file that it logs to.
    pub fn log_file(&self) -> String {
        self.path("turn.log")
    }

    /// All that it has logged, since it started first.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("turn.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many allocations there are, as its log has it.
    pub fn sessions(&self) -> usize {
        let log = self.log();
        let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
        count(": new, realm=").saturating_sub(count(": delete: realm="))
    }

    /// Packets that it has relayed for those at `site`, to their peers and from
    /// them, in sessions that are over.
    pub fn relayed_for(&self, site: &Site) -> u64 {
        let log = self.log();
        // Of one session: how much, and then whose it was.
        let (mut open, mut all) = (HashMap::<&str, u64>::new(), 0);
        for line in log.lines() {
            let Some(id) = word_after(line, "session ") else {
                continue;
            };
            if line.contains("peer usage:") {
                *open.entry(id).or_default() += number(line, "sp=") + number(line, "rp=");
            } else if line.contains("closed (2nd stage)") {
                let from = word_after(line, "remote ").and_then(|it| it.parse::<SocketAddr>().ok());
                let packets = open.remove(id).unwrap_or(0);
                if from.is_some_and(|it| site.owns(it.ip())) {
                    all += packets;
                }
            }
        }
        all
    }

    /// Where it runs.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The PEM file that its certificate is in, for those who shall trust it.
    pub fn certificate(&self) -> String {
        self.path("cert.pem")
    }

    /// The argument that makes Chromium trust it.
    pub fn chromium_trust(&self) -> String {
        format!("--ignore-certificate-errors-spki-list={}", self.key_hash)
    }

    /// Is this one of the ports that it relays at?
    pub fn relays_at(port: u16) -> bool {
        RELAYS.contains(&port)
    }

    fn configuration(&self, accounts: &Accounts, more: &str) -> String {
        let accounts = match accounts {
            Accounts::Users(users) => users
                .iter()
                .map(|(user, password)| format!("user={user}:{password}\n"))
                .fold("lt-cred-mech\n".to_owned(), |all, line| all + &line),
            Accounts::Secret(secret) => {
                format!("use-auth-secret\nstatic-auth-secret={secret}\n")
            }
        };
        let addresses = [
            Some(self.host.address().to_string()),
            self.host.address6().map(|it| it.to_string()),
        ];
        let addresses: String = addresses
            .into_iter()
            .flatten()
            .map(|it| format!("listening-ip={it}\nrelay-ip={it}\n"))
            .collect();
        format!(
            "{addresses}{accounts}{more}\nrealm=example.net\nfingerprint\nverbose\nno-cli\n\
             listening-port=3478\ntls-listening-port=5349\ncert={}\npkey={}\n\
             min-port={}\nmax-port={}\nsimple-log\nno-stdout-log\nlog-file={}\npidfile={}\n\
             userdb={}\n",
            self.path("cert.pem"),
            self.path("key.pem"),
            RELAYS.start(),
            RELAYS.end(),
            self.path("turn.log"),
            self.path("turn.pid"),
            self.path("turn.db"),
        )
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).to_string_lossy().into_owned()
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::write(&path, text).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.kill();
        // Its log stays where something went wrong.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Writes a key and a certificate for the host's addresses and its name; the
/// key's hash.
fn certify(host: &Host, folder: &std::path::Path) -> String {
    let names = [
        Some(host.address().to_string()),
        host.address6().map(|it| it.to_string()),
        Some(TURN.to_owned()),
    ];
    let names: Vec<_> = names.into_iter().flatten().collect();
    let made = rcgen::generate_simple_self_signed(names).expect("addresses can be certified");
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    };
    write("cert.pem", &made.cert.pem());
    write("key.pem", &made.signing_key.serialize_pem());
    let key = rcgen::PublicKeyData::subject_public_key_info(&made.signing_key);
    let hash = ring::digest::digest(&ring::digest::SHA256, &key);
    STANDARD.encode(hash)
}

/// Does it answer a binding request (RFC 8489 section 5)?
fn answers(host: &Host) -> bool {
    host.run(|| {
        let socket = UdpSocket::bind((host.address(), 0)).expect("ports are left");
        let patience = Duration::from_millis(100);
        socket
            .set_read_timeout(Some(patience))
            .expect("it is not zero");
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend([7; 12]);
        let _ = socket.send_to(&request, (host.address(), 3478));
        socket.recv(&mut [0; 512]).is_ok()
    })
}

/// The word that follows `key`, without the punctuation behind it.
fn word_after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(key)?;
    let word = rest.split_ascii_whitespace().next()?;
    Some(word.trim_end_matches([':', ',']))
}

fn number(line: &str, key: &str) -> u64 {
    let rest = line.split_once(key).map_or("", |(_, rest)| rest);
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|it| it.parse().ok()).unwrap_or(0)
}
