//! `sigmund serve`: runs the server until a signal stops it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sigmund::server::standalone::{Place, Standalone};
use sigmund::signaller::SignallerError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::options::Options;
use crate::{Failure, logs, setup};

/// How often the files of tokens, keys and secrets are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What may be said on the command line.
#[derive(clap::Args)]
#[command(after_help = NOTES)]
pub(crate) struct Args {
    /// Read options from a TOML file, under the same names; those given here win
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check all options and the files that they name, and do not serve
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    options: Options,
}

const NOTES: &str = "\
A file holds the same options, lists in brackets, and limits in a table:
  listen = \"0.0.0.0:8443\"
  tls-certificate = \"/etc/sigmund/fullchain.pem\"
  tls-key = \"/etc/sigmund/privkey.pem\"
  anonymous = \"view\"
  key-file = [\"jwt.pub\"]
  turn-server = [\"turn://turn.example.net?transport=udp\"]
  turn-secret-file = \"turn.secret\"
  [limits]
  viewers-per-stream = 200
  idle-timeout = \"45s\"

Signals: SIGHUP reads the file and all that it names again (listen, tls-…, nats… and metrics-listen \
take a restart); SIGTERM and SIGINT end the server in good order.
Exit codes: 0 it was stopped; 1 the system refused something, such as the port; 2 an option is wrong.

Examples:
  sigmund serve
      on http://127.0.0.1:8080/, for everybody on this machine
  sigmund serve --listen 0.0.0.0:8080 --token-file tokens --anonymous view
      everybody may watch, who has a token may publish
  sigmund serve --listen 0.0.0.0:8080 --anonymous all --nats nats://nats.example.net
      one of several, on as many machines, that are as one
  rtcsink uri=sigmund+ws://SERVER:8080/cam token=SECRET
      a publisher (in a pipeline)";

/// Does it.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let options = setup::options(args.config.as_deref(), &args.options).map_err(Failure::Usage)?;
    let place = setup::place(&options).map_err(Failure::Usage)?;
    if args.check {
        return check(&options, &place).map_err(Failure::Usage);
    }
    logs::start(
        options.log.as_deref(),
        options.log_format.unwrap_or_default(),
    )
    .map_err(Failure::Usage)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::System(error.to_string()))?
        .block_on(serve(args, options, place))
}

fn check(options: &Options, place: &Place) -> Result<(), String> {
    let terms = setup::terms(options, place)?;
    terms
        .check(place.listen.ip())
        .map_err(|error| error.to_string())
}

async fn serve(args: Args, options: Options, place: Place) -> Result<(), Failure> {
    let system = |error: std::io::Error| Failure::System(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(system)?;
    // Before the files are read: what changes from here on is noticed.
    let mut watched = Watched::new(args, options, place);
    let terms = setup::terms(&watched.options, &watched.place).map_err(Failure::Usage)?;
    terms
        .check(watched.place.listen.ip())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let server = Standalone::start(watched.place.clone(), &terms).map_err(|error| match error {
        SignallerError::Transient(text) | SignallerError::Permanent(text) => Failure::System(text),
    })?;
    announce(&server);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => watched.reload(&server),
            _ = look.tick() => watched.look(&server),
        }
    }
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// The address goes to stdout, for whoever started us; so it can be read from
/// there when the port was 0.
#[expect(clippy::print_stdout, reason = "the program's own voice")]
fn announce(server: &Standalone) {
    println!("{}", server.url());
    if let Some(address) = server.metrics_address() {
        println!("http://{address}/metrics");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");
}

/// The options and the files that they name, as they were read last.
struct Watched {
    args: Args,
    options: Options,
    place: Place,
    contents: Vec<Option<Vec<u8>>>,
}

impl Watched {
    fn new(args: Args, options: Options, place: Place) -> Self {
        let contents = contents(&setup::followed(&options));
        Self {
            args,
            options,
            place,
            contents,
        }
    }

    /// Reads everything again.
    fn reload(&mut self, server: &Standalone) {
        let options = setup::options(self.args.config.as_deref(), &self.args.options);
        match options {
            Ok(options) => {
                if setup::place(&options).as_ref() != Ok(&self.place) {
                    tracing::warn!(
                        "listen, tls-…, nats… and metrics-listen are as before: they take a restart"
                    );
                }
                self.options = options;
                self.apply(server);
            }
            Err(error) => tracing::error!("the old options stay: {error}"),
        }
    }

    /// Reads the files of tokens, keys and secrets again if one has changed.
    fn look(&mut self, server: &Standalone) {
        if contents(&setup::followed(&self.options)) != self.contents {
            self.apply(server);
        }
    }

    fn apply(&mut self, server: &Standalone) {
        self.contents = contents(&setup::followed(&self.options));
        let changed = setup::terms(&self.options, &self.place)
            .and_then(|terms| server.change(&terms).map_err(|error| error.to_string()));
        match changed {
            Ok(()) => tracing::info!("tokens, keys, limits and ICE servers have been read again"),
            Err(error) => tracing::error!("the old tokens, keys and limits stay: {error}"),
        }
    }
}

fn contents(files: &[impl AsRef<Path>]) -> Vec<Option<Vec<u8>>> {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}
