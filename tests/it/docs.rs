//! The tables of keys in the documentation are those of the readers. `PODBELL_UPDATE_DOCS=1 cargo test --test it docs::`
//! writes them anew.

use podbell::components::registry::{CHATS, NOTIFIERS, SOURCES};
use podbell::config::export::OTLP_KEYS;
use podbell_core::rules::keys::{OF_A_RULE, SETTINGS};
use podbell_core::yaml::key::{Presence, Row};

/// The table of some keys, as the documentation has it.
fn table(rows: &[&dyn Row]) -> String {
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
        format!("| `{}` | {default} | {about} |\n", row.name())
    };
    let head = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    head + &rows.iter().map(row).collect::<String>()
}

/// All tables, by the names of their places.
fn tables() -> Vec<(&'static str, String, String)> {
    let rules: Vec<&dyn Row> = OF_A_RULE.into_iter().chain(SETTINGS).collect();
    let mut all = vec![("docs/rules.md", "rule".to_owned(), table(&rules))];
    let config = "docs/configuration.md";
    all.push((config, "otlp".to_owned(), table(&OTLP_KEYS)));
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
