//! `sigmund`: the signalling server that stands alone, and its tokens.
#![forbid(unsafe_code)]

mod logs;
mod options;
mod serve;
mod setup;
mod token;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Signalling for WebRTC: passes the notes between those who send and those who watch.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: web page, WHEP, WebSockets, many publishers, on one port
    Serve(Box<serve::Args>),
    /// Make a token that lets its bearer publish or watch, or the key for such tokens
    Token(token::Args),
}

const EXAMPLES: &str = "\
Examples:
  sigmund serve                                       on this machine alone, for everybody on it
  sigmund serve --listen 0.0.0.0:8080 --anonymous view --token-file tokens
  sigmund token --generate-key --key-file jwt.key
  sigmund token --key-file jwt.key --stream 'cam*' --publish --ttl 1h

`sigmund serve --help` and `sigmund token --help` say the rest.";

/// Why the program ends in failure.
enum Failure {
    /// It was asked for something that cannot be (exit code 2).
    Usage(String),
    /// The system refused something (exit code 1).
    System(String),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => serve::run(*args),
        Command::Token(args) => token::run(&args),
    };
    let (text, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => (text, 2),
        Err(Failure::System(text)) => (text, 1),
    };
    #[expect(clippy::print_stderr, reason = "the program's own voice")]
    {
        eprintln!("sigmund: {text}");
    }
    ExitCode::from(code)
}
