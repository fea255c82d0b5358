//! A pipeline in a process of its own, asked and told over a pipe.
//!
//! `sigmund-publisher` (tests/publisher) runs any pipeline description, like
//! `gst-launch-1.0`, but answers [`Command`]s and reports [`Event`]s as lines
//! of JSON. So a test sees the elements in their own process and on their own
//! host, and can count that process's threads, files and memory.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::ChildStdin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::messages;
use crate::network::Host;
use crate::process::{Process, Usage, build_directory};
use crate::sight::Sight;
use crate::whep;

/// Longer than any reasonable answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test asks of a publisher.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Command {
    /// A property as JSON: structures become objects.
    Get {
        /// Name of the element.
        element: String,
        /// Name of the property.
        property: String,
    },
    /// Sets a property from text, as gst-launch does.
    Set {
        /// Name of the element.
        element: String,
        /// Name of the property.
        property: String,
        /// The value in GStreamer's notation.
        value: String,
    },
    /// Changes the pipeline's state and waits for it: `null` … `playing`.
    State {
        /// The state's name.
        state: String,
    },
    /// The encoders of all bins, see [`Encoder`].
    Encoders,
    /// Packets that DTLS-SRTP elements have decrypted since the start.
    Decrypted,
    /// Frames that went through the `stamp` element.
    Stamped,
    /// Sends EOS into the pipeline.
    Eos,
    /// Pushes flush-start and flush-stop out of an element's source pad.
    Flush {
        /// Name of the element.
        element: String,
    },
    /// Adds a branch while the pipeline runs and links it to a request pad.
    Add {
        /// What the branch will be called.
        name: String,
        /// Its description; its end is linked.
        description: String,
        /// Name of the element that it is linked to.
        to: String,
        /// The template of the pad to request.
        template: String,
    },
    /// Takes such a branch out again and releases its pad.
    Remove {
        /// The branch's name.
        name: String,
    },
    /// Pushes messages into an `appsrc`, as fast as they are taken; see
    /// [`pattern`](crate::messages::pattern).
    Push {
        /// Name of the element.
        element: String,
        /// Of the first one; the next ones count up.
        seed: u64,
        /// In bytes.
        size: usize,
        /// As text, or as bytes.
        text: bool,
        /// How many.
        count: u64,
    },
    /// Pulls what has come into an `appsink`, at most so many messages.
    Pull {
        /// Name of the element.
        element: String,
        /// How many.
        most: usize,
    },
    /// Sends text by the action signal.
    Say {
        /// Name of the element.
        element: String,
        /// The pad, or its channel's label.
        pad: String,
        /// To whom; to all if empty.
        peer: String,
        /// The message.
        text: String,
    },
    /// How many webrtcbins there are in all bins.
    Connections,
    /// What has come through an `identity name=look…`: a [`Sight`].
    Look {
        /// Name of the element.
        element: String,
    },
    /// The latency of the pipeline in ms, which must be live.
    Latency,
    /// Sends a request for a keyframe upstream from an element's sink pad.
    AskForKeyframe {
        /// Name of the element.
        element: String,
    },
    /// Links a branch, whose end is a sink, to a source pad of an element.
    Attach {
        /// What the branch will be called.
        name: String,
        /// Its description; its open end is linked.
        description: String,
        /// Name of the element.
        to: String,
        /// Name of its pad.
        pad: String,
    },
    /// Unlinks such a branch and takes it out.
    Detach {
        /// The branch's name.
        name: String,
    },
    /// The pipeline as a dot graph.
    Dot,
}

/// One encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoder {
    /// The element's name.
    pub name: String,
    /// The factory's name: `x264enc`.
    pub factory: String,
    /// The factory's class: `Codec/Encoder/Video`.
    pub class: String,
    /// Frames that have come out of it.
    pub frames: u64,
}

/// What a publisher reports by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// An error on the bus.
    Error {
        /// Name of the element.
        source: String,
        /// For people.
        text: String,
        /// For developers.
        debug: String,
    },
    /// A warning on the bus.
    Warning {
        /// Name of the element.
        source: String,
        /// For people.
        text: String,
    },
    /// The pipeline has come to its end.
    Eos,
    /// An element message: `sigmund-address`, ….
    Message {
        /// The structure's name.
        name: String,
        /// Its fields.
        fields: Value,
    },
    /// A signal of an `rtcsink`.
    Signal {
        /// The signal's name.
        name: String,
        /// Its arguments; objects as their names.
        arguments: Vec<Value>,
    },
    /// The answer to a command: `Ok` or why not.
    Reply {
        /// The number given with the command.
        id: u64,
        /// What was asked for.
        answer: Result<Value, String>,
    },
}

/// A [`Command`] with the number that its reply will carry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Any number.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// A publisher's process, seen from the test. Killed when dropped.
#[derive(Debug)]
pub struct Publisher {
    process: Process,
    stdin: ChildStdin,
    heard: Arc<Heard>,
    requests: u64,
}

#[derive(Debug, Default)]
struct Heard {
    state: Mutex<HeardState>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct HeardState {
    replies: HashMap<u64, Result<Value, String>>,
    events: Vec<Event>,
    over: bool,
}

impl Publisher {
    /// Starts `pipeline` on `host`, without waiting for anything. An `identity
    /// name=stamp` in it gets the [stamps](crate::stamp) drawn in.
    pub fn start(host: &Host, pipeline: &str) -> Self {
        Self::start_with(host, pipeline, &[])
    }

    /// The same with more environment: `GST_DEBUG`, switches of workarounds.
    pub fn start_with(host: &Host, pipeline: &str, environment: &[(&str, &str)]) -> Self {
        let program = build_directory().join("sigmund-publisher");
        let mut command = host.command(&program.to_string_lossy());
        command.arg(pipeline);
        command.env("GST_PLUGIN_PATH", plugin_directory());
        // Each build has its own registry: scanning costs a second, once.
        command.env("GST_REGISTRY", build_directory().join("gst-registry.bin"));
        command.envs(environment.iter().copied());
        let mut process = Process::piped("publisher", command);
        let heard = Arc::new(Heard::default());
        let stdout = BufReader::new(process.stdout());
        thread::spawn({
            let heard = heard.clone();
            move || heard.listen(stdout)
        });
        let stdin = process.stdin();
        Self {
            process,
            stdin,
            heard,
            requests: 0,
        }
    }

    /// Does `command`; its answer, or why not.
    pub fn request(&mut self, command: Command) -> Result<Value, String> {
        self.requests += 1;
        let id = self.requests;
        let request = Request { id, command };
        let line = serde_json::to_string(&request).expect("commands are plain data");
        if writeln!(self.stdin, "{line}").is_err() {
            return Err("the publisher has ended".into());
        }
        let what = format!("an answer to {line}");
        self.heard.wait(PATIENCE, &what, |state| {
            let over = || {
                state
                    .over
                    .then(|| Err("the publisher has ended".to_owned()))
            };
            state.replies.remove(&id).or_else(over)
        })
    }

    /// Does `command`, which must succeed.
    #[track_caller]
    pub fn ask(&mut self, command: Command) -> Value {
        let what = format!("{command:?}");
        self.request(command)
            .unwrap_or_else(|e| panic!("{what}: {e}"))
    }

    /// A property of the element called `element`.
    #[track_caller]
    pub fn get(&mut self, element: &str, property: &str) -> Value {
        self.ask(Command::Get {
            element: element.into(),
            property: property.into(),
        })
    }

    /// Sets a property from text.
    #[track_caller]
    pub fn set(&mut self, element: &str, property: &str, value: &str) {
        self.ask(Command::Set {
            element: element.into(),
            property: property.into(),
            value: value.into(),
        });
    }

    /// Changes the state and waits for it.
    #[track_caller]
    pub fn state(&mut self, state: &str) {
        let state = state.into();
        self.ask(Command::State { state });
    }

    /// The video encoders in all bins, now.
    #[track_caller]
    pub fn video_encoders(&mut self) -> Vec<Encoder> {
        let all = serde_json::from_value::<Vec<Encoder>>(self.ask(Command::Encoders));
        let all = all.expect("the publisher speaks our language");
        all.into_iter()
            .filter(|e| e.class.contains("Encoder/Video"))
            .collect()
    }

    /// Pushes messages into an `appsrc`; see [`Command::Push`].
    #[track_caller]
    pub fn push(&mut self, element: &str, seed: u64, size: usize, text: bool, count: u64) {
        self.ask(Command::Push {
            element: element.into(),
            seed,
            size,
            text,
            count,
        });
    }

    /// What has come into an `appsink`, at most so many messages.
    #[track_caller]
    pub fn pull(&mut self, element: &str, most: usize) -> Vec<messages::Heard> {
        let element = element.into();
        let heard = self.ask(Command::Pull { element, most });
        serde_json::from_value(heard).expect("the publisher speaks our language")
    }

    /// Waits for a warning with these words.
    #[track_caller]
    pub fn warning(&self, words: &str) {
        self.wait_for(words, |event| match event {
            Event::Warning { text, .. } => text.contains(words).then_some(()),
            _ => None,
        });
    }

    /// What has come through an `identity name=look…`.
    #[track_caller]
    pub fn look(&mut self, element: &str) -> Sight {
        let element = element.to_owned();
        let sight = self.ask(Command::Look { element });
        serde_json::from_value(sight).expect("the publisher speaks our language")
    }

    /// A count: [`Command::Decrypted`], [`Command::Stamped`].
    #[track_caller]
    pub fn count(&mut self, command: Command) -> u64 {
        self.ask(command).as_u64().expect("a count is a number")
    }

    /// Waits for the first event that `pick` likes, from the start on.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        self.heard.wait(PATIENCE, what, |state| {
            let found = state.events.iter().find_map(&mut pick);
            assert!(
                found.is_some() || !state.over,
                "{what}: ended, after {:#?}",
                state.events
            );
            found
        })
    }

    /// The address that it has announced on the bus: where people watch.
    #[track_caller]
    pub fn address(&self) -> String {
        self.wait_for("an address", |event| match event {
            Event::Message { name, fields } if name == "sigmund-address" => {
                fields["address"].as_str().map(str::to_owned)
            }
            Event::Error { text, debug, .. } => panic!("an error instead: {text} ({debug})"),
            _ => None,
        })
    }

    /// The WHEP endpoint of one of its streams.
    #[track_caller]
    pub fn whep(&self, stream: &str) -> String {
        whep::endpoint(&self.address(), stream)
    }

    /// The first error on the bus.
    #[track_caller]
    pub fn error(&self) -> String {
        self.wait_for("an error", |event| match event {
            Event::Error { text, debug, .. } => Some(format!("{text}\n{debug}")),
            _ => None,
        })
    }

    /// All that was reported so far.
    pub fn events(&self) -> Vec<Event> {
        self.heard.lock().events.clone()
    }

    /// The arguments of each emission of a signal so far.
    pub fn emissions(&self, signal: &str) -> Vec<Vec<Value>> {
        let events = self.events().into_iter();
        let ours = events.filter_map(|event| match event {
            Event::Signal { name, arguments } if name == signal => Some(arguments),
            _ => None,
        });
        ours.collect()
    }

    /// Panics if an error stands on the bus, or the process is gone.
    #[track_caller]
    pub fn assert_healthy(&mut self) {
        assert!(!self.process.has_ended(), "the publisher has died");
        for event in self.events() {
            assert!(!matches!(event, Event::Error { .. }), "{event:?}");
        }
    }

    /// What its process costs now.
    pub fn usage(&self) -> Usage {
        self.process.usage()
    }

    /// What it has said on stderr.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, HeardState> {
        // Where one look panics, the test fails; the listener must go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            let mut state = self.lock();
            match serde_json::from_str(&line) {
                Ok(Event::Reply { id, answer }) => {
                    state.replies.insert(id, answer);
                }
                Ok(event) => state.events.push(event),
                Err(e) => eprintln!("the publisher said {line:?}: {e}"),
            }
            self.news.notify_all();
        }
        self.lock().over = true;
        self.news.notify_all();
    }

    #[track_caller]
    fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        mut probe: impl FnMut(&mut HeardState) -> Option<T>,
    ) -> T {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some(answer) = probe(&mut state) {
                return answer;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "not within {limit:?}: {what}; so far {:#?}",
                state.events
            );
            state = match self.news.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// Where `libgstsigmund.so` lies: `SIGMUND_PLUGIN_DIR`, else beside the tests.
pub fn plugin_directory() -> PathBuf {
    if let Some(directory) = env::var_os("SIGMUND_PLUGIN_DIR") {
        return directory.into();
    }
    // As a dependency of the tests it is built into `deps`, and only there.
    build_directory().join("deps")
}
