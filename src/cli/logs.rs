//! Where the service's own words go: standard error, for people or as JSON.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How to log.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// The shape of log lines, written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Which lines: error, warn, info, debug, or a filter such as `podbell=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

/// Starts logging.
pub(super) fn start(args: &LogArgs) {
    let filter = EnvFilter::builder().parse_lossy(&args.log_level);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}
