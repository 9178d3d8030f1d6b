//! The service's log: on standard error, for people or as JSON.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
    /// Which lines: error, warn, info, debug, or a filter such as `podbell=debug,hyper=info`.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = filter)]
    log_level: String,
}

pub(super) fn start(args: &LogArgs) {
    let filter = EnvFilter::builder().parse_lossy(&args.log_level);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}

/// Reads `--log-level`. Refuses what is neither a level nor a filter: it would silence everything.
fn filter(text: &str) -> anyhow::Result<String> {
    // A bare level applies to podbell alone. At debug and trace the network libraries log every connection and its
    // host, which is of no use here and may be confidential.
    if let Ok(level) = text.parse::<LevelFilter>() {
        return Ok(format!("warn,podbell={level}"));
    }
    let known = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    match text.split(',').all(known) && EnvFilter::try_new(text).is_ok() {
        true => Ok(text.to_owned()),
        false => anyhow::bail!("write error, warn, info, debug, or a filter such as podbell=debug,hyper=info"),
    }
}
