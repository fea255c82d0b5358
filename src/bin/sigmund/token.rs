//! `sigmund token`: makes tokens, and keys for them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use sigmund::access::Pattern;
use sigmund::access::jwt::{Claims, Key, generate_pair, generate_secret};

use crate::Failure;
use crate::values::Time;

/// What may be said on the command line.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Key to sign with, as `sigmund serve --key-file` takes it; with --generate-key: the file to
    /// write
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Make a key instead of a token: a secret (hs256) or an Ed25519 pair (eddsa: FILE, and
    /// FILE.pub for the server)
    #[arg(
        long,
        value_name = "ALGORITHM",
        num_args = 0..=1,
        default_missing_value = "hs256",
        conflicts_with_all = ["stream", "publish", "view", "data", "metrics", "ttl", "max_bitrate"]
    )]
    generate_key: Option<Algorithm>,
    /// Stream that the token is for; * stands for any characters; may be given again
    #[arg(long, value_name = "PATTERN")]
    stream: Vec<String>,
    /// Let its bearer publish
    #[arg(long)]
    publish: bool,
    /// Let its bearer watch
    #[arg(long)]
    view: bool,
    /// Let its bearer open data channels
    #[arg(long)]
    data: bool,
    /// Let its bearer read the metrics
    #[arg(long)]
    metrics: bool,
    /// How long it is good: 10m, 1h, 30d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: Time,
    /// The most that its bearer may send or get for one stream, in bit/s
    #[arg(long, value_name = "BITRATE")]
    max_bitrate: Option<u64>,
}

const EXAMPLES: &str = "\
The token is written to stdout, and nothing else.

Examples:
  sigmund token --generate-key --key-file jwt.key
  sigmund token --key-file jwt.key --stream 'cam*' --publish --ttl 1h
  sigmund token --key-file jwt.key --stream stage --view --data --ttl 7d";

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    Hs256,
    Eddsa,
}

/// Does what was asked for.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let text = match args.generate_key {
        Some(algorithm) => generate(algorithm, args.key_file.as_deref())?,
        None => format!("{}\n", mint(args)?),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::System(format!("cannot write: {error}")))
}

fn mint(args: &Args) -> Result<String, Failure> {
    let usage = |text: &str| Failure::Usage(text.to_owned());
    let file = args.key_file.as_deref().ok_or_else(|| {
        usage("--key-file says which key signs the token; `sigmund token --generate-key --key-file jwt.key` makes one")
    })?;
    if !(args.publish || args.view || args.data || args.metrics) {
        return Err(usage(
            "say what the token is for: --publish, --view, --data, --metrics",
        ));
    }
    if args.stream.is_empty() {
        return Err(usage(
            "say which streams the token is for: --stream NAME, or --stream '*' for all",
        ));
    }
    if args
        .stream
        .iter()
        .any(|it| Pattern::new(it.as_str()).is_none())
    {
        return Err(usage("a stream's name is empty or too long"));
    }
    let named = |error: String| Failure::Usage(format!("--key-file {}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| named(error.to_string()))?;
    let key = Key::parse(&text).map_err(|error| named(error.to_string()))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let claims = Claims {
        streams: args.stream.clone(),
        publish: args.publish,
        view: args.view,
        data: args.data,
        metrics: args.metrics,
        exp: now.saturating_add(args.ttl.0.as_secs()),
        nbf: None,
        max_bitrate: args.max_bitrate,
    };
    key.sign(&claims).map_err(|error| named(error.to_string()))
}

/// Makes a key. Returns what goes to stdout.
fn generate(algorithm: Algorithm, file: Option<&Path>) -> Result<String, Failure> {
    let system = |error: sigmund::access::AccessError| Failure::System(error.to_string());
    let (private, public) = match algorithm {
        Algorithm::Hs256 => (format!("{}\n", generate_secret().map_err(system)?), None),
        Algorithm::Eddsa => {
            let (private, public) = generate_pair().map_err(system)?;
            (private, Some(public))
        }
    };
    let Some(file) = file else {
        return Ok(private + public.as_deref().unwrap_or_default());
    };
    write_new(file, 0o600, &private)?;
    if let Some(public) = public {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".pub");
        write_new(Path::new(&beside), 0o644, &public)?;
    }
    Ok(String::new())
}

/// Writes a file that must not exist yet: a key that is overwritten is lost.
fn write_new(file: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)
        .and_then(|mut file: File| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::System(format!("cannot write {}: {error}", file.display())))
}
