//! `podbell emulate`: serves the legacy API from a recording, and makes recordings for it.

use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use secrecy::SecretString;

use crate::clock;
use crate::components::legacy_api::emulator::{Emulator, EmulatorConfig, Play};
use crate::components::recordings as file;
use crate::components::recordings::play_maker::{self, PlayOptions};
use crate::components::recordings::recording::{RecordedPoll, Scope, parse_single};
use crate::components::recordings::written::write_poll;
use crate::sources::wall_clock::WallClock;

/// `podbell emulate`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
        podbell emulate make-play list.json --cluster cls-1 --service web > play.jsonl\n  \
        podbell emulate --listen 127.0.0.1:8081 --secret-id id --secret-key key --play play.jsonl --speed 60\n\n\
        The play starts now and runs N times as fast. Several services make one play when their lines are\n\
        merged in time order:  LC_ALL=C sort -s -k1,2.9 web.jsonl db.jsonl > both.jsonl"
)]
pub(crate) struct Emulate {
    #[command(subcommand)]
    command: Option<EmulateCommand>,
    #[command(flatten)]
    serve: Option<Serve>,
}

#[derive(Debug, Subcommand)]
enum EmulateCommand {
    /// Makes a play of single lists: fills in what the polls between firstSeen and lastSeen showed.
    MakePlay(MakePlay),
}

#[derive(Debug, Args)]
struct Serve {
    /// Address to serve the API at, such as 127.0.0.1:8081 (port 0: any free one).
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The only SecretId that is accepted.
    #[arg(long, value_name = "ID")]
    secret_id: String,
    /// The key that requests must be signed with.
    #[arg(long, value_name = "KEY")]
    secret_key: String,
    /// The Token that requests must carry.
    #[arg(long)]
    token: Option<String>,
    /// The recording to play; - is standard input.
    #[arg(long, value_name = "FILE.jsonl")]
    play: PathBuf,
    /// Play it N times as fast.
    #[arg(long, value_name = "N", default_value = "1")]
    speed: NonZeroU32,
    /// The time zone of the recording.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = super::values::time_zone)]
    time_zone: TimeZone,
}

#[derive(Debug, Args)]
#[command(after_help = "Times stay as they are in the lists. An entry leaves the play an hour after its last change, \
                        as it leaves the API's list. The play begins with one empty poll.")]
struct MakePlay {
    /// Single answers of the API, or bare lists of events; several make one list. - is standard input.
    #[arg(required = true, value_name = "LIST.json")]
    lists: Vec<PathBuf>,
    /// Time between two polls.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = podbell_core::yaml::parse_duration)]
    every: Duration,
    /// The cluster to write into the play; without it, the play speaks for any.
    #[arg(long)]
    cluster: Option<String>,
    /// The namespace to write into the play.
    #[arg(long)]
    namespace: Option<String>,
    /// The service to write into the play.
    #[arg(long)]
    service: Option<String>,
    /// The time zone of the lists and of --from.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = super::values::time_zone)]
    time_zone: TimeZone,
    /// Leave out what is earlier than this, such as "2026-01-01 19:18:00".
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Leave out what is earlier than so long before the last change, such as 2h.
    #[arg(long, value_name = "DURATION", value_parser = podbell_core::yaml::parse_duration)]
    last: Option<Duration>,
    /// How long the play goes on after the last change; as given, until its list is empty.
    #[arg(long, value_name = "DURATION", default_value = "62m", value_parser = podbell_core::yaml::parse_duration)]
    tail: Duration,
}

/// Runs the command.
pub(super) fn main(args: Emulate) -> anyhow::Result<ExitCode> {
    match (args.command, args.serve) {
        (Some(EmulateCommand::MakePlay(make)), _) => make_play(&make)?,
        (None, Some(serve)) => super::block_on(run(serve))??,
        (None, None) => bail!("--listen, --secret-id, --secret-key and --play are needed"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(args: Serve) -> anyhow::Result<()> {
    let polls = read_play(&args.play, args.time_zone)?;
    let count = polls.len();
    if count == 0 {
        bail!("{} holds no polls: make a play with `podbell emulate make-play LIST.json`", args.play.display());
    }
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen at {}", args.listen))?;
    let emulator = Emulator::start(
        listener,
        EmulatorConfig {
            secret_id: SecretString::from(args.secret_id),
            secret_key: SecretString::from(args.secret_key),
            token: args.token.map(SecretString::from),
            play: Play::new(polls, clock::now(), args.speed),
        },
    )?;
    let signals = super::Signals::listen()?;
    let mut out = io::stdout();
    writeln!(out, "emulating at {} ({count} polls, speed {})", emulator.endpoint(), args.speed)?;
    out.flush()?;
    signals.stop_requested().await;
    emulator.stop().await;
    Ok(())
}

fn read_play(path: &Path, zone: TimeZone) -> anyhow::Result<Vec<RecordedPoll>> {
    let mut recording = file::open(path, zone).with_context(|| format!("cannot open {}", path.display()))?;
    let polls: Vec<_> = recording.by_ref().collect::<Result<_, _>>().with_context(|| path.display().to_string())?;
    warn_of_skipped(path, recording.skipped());
    Ok(polls)
}

fn warn_of_skipped(path: &Path, skipped: usize) {
    if skipped > 0 {
        anstream::eprintln!("warning: {}: {skipped} entries could not be understood and are left out", path.display());
    }
}

fn make_play(args: &MakePlay) -> anyhow::Result<()> {
    let mut events = Vec::new();
    for path in &args.lists {
        let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(path) };
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let list = parse_single(text.as_bytes(), &args.time_zone).with_context(|| path.display().to_string())?;
        warn_of_skipped(path, list.skipped);
        events.extend(list.events);
    }
    let mut clock = WallClock::new(args.time_zone.clone());
    let from =
        args.from.as_deref().map(|text| clock.read(text).with_context(|| format!("--from {text:?}: not a time")));
    let scope =
        Scope { cluster: args.cluster.clone(), namespace: args.namespace.clone(), service: args.service.clone() };
    let options = PlayOptions { every: args.every, scope, from: from.transpose()?, last: args.last, tail: args.tail };
    let mut out = BufWriter::new(io::stdout().lock());
    for poll in play_maker::make(events, &options)? {
        match write_poll(&mut out, &poll, &clock) {
            // The reader has closed the pipe (`| head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
