//! Hosts with addresses of their own, made of network namespaces.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, thread};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

/// What the names of our namespaces start with; the pid of their maker follows.
const PREFIX: &str = "sigmund-";

/// Where `ip netns exec` looks for what a namespace's programs shall see in
/// `/etc`.
const NAMES: &str = "/etc/netns";

/// The address of each bridge on its cables. Left to itself, a bridge takes the
/// lowest one of its ports, another one whenever a lower one is plugged in; and
/// those who know the old one talk to nobody, until they ask again.
const BRIDGE: &str = "02:00:00:00:00:01";

/// A network: hosts on one bridge, `10.77.0.0/24`, and nothing else.
///
/// The bridge lives in a namespace too, so labs neither see each other nor the
/// machine they run on. Dropping a lab kills whatever still runs in it.
#[derive(Debug)]
pub struct Lab {
    name: String,
    hosts: Vec<Host>,
}

/// One machine of a [`Lab`].
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) namespace: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) address6: Option<Ipv6Addr>,
}

impl Lab {
    /// A new network without hosts.
    ///
    /// `None`, said loudly, where this user may not make namespaces: the test
    /// returns. Under `CI=true` that is a failure instead.
    pub fn new() -> Option<Self> {
        static JANITOR: OnceLock<Child> = OnceLock::new();
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        if !Uid::effective().is_root() {
            assert!(
                !is_ci(),
                "the lab needs root or a user namespace of its own"
            );
            eprintln!("SKIPPED: needs root or user namespaces (see tests/README.md)");
            return None;
        }
        JANITOR.get_or_init(|| {
            sweep();
            hire_janitor()
        });
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{serial}", std::process::id());
        let lab = Self {
            name,
            hosts: Vec::new(),
        };
        let switch = lab.switch();
        ip(&["netns", "add", &switch]);
        bridge(&switch, "bridge");
        Some(lab)
    }

    /// Adds a host. Its label shows in the name of its namespace.
    pub fn host(&mut self, label: &str) -> Host {
        let number = u8::try_from(self.hosts.len() + 1).expect("fewer than 255 hosts");
        let host = self.namespace(label, Ipv4Addr::new(10, 77, 0, number));
        let (ns, switch) = (host.namespace.as_str(), self.switch());
        let port = format!("port{number}");
        ip(&[
            "-n", ns, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns",
            &switch,
        ]);
        ip(&[
            "-n", &switch, "link", "set", &port, "master", "bridge", "up",
        ]);
        // An IPv6 address that comes a second later is a "network change", and
        // browsers break off what they are loading.
        ip(&["-n", ns, "link", "set", "eth0", "addrgenmode", "none"]);
        let address = format!("{}/24", host.address);
        ip(&["-n", ns, "address", "add", &address, "dev", "eth0"]);
        ip(&["-n", ns, "link", "set", "eth0", "up"]);
        host
    }

    /// Adds a host that has a loopback interface and nothing else.
    pub fn hermit(&mut self, label: &str) -> Host {
        self.namespace(label, Ipv4Addr::LOCALHOST)
    }

    pub(crate) fn namespace(&mut self, label: &str, address: Ipv4Addr) -> Host {
        let host = Host {
            namespace: format!("{}-{label}", self.name),
            address,
            address6: None,
        };
        ip(&["netns", "add", &host.namespace]);
        ip(&["-n", &host.namespace, "link", "set", "lo", "up"]);
        self.hosts.push(host.clone());
        host
    }

    /// The namespace that the bridge lives in.
    pub(crate) fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            remove(&host.namespace);
        }
        remove(&self.switch());
    }
}

impl Host {
    /// Its address on the lab's network; `127.0.0.1` for a hermit.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The name of its namespace, for `ip netns exec`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its IPv6 address, if it has one.
    pub fn address6(&self) -> Option<Ipv6Addr> {
        self.address6
    }

    /// A command that will run on this host, and die with this process.
    ///
    /// Start it by [`crate::process::Process`]: "this process" means the thread
    /// that starts it, and threads of tests end early.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "ip", "netns", "exec"]);
        command.args([&self.namespace, program]);
        command
    }

    /// Runs a command on this host to its end; what it printed.
    #[track_caller]
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output();
        let output = output.unwrap_or_else(|e| panic!("{program} does not start: {e}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `work` in a thread that is on this host: sockets it opens, and
    /// threads it starts, belong here.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves the calling thread onto this host, for good.
    pub fn enter(&self) {
        let path = format!("/run/netns/{}", self.namespace);
        let namespace = File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
    }

    /// Programs that are started on this host from now on know these names,
    /// without a name server.
    pub fn knows(&self, names: &[(&str, IpAddr)]) {
        let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        for (name, address) in names {
            text += &format!("{address} {name}\n");
        }
        self.write("hosts", &text);
    }

    /// Programs that are started on this host from now on ask this name server.
    pub fn asks(&self, name_server: IpAddr) {
        self.write("resolv.conf", &format!("nameserver {name_server}\n"));
    }

    /// A file in `/etc`, as this host's programs see it.
    fn write(&self, file: &str, text: &str) {
        let folder = format!("{NAMES}/{}", self.namespace);
        let written =
            fs::create_dir_all(&folder).and_then(|()| fs::write(format!("{folder}/{file}"), text));
        written.unwrap_or_else(|e| panic!("{folder}/{file}: {e}"));
    }

    /// Loses `percent` of what arrives here by UDP from now on (0: nothing).
    pub fn lose(&self, percent: u8) {
        self.output("nft", &["add", "table", "ip", "loss"]);
        self.output("nft", &["delete", "table", "ip", "loss"]);
        if percent == 0 {
            return;
        }
        let rules = format!(
            "table ip loss {{\n chain arriving {{\n type filter hook input priority 0\n \
             meta l4proto udp numgen random mod 100 < {percent} drop\n }}\n }}"
        );
        self.output("nft", &[&rules]);
    }

    /// Lets nothing pass between this host and the others from now on.
    pub fn unplug(&self) {
        self.output("ip", &["link", "set", "eth0", "down"]);
    }
}

/// Does this run on behalf of a gate, where a skipped test is a failed one?
pub fn is_ci() -> bool {
    env::var("CI").is_ok_and(|v| v == "true")
}

/// Runs iproute2.
#[track_caller]
pub(crate) fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("iproute2 is needed: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {errors}");
}

/// Makes a bridge without ports in a namespace.
pub(crate) fn bridge(namespace: &str, name: &str) {
    ip(&[
        "-n", namespace, "link", "add", name, "address", BRIDGE, "type", "bridge",
    ]);
    ip(&[
        "-n",
        namespace,
        "link",
        "set",
        name,
        "addrgenmode",
        "none",
        "up",
    ]);
}

/// Starts a process that waits for the end of this one, by whatever cause, and
/// then removes all that is left of its labs.
fn hire_janitor() -> Child {
    let mut janitor = Command::new("sh");
    janitor
        .args(["-c", include_str!("janitor.sh"), "janitor", PREFIX, NAMES])
        .arg(std::process::id().to_string())
        .arg(env::temp_dir())
        // Who ends this process by its group, or waits for the end of its
        // output, does not mean the janitor.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Its standard input is kept open along with it.
    janitor
        .spawn()
        .unwrap_or_else(|e| panic!("sh does not start: {e}"))
}

/// Kills what runs in a namespace of ours, and deletes it. Never fails: it is
/// called while things fall apart.
fn remove(namespace: &str) {
    let pids = Command::new("ip")
        .args(["netns", "pids", namespace])
        .output();
    let pids = pids.map(|o| o.stdout).unwrap_or_default();
    for pid in String::from_utf8_lossy(&pids).split_whitespace() {
        // Threads of this process that entered the namespace carry our own pid.
        let pid = pid
            .parse()
            .ok()
            .filter(|&p| p != std::process::id().cast_signed());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    let _ = Command::new("ip")
        .args(["netns", "delete", namespace])
        .output();
    let _ = fs::remove_dir_all(format!("{NAMES}/{namespace}"));
}

/// Removes what runs left that were killed: all whose maker is gone.
pub fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let Some(maker) = maker.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        if !fs::exists(format!("/proc/{maker}")).unwrap_or(true) {
            remove(&name);
        }
    }
}
