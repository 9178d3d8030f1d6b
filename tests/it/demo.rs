//! `podbell demo` as a newcomer meets it: real time, the real binary.

use std::time::Duration;

use crate::support::process::{Process, eventually, podbell};

/// When a spectator must have seen everything.
const IN_TIME: Duration = Duration::from_secs(15);

#[tokio::test]
async fn the_demo_shows_a_problem_from_its_start_to_its_end_within_15_seconds_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let start = podbell::clock::monotonic();
    let mut command = podbell(folder.path(), &["demo", "--for", "17s"]);
    command.env("TMPDIR", &temporary);
    let mut demo = Process::start(command);
    let shown = || {
        let out = demo.stdout();
        ["Critical #1", "Critical, worse #1", "Quiet for 4 s"]
            .iter()
            .all(|word| out.contains(word))
            .then(|| start.elapsed())
    };
    let took = eventually(Duration::from_secs(20), "opened, escalated, resolved", shown).await;
    assert!(took <= IN_TIME, "only after {took:?}:\n{}", demo.stdout());
    assert!(demo.ended().is_none(), "it goes on for as long as it was told to");
    let status = demo.end(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0), "{}", demo.stderr());
    let out = demo.stdout();
    assert!(out.contains("pod启动失败"), "{out}");
    let summary = out.lines().rev().find(|line| line.starts_with("Summary: ")).expect("a summary");
    assert!(summary.contains(" polls, ") && summary.contains(" messages."), "{summary}");
    assert_eq!(demo.stderr(), "");
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    let beside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["tmp"]);
}

#[tokio::test]
async fn ctrl_c_and_sigterm_end_the_demo_early_with_a_summary_and_leave_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let mut command = podbell(temporary.path(), &["demo", "--for", "5m", "--language", "zh"]);
        command.env("TMPDIR", temporary.path());
        let mut demo = Process::start(command);
        demo.word_after("集群中：").await;
        demo.signal(signal);
        assert_eq!(demo.end(Duration::from_secs(12)).await.code(), Some(0), "{}", demo.stderr());
        assert!(demo.stdout().contains("小结："), "{}", demo.stdout());
        assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_none());
    }
}

#[tokio::test]
async fn the_demo_runs_where_the_folder_for_temporary_files_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = podbell(folder.path(), &["demo", "--for", "3s"]);
    command.env("TMPDIR", folder.path().join("not/there"));
    let mut demo = Process::start(command);
    demo.word_after("health and metrics at").await;
    assert_eq!(demo.end(Duration::from_secs(20)).await.code(), Some(0), "{}", demo.stderr());
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is left");
}

#[tokio::test]
async fn the_demo_in_chinese_has_no_english_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Process::start(podbell(folder.path(), &["demo", "--language", "zh", "--for", "17s"]));
    assert_eq!(demo.end(Duration::from_secs(40)).await.code(), Some(0), "{}", demo.stderr());
    let out = demo.stdout();
    for said in ["模拟集群", "集群中：", "严重告警", "已恢复", "小结：", "接下来："] {
        assert!(out.contains(said), "no {said} in {out}");
    }
    // What the cluster says and what is typed stays as it is.
    let of_podbell = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with(['│', '$']);
    let typed = regex::Regex::new("`[^`]*`|https?://\\S+").unwrap();
    let english = regex::Regex::new(r"(^|[^\w/-])[A-Za-z]{2,} +[A-Za-z]{2,}([^\w\p{Han}-]|$)").unwrap();
    let chinese = regex::Regex::new(r"\p{Han}").unwrap();
    for line in out.lines().filter(of_podbell) {
        let line = typed.replace_all(line, "");
        assert!(chinese.is_match(&line) && !english.is_match(&line), "{line}");
    }
}
