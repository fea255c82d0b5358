//! The log: to stderr, as the program's user wants it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::values::LogFormat;

/// Begins to log. The error says what is wrong with the filter.
///
/// What the server logs at `info` and above holds no descriptions, tokens or
/// addresses of clients; `debug` may.
pub(crate) fn start(filter: Option<&str>, format: LogFormat) -> Result<(), String> {
    let filter = filter.unwrap_or("info");
    let filter = EnvFilter::builder().parse(filter).map_err(|error| {
        format!("log: it takes a level or a list such as info,sigmund::server=debug: {error}")
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
