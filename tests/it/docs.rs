//! The tables of keys in the documentation are those of the readers, and its schema of messages is the printed one. `PODBELL_UPDATE_DOCS=1 cargo test --test it docs::`
//! writes them anew.

use std::collections::BTreeMap;

use crate::support::process::podbell;
use podbell::components::registry::{CHATS, NOTIFIERS, SOURCES};
use podbell::config::SECTIONS;
use podbell_core::rules::keys::OF_A_RULE;
use podbell_core::rules::settings::SETTINGS;
use podbell_core::yaml::key::{Presence, Row};

const HEAD: &str = "| key | default | meaning |\n|---|---|---|\n";

/// The table of some keys, as the documentation has it.
fn table(rows: &[&dyn Row]) -> String {
    HEAD.to_owned() + &lines("", rows)
}

/// The lines of a table, each key with what it stands in.
fn lines(within: &str, rows: &[&dyn Row]) -> String {
    let row = |row: &&dyn Row| {
        let about = row.about();
        let (about, absent) = match about.split_once(" [default: ") {
            Some((about, absent)) => (about, absent.trim_end_matches(['.', ']'])),
            None => (about, "none"),
        };
        let default = match row.presence() {
            Presence::Required => "required".to_owned(),
            Presence::Default(default) => format!("`{default}`"),
            Presence::Optional => absent.to_owned(),
        };
        let about = about.trim_end_matches('.').replace("docs/", "").replace('|', "\\|");
        format!("| `{within}{}` | {default} | {about} |\n", row.name())
    };
    rows.iter().map(row).collect()
}

/// The tables of the sections of podbell.yaml, one for each top-level key, and one of those keys.
fn sections() -> BTreeMap<String, String> {
    let mut tables = BTreeMap::new();
    for (within, rows) in SECTIONS {
        let first = within.split(['.', '[']).next().filter(|first| !first.is_empty());
        let name = format!("section {}", first.unwrap_or("podbell.yaml"));
        *tables.entry(name).or_insert_with(|| HEAD.to_owned()) += &lines(within, rows);
    }
    tables
}

/// The table of the options of commands.
fn options() -> String {
    let mut options: Vec<(String, &str, Vec<String>)> = Vec::new();
    for spec in podbell_core::ask::COMMANDS {
        for option in spec.options() {
            let usage = option.usage();
            let name = format!("`{}`", spec.name);
            match options.iter_mut().find(|(known, ..)| *known == usage) {
                Some((_, _, of)) => of.push(name),
                None => options.push((usage, option.about.en, vec![name])),
            }
        }
    }
    let row = |(usage, about, of): &(String, &str, Vec<String>)| {
        format!("| `{}` | {} | {about} |\n", usage.replace(", ", "`, `"), of.join(", "))
    };
    "| option | of | meaning |\n|---|---|---|\n".to_owned() + &options.iter().map(row).collect::<String>()
}

/// All tables, by the names of their places.
fn tables() -> Vec<(&'static str, String, String)> {
    let rules: Vec<&dyn Row> = OF_A_RULE.iter().chain(SETTINGS).copied().collect();
    let mut all = vec![("docs/rules.md", "rule".to_owned(), table(&rules))];
    all.push(("docs/commands.md", "options".to_owned(), options()));
    let config = "docs/configuration.md";
    all.extend(sections().into_iter().map(|(name, table)| (config, name, table)));
    all.extend(SOURCES.iter().map(|kind| (config, format!("source {}", kind.name), table(kind.keys))));
    all.extend(CHATS.iter().map(|kind| (config, format!("chat {}", kind.name), table(kind.keys))));
    for kind in &NOTIFIERS {
        for (form, number) in kind.forms.iter().zip(1..).filter(|(form, _)| !form.keys.is_empty()) {
            all.push((config, format!("notifier {} {number}", kind.name), table(form.keys)));
        }
    }
    all
}

#[test]
fn the_files_that_the_documentation_names_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|page| page.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let (mut named, mut missing) = (0, Vec::new());
    for page in pages.chain(["ARCHITECTURE.md", "README.md"].map(|page| root.join(page))) {
        let text = std::fs::read_to_string(&page).unwrap();
        // What stands between backticks.
        for path in text.split('`').skip(1).step_by(2) {
            let ours = ["src/", "crates/", "tests/", "docs/", "scripts/", "deploy/", "benches/"];
            let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c));
            if plain && ours.iter().any(|folder| path.starts_with(folder)) && !path.contains("NAME") {
                named += 1;
                missing.extend((!root.join(path).exists()).then(|| format!("{}: {path}", page.display())));
            }
        }
    }
    assert!(named > 100, "{named}");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_schema_of_a_webhooks_messages_is_the_one_that_podbell_prints() {
    let folder = tempfile::tempdir().unwrap();
    let output = podbell(folder.path(), &["schema", "messages"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/webhook.schema.json");
    let written = std::fs::read_to_string(&path).unwrap();
    if written != printed && std::env::var_os("PODBELL_UPDATE_DOCS").is_some() {
        std::fs::write(&path, printed).unwrap();
    } else {
        assert_eq!(written, printed, "PODBELL_UPDATE_DOCS=1 writes it anew");
    }
}

#[test]
fn the_documentation_s_tables_of_keys_are_the_readers() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, name, table) in tables() {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = (format!("<!-- keys: {name} -->\n"), "<!-- /keys -->");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{file} has no place for {name}"));
        let (old, after) = rest.split_once(end).unwrap();
        if old != table && std::env::var_os("PODBELL_UPDATE_DOCS").is_some() {
            std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
        } else {
            assert_eq!(old, table, "{file}, {name}: PODBELL_UPDATE_DOCS=1 writes it anew");
        }
    }
}

/// The YAML blocks of a page that are podbell.yaml or parts of it, with the lines they begin at.
fn configurations(page: &str) -> Vec<(usize, String)> {
    let parts =
        ["sources:", "notifiers:", "chats:", "mentions:", "server:", "store:", "otlp:", "http:", "maintenance:"];
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim() != "```yaml" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .map(|line| line.get(indent..).unwrap_or_default())
            .collect();
        let first = block.iter().find(|line| !line.is_empty() && !line.starts_with('#'));
        if first.is_some_and(|first| parts.iter().any(|part| first.starts_with(part))) {
            blocks.push((at + 1, block.join("\n")));
        }
    }
    blocks
}

#[test]
fn what_the_documentation_shows_of_podbell_yaml_passes_the_check() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/shop.yaml"), "version: 1\nrules: []\n").unwrap();
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md")).chain([root.join("README.md")]);
    let (mut checked, mut failed) = (0, Vec::new());
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (line, block) in configurations(&text) {
            let missing = [
                ("sources:", "sources: [{name: file, kind: file, path: x.json}]\n"),
                ("notifiers:", "notifiers: [{name: team, kind: console}]\n"),
            ];
            let missing = missing.iter().filter(|(key, _)| !block.lines().any(|line| line.starts_with(key)));
            let whole = missing.map(|(_, part)| *part).collect::<String>() + &block + "\n";
            let path = folder.path().join("podbell.yaml");
            std::fs::write(&path, &whole).unwrap();
            let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_podbell"));
            check.arg("check").arg(&path).current_dir(root);
            for name in whole.split("${").skip(1).filter_map(|rest| rest.split('}').next()) {
                check.env(
                    name,
                    if name.ends_with("_URL") {
                        "https://example.com/hook/1"
                    } else {
                        "whsec_c2VjcmV0LW9mLXRoZS1kb2Nz"
                    },
                );
            }
            let output = check.output().unwrap();
            checked += 1;
            if !output.status.success() {
                failed.push(format!("{}:{line}\n{}", page.display(), String::from_utf8_lossy(&output.stdout)));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(checked > 45, "{checked}");
}

#[test]
fn every_platform_has_its_five_minutes_in_both_languages() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |pages: &[&str]| -> String {
        let text: String = pages.iter().map(|page| std::fs::read_to_string(root.join(page)).unwrap()).collect();
        // A row of a table of keys sets nothing up.
        text.lines().filter(|line| !line.starts_with('|')).collect::<Vec<_>>().join("\n")
    };
    let english = read(&["README.md", "docs/chats.md", "docs/feishu.md", "docs/slack.md", "docs/configuration.md"]);
    let chinese = read(&["docs/setup.zh.md"]);
    let notifiers = NOTIFIERS.iter().map(|kind| kind.name).filter(|name| *name != "console");
    for name in notifiers.chain(CHATS.iter().map(|kind| kind.name)) {
        for (language, text) in [("English", &english), ("Chinese", &chinese)] {
            assert!(
                text.contains(&format!("kind: {name},")) || text.contains(&format!("kind: {name}`")),
                "{name} in {language}"
            );
        }
    }
}
