//! Chromium and Firefox, driven by WebDriver.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs};

use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::eventually;
use crate::network::Host;
use crate::process::{Process, build_directory};

/// Which browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Chromium, new headless mode.
    Chromium,
    /// Firefox, headless. Its H.264 comes as a download, so it has none here.
    Firefox,
}

/// A browser with a fresh profile on a host of the lab. Killed when dropped.
#[derive(Debug)]
pub struct Browser {
    kind: Kind,
    host: Host,
    runtime: Runtime,
    client: Client,
    driver: Process,
    home: PathBuf,
}

/// Waits for the machine: where pictures a second are judged, one test at a
/// time may run browsers.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Browser {
    /// Starts one on `host`.
    pub fn start(host: &Host, kind: Kind) -> Self {
        Self::launch(host, kind, None, &[])
    }

    /// Starts one with a camera and a microphone that are not real, which pages of
    /// `origin` may use although they come without encryption.
    pub fn with_camera(host: &Host, kind: Kind, origin: &str) -> Self {
        Self::launch(host, kind, Some(origin), &[])
    }

    /// Starts one with more arguments (Chromium only).
    pub fn start_with(host: &Host, kind: Kind, arguments: &[&str]) -> Self {
        Self::launch(host, kind, None, arguments)
    }

    fn launch(host: &Host, kind: Kind, trusted: Option<&str>, arguments: &[&str]) -> Self {
        static PORTS: AtomicU16 = AtomicU16::new(9500);
        let port = PORTS.fetch_add(1, Ordering::Relaxed);
        let home = new_home();
        let driver = Process::spawn(kind.name(), kind.driver(host, port, &home));
        let url = format!("http://127.0.0.1:{port}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("descriptors are left");
        let mut capabilities = kind.capabilities(&home);
        if let Some(origin) = trusted {
            kind.add_camera(&mut capabilities, origin);
        }
        if let Some(list) = capabilities["goog:chromeOptions"]["args"].as_array_mut() {
            list.extend(arguments.iter().map(|&it| it.into()));
        }
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is written as one")
        };
        let what = format!("{} answers", kind.name());
        let client = eventually(Duration::from_secs(60), &what, || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            host.run(|| runtime.block_on(builder.connect(&url))).ok()
        });
        Self {
            kind,
            host: host.clone(),
            runtime,
            client,
            driver,
            home,
        }
    }

    /// Opens a page in the window that is current, and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        let result = self.on_host(self.client.goto(url));
        result.unwrap_or_else(|e| panic!("{url} in {}: {e}", self.kind.name()));
    }

    /// The same; what goes wrong is an error.
    pub fn try_open(&self, url: &str) -> Result<(), String> {
        self.on_host(self.client.goto(url))
            .map_err(|e| e.to_string())
    }

    /// Runs the body of an async function in the page; what it returns.
    #[track_caller]
    pub fn ask(&self, body: &str, arguments: &[Value]) -> Value {
        self.try_ask(body, arguments)
            .unwrap_or_else(|e| panic!("{}: {e}", self.kind.name()))
    }

    /// The same; what it throws is an error.
    pub fn try_ask(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        let script = format!(
            "const args = Array.from(arguments); const done = args.pop();
             (async (...args) => {{ {body} }})(...args)
               .then(value => done({{ value: value ?? null }}),
                     error => done({{ error: String(error) + '\\n' + error.stack }}));"
        );
        let answer = self.client.execute_async(&script, arguments.to_vec());
        let answer = self.on_host(answer).map_err(|e| e.to_string())?;
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap_or("no text").to_owned()),
            None => Ok(answer["value"].clone()),
        }
    }

    /// Opens another window, which is current then.
    #[track_caller]
    pub fn new_window(&self) -> WindowHandle {
        let opened = self
            .on_host(self.client.new_window(false))
            .expect("windows are free");
        let handle = opened.handle;
        self.switch_to(handle.clone());
        handle
    }

    /// Makes a window current.
    #[track_caller]
    pub fn switch_to(&self, window: WindowHandle) {
        self.on_host(self.client.switch_to_window(window))
            .expect("the window is there");
    }

    /// Closes the window that is current; others stay.
    #[track_caller]
    pub fn close_window(&self) {
        self.on_host(self.client.close_window())
            .expect("the window is there");
    }

    /// Gives the window another size.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let resized = self.client.set_window_size(width, height);
        self.on_host(resized).expect("the window is there");
    }

    /// A picture of the page as PNG.
    #[track_caller]
    pub fn screenshot(&self) -> Vec<u8> {
        self.on_host(self.client.screenshot())
            .expect("the page can be drawn")
    }

    /// The pitch of its microphone that is none, in Hz: Chromium's beeps once a
    /// second, Firefox's hums.
    pub fn tone(&self) -> f64 {
        match self.kind {
            Kind::Chromium => 400.0,
            Kind::Firefox => 1000.0,
        }
    }

    /// What the page has complained of on the console: errors and uncaught
    /// exceptions, since the start or the last call.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        match self.kind {
            Kind::Chromium => {
                let log = self
                    .on_host(self.client.issue_cmd(ChromiumLog))
                    .expect("it keeps a log");
                let entries = log.as_array().cloned().unwrap_or_default();
                let severe = entries.into_iter().filter(|e| e["level"] == "SEVERE");
                severe
                    .map(|e| e["message"].as_str().unwrap_or_default().to_owned())
                    .collect()
            }
            // With devtools.console.stdout.content the console goes there.
            Kind::Firefox => {
                let log = self.driver.log();
                let severe = |l: &&str| {
                    l.contains("console.error: \"") || l.contains("JavaScript error: http")
                };
                log.lines().filter(severe).map(str::to_owned).collect()
            }
        }
    }

    /// Kills the browser and its driver: nothing is said to anyone.
    pub fn kill(&mut self) {
        // Firefox and Chromium may have process groups of their own.
        for pid in descendants(self.driver.id()) {
            let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
        self.driver.kill();
    }

    fn on_host<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        self.host.run(|| self.runtime.block_on(work))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.home);
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    fn driver(self, host: &Host, port: u16, home: &std::path::Path) -> Command {
        let mut command = match self {
            Self::Chromium => host.command(&find("chromedriver")),
            Self::Firefox => {
                let mut command = host.command(&find("geckodriver"));
                command
                    .args(["--websocket-port", "0", "--profile-root"])
                    .arg(home);
                command
            }
        };
        command
            .arg(format!("--port={port}"))
            .env("HOME", home)
            .env("TMPDIR", home);
        command
    }

    fn add_camera(self, capabilities: &mut Value, origin: &str) {
        match self {
            Self::Chromium => {
                let arguments = &mut capabilities["goog:chromeOptions"]["args"];
                let more = [
                    "--use-fake-device-for-media-stream".to_owned(),
                    "--use-fake-ui-for-media-stream".to_owned(),
                    "--auto-select-desktop-capture-source=Entire screen".to_owned(),
                    format!("--unsafely-treat-insecure-origin-as-secure={origin}"),
                ];
                if let Value::Array(arguments) = arguments {
                    arguments.extend(more.map(Value::from));
                }
            }
            Self::Firefox => {
                let preferences = &mut capabilities["moz:firefoxOptions"]["prefs"];
                for name in [
                    "media.navigator.streams.fake",
                    "media.navigator.permission.disabled",
                    "media.devices.insecure.enabled",
                    "media.getusermedia.insecure.enabled",
                ] {
                    preferences[name] = true.into();
                }
                // As where the user has let the page have a real one.
                preferences["media.peerconnection.ice.obfuscate_host_addresses"] = false.into();
            }
        }
    }

    fn capabilities(self, home: &std::path::Path) -> Value {
        let timeouts = json!({ "script": 120_000, "pageLoad": 30_000 });
        match self {
            Self::Chromium => json!({
                "timeouts": timeouts,
                "acceptInsecureCerts": true,
                "goog:loggingPrefs": { "browser": "ALL" },
                "goog:chromeOptions": {
                    "binary": find("chromium"),
                    "args": [
                        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                        "--no-first-run", "--disable-background-networking",
                        "--disable-component-update", "--disable-sync",
                        "--disable-dev-shm-usage", "--window-size=1300,900",
                        "--autoplay-policy=no-user-gesture-required",
                        "--disable-backgrounding-occluded-windows",
                        "--disable-renderer-backgrounding",
                        format!("--user-data-dir={}", home.join("profile").display()),
                    ],
                },
            }),
            Self::Firefox => json!({
                "timeouts": timeouts,
                "acceptInsecureCerts": true,
                "moz:firefoxOptions": {
                    "binary": find("firefox-esr"),
                    "args": ["-headless"],
                    "prefs": {
                        "devtools.console.stdout.content": true,
                        // A script is no gesture there, and a sound needs one.
                        "media.autoplay.default": 0,
                        "media.autoplay.blocking_policy": 0,
                        // There is no sound card; without one it waits forever.
                        "media.cubeb.force_mock_context": true,
                        "browser.shell.checkDefaultBrowser": false,
                        "datareporting.policy.dataSubmissionEnabled": false,
                        "media.gmp-manager.updateEnabled": false,
                    },
                },
            }),
        }
    }
}

/// chromedriver's way to the console.
#[derive(Debug)]
struct ChromiumLog;

impl WebDriverCompatibleCommand for ChromiumLog {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (
            http::Method::POST,
            Some(json!({ "type": "browser" }).to_string()),
        )
    }
}

/// Looks for a program in `SIGMUND_TOOLS`, in `tools/bin` beside the build, and
/// on the PATH.
fn find(program: &str) -> String {
    let tools = env::var_os("SIGMUND_TOOLS").map(PathBuf::from);
    let beside = build_directory()
        .parent()
        .map(|target| target.join("tools/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let places = tools
        .into_iter()
        .chain(beside)
        .chain(env::split_paths(&path));
    let mut candidates = places.map(|place| place.join(program));
    let found = candidates.find(|candidate| candidate.is_file());
    let found = found.unwrap_or_else(|| panic!("{program} is needed: `make test` installs it"));
    found.to_string_lossy().into_owned()
}

fn new_home() -> PathBuf {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let name = format!("sigmund-browser-{}-{serial}", std::process::id());
    let home = env::temp_dir().join(name);
    fs::create_dir_all(&home).unwrap_or_else(|e| panic!("{}: {e}", home.display()));
    home
}

/// The children of a process, theirs, and so on.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children = children.map(|task| fs::read_to_string(task.path().join("children")));
    let children = children.flatten().collect::<String>();
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok());
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}
