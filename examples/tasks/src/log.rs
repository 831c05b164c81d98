//! The log: to standard error, as text or as JSON, one object a line.

use tracing_subscriber::EnvFilter;

/// Begins to log. Standard output is for what other programs read.
pub(crate) fn begin(form: &str) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr);
    match form {
        "json" => log.json().flatten_event(true).with_ansi(false).init(),
        _ => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
    }
}

/// `RUST_LOG`, or `info` without lapin: what it has to say brighter says too, and it writes whole messages to
/// the log, with all that is in them.
fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,lapin=off"))
}
