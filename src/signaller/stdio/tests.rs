//! Two ends in one process, in two, and a shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as Std};

use tokio::net::unix::pipe;

use super::super::{Refusal, Registry};
use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A directory with two named pipes.
struct Pipes(PathBuf);

impl Pipes {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("sigmund-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let pipes = Self(directory);
        let made = Command::new("mkfifo")
            .args([pipes.down(), pipes.up()])
            .status();
        assert!(made.unwrap().success());
        pipes
    }

    /// From the publisher to the viewer.
    fn down(&self) -> PathBuf {
        self.0.join("down")
    }

    fn up(&self) -> PathBuf {
        self.0.join("up")
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Element {
    signaller: Box<dyn Signaller>,
    connection: Connection,
}

impl Element {
    async fn open(role: Role, uri: &str) -> Self {
        let opened = Registry::builtin().open(uri, &Options::new(role, "x"));
        let mut signaller = opened.unwrap();
        let connection = signaller.connect().await.unwrap();
        Self {
            signaller,
            connection,
        }
    }

    async fn paths(role: Role, input: &Path, output: &Path) -> Self {
        let uri = format!("stdio:?in={}&out={}", input.display(), output.display());
        Self::open(role, &uri).await
    }

    async fn hears(&mut self) -> Incoming {
        let heard = timeout(LONG, self.connection.incoming.recv()).await;
        heard.expect("nothing was heard").expect("it is open")
    }

    async fn joined(&mut self) -> PeerId {
        match self.hears().await {
            Incoming::Joined { peer, info } => {
                assert_eq!(info.patience, Some(PATIENCE));
                let channel = info.channel.unwrap();
                assert!(!channel.trickle_in && !channel.trickle_out);
                peer
            }
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> Message {
        match self.hears().await {
            Incoming::Message { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    async fn left(&mut self) -> String {
        match self.hears().await {
            Incoming::Left { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    async fn says(&self, peer: &PeerId, message: Message) {
        let peer = peer.clone();
        let note = Outgoing::Message { peer, message };
        self.connection.outgoing.send(note).await.unwrap();
    }

    async fn ends(&self, peer: &PeerId) {
        let note = Outgoing::End {
            peer: peer.clone(),
            reason: "enough".into(),
        };
        self.connection.outgoing.send(note).await.unwrap();
    }

    async fn close(self) {
        let Self {
            mut signaller,
            connection,
        } = self;
        drop(connection);
        timeout(LONG, signaller.close()).await.expect("it closes");
    }
}

/// As long as real ones, and longer than a pipe takes at once.
fn offer() -> Message {
    Message::Offer {
        sdp: "a=x12345678901234567890123456789\r\n".repeat(1_900),
    }
}

fn answer() -> Message {
    Message::Answer {
        sdp: "v=0\r\n".into(),
    }
}

#[tokio::test]
async fn an_offer_goes_one_way_and_an_answer_the_other_and_then_again() {
    let pipes = Pipes::new("pair");
    let mut publisher = Element::paths(Role::Publish, &pipes.up(), &pipes.down()).await;
    let first = publisher.joined().await;
    publisher.says(&first, offer()).await;
    let mut viewer = Element::paths(Role::Subscribe, &pipes.down(), &pipes.up()).await;
    let far = viewer.joined().await;
    assert_eq!(viewer.message().await, offer());
    viewer.says(&far, answer()).await;
    assert_eq!(publisher.message().await, answer());

    publisher.ends(&first).await;
    assert_eq!(viewer.left().await, "enough");
    let second = publisher.joined().await;
    assert_ne!(second, first);
    publisher.says(&second, offer()).await;
    viewer.joined().await;
    assert_eq!(viewer.message().await, offer());
    viewer.close().await;
    publisher.close().await;
}

#[tokio::test]
async fn a_new_offer_replaces_the_session_before() {
    let pipes = Pipes::new("replace");
    let mut viewer = Element::paths(Role::Subscribe, &pipes.down(), &pipes.up()).await;
    for restart in [false, true] {
        let mut publisher = Element::paths(Role::Publish, &pipes.up(), &pipes.down()).await;
        let peer = publisher.joined().await;
        publisher.says(&peer, offer()).await;
        if restart {
            viewer.left().await;
        }
        viewer.joined().await;
        viewer.message().await;
        publisher.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_before_anything_was_said_hears_nothing_and_is_asked_later() {
    let (_far_out, input) = pipe::pipe().unwrap();
    let (output, mut far_in) = pipe::pipe().unwrap();
    let (incoming_in, incoming) = mpsc::channel(QUEUE);
    let (outgoing, outgoing_out) = mpsc::channel(QUEUE);
    let talk = Talk {
        publishes: true,
        channel: CAPABILITIES,
        output: Box::new(output),
        incoming: incoming_in,
        joined: Arc::default(),
        session: None,
        begin_at: Some(Instant::now()),
        pause: PAUSE,
    };
    tokio::spawn(talk.run(Box::new(input), outgoing_out));
    let mut incoming = incoming;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let before = Instant::now();
        let Some(Incoming::Joined { peer, .. }) = incoming.recv().await else {
            panic!("nobody joined");
        };
        waits.push(before.elapsed());
        let refusal = Refusal::Busy("no media yet".into());
        outgoing
            .send(Outgoing::Refuse { peer, refusal })
            .await
            .unwrap();
    }
    assert!(
        waits.is_sorted() && *waits.last().unwrap() <= LONGEST_PAUSE + PAUSE,
        "{waits:?}"
    );
    let nothing = timeout(PAUSE / 2, far_in.read_u8()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn a_shell_can_carry_the_notes() {
    let pipes = Pipes::new("shell");
    let script = r#"
        read offer < "$1"
        case "$offer" in '{"type":"offer"'*) printf '%s\n' '{"type":"answer","sdp":"v=0\r\n"}' > "$2";; esac
        printf 'some noise\nv=0\r\ns=-\r\n\r\n' > "$2"
        echo '{"type":"bye","reason":"done"}' > "$2"
    "#;
    let shell = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([pipes.down(), pipes.up()])
        .spawn();
    let mut publisher = Element::paths(Role::Publish, &pipes.up(), &pipes.down()).await;
    let peer = publisher.joined().await;
    publisher.says(&peer, offer()).await;
    assert_eq!(publisher.message().await, answer());
    let raw = Message::Answer {
        sdp: "v=0\r\ns=-\r\n".into(),
    };
    assert_eq!(publisher.message().await, raw);
    assert_eq!(publisher.left().await, "done");
    assert!(shell.unwrap().wait().unwrap().success());
}

/// Runs in a process of its own, see below: a viewer on its standard input and
/// output, among whatever else is printed there.
#[test]
#[ignore = "run by another test"]
fn far_side() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut viewer = Element::open(Role::Subscribe, "stdio:?in=0&out=1").await;
        let peer = viewer.joined().await;
        assert_eq!(viewer.message().await, offer());
        viewer.says(&peer, answer()).await;
        assert_eq!(viewer.left().await, "enough");
        viewer.close().await;
    });
}

#[tokio::test]
async fn two_processes_meet_by_two_pipes() {
    let pipes = Pipes::new("processes");
    let keep = |path: &Path| {
        // For both directions, so that opening waits for nobody.
        std::fs::File::options()
            .read(true)
            .write(true)
            .open(path)
            .unwrap()
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "signaller::stdio::tests::far_side",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Std::from(keep(&pipes.down())))
        .stdout(Std::from(keep(&pipes.up())))
        .spawn()
        .unwrap();
    let mut publisher = Element::paths(Role::Publish, &pipes.up(), &pipes.down()).await;
    let peer = publisher.joined().await;
    publisher.says(&peer, offer()).await;
    assert_eq!(publisher.message().await, answer());
    publisher.ends(&peer).await;
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let ended = timeout(LONG, ended).await.expect("it ends");
    assert!(ended.unwrap().unwrap().success());
    publisher.close().await;
}

#[tokio::test]
async fn files_will_do_as_well() {
    let pipes = Pipes::new("files");
    let (offers, answers) = (pipes.0.join("offers"), pipes.0.join("answers"));
    std::fs::write(&answers, "").unwrap();
    let mut publisher = Element::paths(Role::Publish, &answers, &offers).await;
    let peer = publisher.joined().await;
    publisher.says(&peer, answer()).await;
    std::fs::write(&answers, "{\"type\":\"answer\",\"sdp\":\"v=0\\r\\n\"}\n").unwrap();
    assert_eq!(publisher.message().await, answer());
    publisher.close().await;
    let written = std::fs::read_to_string(&offers).unwrap();
    assert!(written.starts_with("{\"type\":\"answer\"") && written.ends_with("}\n"));
}

#[tokio::test]
async fn an_end_that_cannot_be_opened_is_named() {
    let mut options = Options::new(Role::Publish, "x");
    for (uri, name, permanent) in [
        ("stdio:?in=987", "descriptor 987", true),
        ("stdio:?in=/nonexistent/pipe", "/nonexistent/pipe", false),
        ("stdio:?in=/dev/null&out=/", "out=/", true),
    ] {
        let mut signaller = Registry::builtin().open(uri, &options).unwrap();
        let error = signaller.connect().await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        let is_permanent = matches!(error, SignallerError::Permanent(_));
        assert_eq!(is_permanent, permanent, "{error}");
    }
    options.role = Role::Both;
    assert!(Registry::builtin().open("stdio:", &options).is_err());
}
