//! Programs on a lab's hosts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;
use std::{env, os::unix::process::CommandExt, thread};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A running program, its own process group; killed when dropped.
///
/// What it says on stderr goes to a file; a test that panics shows the end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process costs, from `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Threads.
    pub threads: usize,
    /// Open file descriptors.
    pub files: usize,
    /// Resident memory in KiB.
    pub memory: usize,
    /// Processor time since its start.
    pub cpu: Duration,
}

impl Process {
    /// Starts `command`, whose output goes to the log; `name` stands in
    /// messages and in the log's name.
    pub fn spawn(name: &str, mut command: Command) -> Self {
        let log = Log::create(name);
        command.stdin(Stdio::null()).stdout(log.file());
        Self::start(name, command, log)
    }

    /// Starts `command` with pipes for its standard input and output.
    pub fn piped(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self::start(name, command, Log::create(name))
    }

    fn start(name: &str, mut command: Command, log: Log) -> Self {
        command.stderr(log.file()).process_group(0);
        let child = spawn(command).unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.path,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input; once.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("asked once")
    }

    /// Its standard output; once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("asked once")
    }

    /// Has it ended by itself?
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it and all its children, without a word.
    pub fn kill(&mut self) {
        let _ = killpg(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }

    /// What it costs now.
    pub fn usage(&self) -> Usage {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = read(&proc.join("status"));
        let field = |name: &str| -> usize {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("{} has ended", self.name))
        };
        let stat = read(&proc.join("stat"));
        // The name, in brackets, may hold anything; utime and stime are the
        // 12th and 13th field after it, in ticks of 10 ms.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|t| t.parse::<u64>().ok())
            .sum();
        Usage {
            threads: field("Threads:"),
            memory: field("VmRSS:"),
            files: fs::read_dir(proc.join("fd")).map_or(0, Iterator::count),
            cpu: Duration::from_millis(ticks * 10),
        }
    }

    /// What it has said on stderr.
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(30)..];
            eprintln!("--- {} said last ({}):", self.name, self.log.display());
            for line in tail {
                eprintln!("    {line}");
            }
        }
    }
}

/// Where the tests leave what is worth a look afterwards: `SIGMUND_LOGS`, else
/// `sigmund-tests` beside the binaries.
pub fn log_directory() -> PathBuf {
    let directory = match env::var_os("SIGMUND_LOGS") {
        Some(directory) => PathBuf::from(directory),
        None => build_directory().join("sigmund-tests"),
    };
    fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    directory
}

/// Where cargo puts the binaries of this build (`target/debug`).
pub fn build_directory() -> PathBuf {
    let exe = env::current_exe().expect("Linux tells");
    let deps = exe.parent().expect("a file lies in a directory");
    match deps.file_name() {
        Some(name) if name == "deps" => deps.parent().unwrap_or(deps).to_owned(),
        _ => deps.to_owned(),
    }
}

struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn create(name: &str) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = log_directory().join(format!("{}-{serial}-{name}.log", std::process::id()));
        let file = File::create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, file }
    }

    fn file(&self) -> File {
        self.file.try_clone().expect("descriptors are left")
    }
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a command from a thread that lives as long as this process: the
/// kernel kills children when the *thread* that started them ends.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in orders {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, child) = mpsc::channel();
    spawner
        .send((command, reply))
        .expect("the spawner lives on");
    child.recv().expect("the spawner replies")
}
