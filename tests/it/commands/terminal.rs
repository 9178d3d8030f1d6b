//! The commands in a terminal, with the real binary.

use std::path::Path;
use std::process::{Command, Output};

use super::queries::{RULES, lived};
use crate::support::process::{podbell, printed};
use crate::support::world::World;

fn run(world: &World, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "sources: [{{name: prod, kind: file, path: play.jsonl, aliases: {{cls-1: prod-gz}}}}]\n\
         notifiers: [{{name: team, kind: console}}]\nrules: [rules-0.yaml]\nstore: 'sqlite:{}'\n",
        world.store_path().display()
    );
    std::fs::write(folder.path().join("podbell.yaml"), config).unwrap();
    std::fs::write(folder.path().join("rules-0.yaml"), RULES).unwrap();
    command(folder.path(), args)
}

fn command(folder: &Path, args: &[&str]) -> Output {
    podbell(folder, args).output().unwrap()
}

#[test]
fn the_language_is_the_same_and_exit_codes_say_what_became_of_it() {
    let world = lived();
    for (args, code, says) in [
        (&["events", "web"][..], 0, "shop/web"),
        (&["events", "web", "-n", "shop", "--page", "1"], 0, "prod-gz"),
        (&["incidents"], 0, "#1"),
        (&["show", "#1"], 0, "#1"),
        (&["why", "1", "--language", "zh"], 0, "由规则 pulls 通知"),
        (&["untold", "--since", "2h"], 0, "No unmatched Warnings are on record for the last 2 h"),
        (&["mutes"], 0, "Nothing is muted"),
        (&["status"], 0, "Not running"),
        (&["show", "99"], 1, "There is no incident #99"),
        (&["events", "wbe"], 1, "podbell events web"),
        (&["events", "web", "--sinse", "2h"], 2, "--since"),
        (&["mute", "web"], 2, "For how long?"),
        (&["status", "--output", "xml"], 2, "possible values: text, json"),
        (&["help", "mute"], 0, "podbell mute web 2h deploying"),
        (&["help", "mute", "--config", "other.yaml"], 0, "podbell mute web 2h deploying"),
        (&["help", "run"], 0, "--store-wait"),
    ] {
        let output = run(&world, args);
        let said = printed(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn whoever_reads_no_further_makes_no_failure() {
    let mut command = Command::new("bash");
    // Nobody reads: what is written meets a closed pipe, if not at once then when it is flushed.
    let script = "\"$0\" schema config | true; exit ${PIPESTATUS[0]}";
    let output = command.args(["-c", script, env!("CARGO_BIN_EXE_podbell")]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", printed(&output));
}

#[test]
fn machines_read_the_facts() {
    let world = lived();
    let output = run(&world, &["events", "web", "--output", "json"]);
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(facts["answer"], "events");
    assert_eq!(facts["incidents"][0]["id"], 1);
    assert!(facts["rows"].as_array().unwrap().iter().any(|row| row["reason"] == "Failed"));
}

#[test]
fn what_would_change_something_says_plainly_that_podbell_does_not_run() {
    let mut world = lived();
    world.kill();
    let output = run(&world, &["mute", "web", "2h", "deploying"]);
    let said = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Nothing was changed: podbell is not running"), "{said}");
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    let waits: i64 = store.query_row("SELECT count(*) FROM inbox", [], |row| row.get(0)).unwrap();
    assert_eq!(waits, 0, "nothing waits for a service that comes later");
}

#[test]
fn a_shell_completes_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = command(folder.path(), &["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        for command in podbell_core::ask::COMMANDS.iter().map(|spec| spec.name).chain(["run", "demo", "completions"]) {
            assert!(script.contains(command), "{shell}: no {command}");
        }
    }
}

#[test]
fn a_shell_completes_every_option_of_the_commands_of_chats() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), &["completions", "fish"]);
    let script = String::from_utf8(output.stdout).unwrap();
    for spec in podbell_core::ask::COMMANDS.iter().filter(|spec| spec.name != "help") {
        let lines: Vec<&str> = script
            .lines()
            .filter(|line| line.contains(&format!("__fish_podbell_using_subcommand {}\"", spec.name)))
            .collect();
        let longs = spec.options().map(|option| option.long).chain(["config", "output", "url", "language"]);
        for long in longs {
            assert!(lines.iter().any(|line| line.contains(&format!(" -l {long} "))), "{}: no --{long}", spec.name);
        }
    }
}

#[test]
fn the_help_of_a_command_says_its_options_and_those_of_the_terminal_wherever_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    for words in [["events", "--help"].as_slice(), &["events", "-h"], &["help", "events"], &["events", "web", "--help"]]
    {
        let output = command(folder.path(), words);
        let said = printed(&output);
        assert!(output.status.success(), "{words:?}: {said}");
        for part in ["events [SERVICE]", "-s, --since 2h", "events web -n shop", "--config <FILE>"] {
            assert!(said.contains(part), "{words:?}: no {part} in {said}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), &["man", "pages"]);
    assert!(output.status.success(), "{}", printed(&output));
    for command in podbell_core::ask::COMMANDS.iter().map(|spec| spec.name).chain(["run", "demo", "outbox-list"]) {
        if command != "help" {
            let page = std::fs::read_to_string(folder.path().join(format!("pages/podbell-{command}.1"))).unwrap();
            assert!(page.contains(&format!("podbell {}", command.replace('-', " "))), "{page}");
        }
    }
}
