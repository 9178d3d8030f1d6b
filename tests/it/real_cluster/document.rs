//! The run as a document, and its recording as test data. Both are written to `target/cluster`;
//! `PODBELL_UPDATE_DOCS=1 scripts/test --cluster` also puts them into the repository.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use podbell_core::time::Time;

use super::rows::Row;
use super::{Rules, replay, root};

/// How this run was started.
fn command() -> String {
    let run = std::env::var("PODBELL_CLUSTER_RUN").unwrap_or_else(|_| "scripts/test --cluster".to_owned());
    format!("PODBELL_UPDATE_DOCS=1 {run}")
}

/// The image that was installed.
pub struct Image {
    /// Of its archive.
    pub bytes: u64,
    /// From the moment at which a container was made for it to podbell's word that it runs, for each installation.
    pub started_within: Vec<Duration>,
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        let times: Vec<String> = self.started_within.iter().map(|time| format!("{} ms", time.as_millis())).collect();
        let times = times.join(" and ");
        write!(f, "The image has {megabytes:.1} MB. podbell ran {times} after its containers were made.")
    }
}

/// A table for each set of rules.
pub fn tables(all: &[(Rules, Vec<Row>)]) -> String {
    let mut text = String::new();
    for (rules, rows) in all {
        let title = match rules {
            Rules::Shipped => "With the shipped rules",
            Rules::Builtin => "Without rules",
        };
        let _ = writeln!(text, "## {title}\n");
        let head = "| trouble | told after | messages | its words | rule | command | its end, after the repair | the end's words |";
        let _ = writeln!(text, "{head}\n|---|---:|---:|---|---|---|---:|---|");
        for row in rows {
            let seconds = |time: Option<u64>| time.map_or("-".to_owned(), |time| format!("{time} s"));
            let clean = |text: &str| text.replace('|', "/");
            let incidents = match row.incidents {
                0 | 1 => String::new(),
                several => format!(" of {several} incidents"),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {}{incidents} | {} | {} | `{}` | {} | {} |",
                row.trouble,
                seconds(row.told_after),
                row.messages,
                clean(&middle_left_out(&row.words)),
                row.rule,
                row.command,
                seconds(row.ended_after),
                clean(&row.end)
            );
        }
        let _ = writeln!(text);
    }
    text.trim_end().to_owned() + "\n"
}

/// A long text without its middle.
fn middle_left_out(text: &str) -> String {
    const EACH: usize = 80;
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= 2 * EACH {
        return text.to_owned();
    }
    let (begin, end) = (&chars[..EACH], &chars[chars.len() - EACH..]);
    format!("{} … {}", String::from_iter(begin).trim_end(), String::from_iter(end).trim_start())
}

/// Writes the document, and beside the recording what was told and where it comes from.
pub fn write(run: &Path, image: &Image, rows: &[(Rules, Vec<Row>)], now: Time) {
    let (date, command) = (now.timestamp().strftime("%-d %B %Y").to_string(), command());
    let document = format!(
        "# A real cluster\n\n\
         What podbell told on {date} of a Kubernetes cluster (1.20.2; two nodes, one of them hollow) in which nineteen troubles were made and\n\
         mended: as a pod of the shipped manifests, in an image of the Dockerfile, once with the shipped rules and once with none. This page was\n\
         written by\n\n\
         ```sh\n{command}\n```\n\n\
         {image}\n\n\
         The troubles are those of `scripts/cluster list`, but for the full disk, which ends pods of all others. When those of workloads were told,\n\
         podbell was killed, then the control plane was restarted, each with a new trouble (the rows `podbell` and `apiserver`, which count from the\n\
         kill and from the stop); then both nodes were stopped. When that was told, too, everything was mended at once. Each rule opened one\n\
         incident of a trouble; its end was told after the repair. \"Messages\" counts those before the end: more than one, where it got worse or a\n\
         second incident of the same workload joined. How a trouble ends is in [reporters.md](reporters.md).\n\n{}",
        tables(rows)
    );
    std::fs::write(run.join("real-cluster.md"), document).unwrap();
    std::fs::write(run.join("told.json"), serde_json::to_string_pretty(rows).unwrap() + "\n").unwrap();
    let origin = format!(
        "# A recording of a real cluster\n\n\
         Made by the podbell project on {date} with `{command}`, in a cluster of its own (`scripts/cluster`:\n\
         Kubernetes 1.20.2 of Debian's source package, containerd, images made on the spot). Free to use like podbell itself.\n\n\
         | file | |\n|---|---|\n\
         | `recording.jsonl` | what `podbell record` kept of it |\n\
         | `trouble.tsv` | when which trouble was made and mended |\n\
         | `told.json` | what was told of each, by podbell with the shipped rules and with none |\n"
    );
    std::fs::write(run.join("README.md"), origin).unwrap();
}

/// Puts both into the repository.
pub fn keep(run: &Path) {
    std::fs::copy(run.join("real-cluster.md"), root().join("docs/real-cluster.md")).unwrap();
    let data = replay::folder();
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).unwrap();
    for file in ["README.md", "recording.jsonl", "told.json", "trouble.tsv"] {
        std::fs::copy(run.join(file), data.join(file)).unwrap();
    }
}
