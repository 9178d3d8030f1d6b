//! Reads and checks podbell.yaml and everything it names, without secrets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use super::parse::{self, RuleEntry};
use super::{Config, Unresolved, files};
use podbell_core::diagnostic::{Diagnostic, Source};
use podbell_core::rules::in_force::UnreadRules;
use podbell_core::rules::quiet::Planned;
use podbell_core::rules::settings::Partial;
use podbell_core::rules::{Names, RuleFile};
use podbell_core::yaml::{self, Reader};

/// What podbell.yaml says and what is wrong with it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What findings call podbell.yaml.
    pub name: String,
    /// `None` if it could not be read at all. With errors among the findings it must not be used.
    pub config: Option<Config<Unresolved>>,
    /// The rule files that could be read, in reading order.
    pub rule_files: Vec<RuleFile>,
    /// The names that rule files may use.
    pub names: Names,
    /// Planned work of podbell.yaml, and where it is written.
    pub planned: Vec<(Arc<Source>, Planned)>,
    /// The files and globs of `rules:`, as written.
    pub rule_globs: Vec<String>,
    /// Those of them that match no file, and files that cannot be read. They do not keep podbell from starting: the last
    /// good version or the built-in rules apply in their place, and the operator is notified.
    pub unread_rules: Vec<UnreadRules>,
    /// A hash of all texts that were read, see [`fingerprint`].
    pub fingerprint: u64,
    /// What is wrong with podbell.yaml. Rule files themselves are checked by `rules::compile`.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Everything that `check` reports, including what does not keep podbell from starting.
    pub fn findings(&self) -> Vec<Diagnostic> {
        let unread = self.unread_rules.iter().map(|unread| unread.error.clone());
        let mut all: Vec<Diagnostic> = self.diagnostics.iter().cloned().chain(unread).collect();
        // Findings of podbell.yaml in the order of its lines, then the others.
        all.sort_by_key(|finding| if *finding.source.name == *self.name { (0, finding.span.start) } else { (1, 0) });
        all
    }

    /// Whether something keeps podbell from starting.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads podbell.yaml and its rule files.
pub fn load(path: &Path) -> Loaded {
    let source = match files::read_source(&path.display().to_string(), path) {
        Ok(source) => source,
        Err(mut diagnostic) => {
            if !path.exists() {
                let help = "name another with --config FILE, or begin with podbell.example.yaml";
                diagnostic.help.get_or_insert_with(|| help.to_owned());
            }
            return Loaded { diagnostics: vec![*diagnostic], ..Loaded::default() };
        }
    };
    let folder = folder_of(path);
    let mut reader = Reader::new(source.clone());
    reader.folder = folder.clone();
    let Some(root) = yaml::parse(&source, &mut reader.found) else {
        return Loaded { diagnostics: masked(reader.found, &source), ..Loaded::default() };
    };
    let parsed = parse::read(&root, &mut reader);
    let mut gathered = Gathered::new(folder);
    gathered.print.take("", Some(&source.text));
    for (number, entry) in (0..).zip(&parsed.entries) {
        gathered.entry(number, entry, &parsed.names, (&source, &mut reader));
    }
    let errors = masked(gathered.unread.iter().map(|unread| unread.error.clone()).collect(), &source);
    for (unread, error) in gathered.unread.iter_mut().zip(errors) {
        unread.error = error;
    }
    let shown = without_secrets(&source);
    let mut diagnostics = masked(reader.found, &source);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    let rule_globs = parsed.entries.iter().flat_map(|entry| &entry.files).map(|(glob, _)| glob.clone()).collect();
    Loaded {
        name: source.name.to_string(),
        config: parsed.config,
        rule_files: gathered.files,
        names: parsed.names,
        planned: parsed.planned.into_iter().map(|planned| (shown.clone(), planned)).collect(),
        rule_globs,
        unread_rules: gathered.unread,
        fingerprint: gathered.print.0.digest(),
        diagnostics,
    }
}

/// A hash of podbell.yaml and of the files that its `rules:` match, by content: it notices a ConfigMap's swapped
/// symbolic links and an editor's second write as well as a plain write. For a configuration that was just read it
/// equals [`Loaded::fingerprint`].
pub fn fingerprint(path: &Path, rule_globs: &[String]) -> u64 {
    let folder = folder_of(path);
    let text = |name: &str, path: &Path| files::read_source(name, path).map(|source| source.text.clone()).ok();
    let mut print = Print::default();
    print.take("", text("", path).as_deref());
    for name in rule_globs.iter().flat_map(|glob| names_of(glob, &folder)) {
        print.take(&name, text(&name, &folder.join(&name)).as_deref());
    }
    print.0.digest()
}

/// The files that a glob or a plain name matches now.
fn names_of(glob: &str, folder: &Path) -> Vec<String> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if files::is_glob(glob) { files::expand(glob, here) } else { vec![glob.to_owned()] }
}

/// A fingerprint under construction.
#[derive(Default)]
struct Print(Xxh3Default);

impl Print {
    /// Adds a file. An unreadable file differs from an empty one.
    fn take(&mut self, name: &str, text: Option<&str>) {
        for part in [name.as_bytes(), text.unwrap_or("\0unreadable").as_bytes()] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }
}

/// Findings that quote podbell.yaml, with the secrets written out in it masked.
fn masked(mut found: Vec<Diagnostic>, source: &Arc<Source>) -> Vec<Diagnostic> {
    if found.is_empty() {
        return found;
    }
    let shown = without_secrets(source);
    for finding in found.iter_mut().filter(|finding| Arc::ptr_eq(&finding.source, source)) {
        finding.source = shown.clone();
    }
    found
}

fn without_secrets(source: &Source) -> Arc<Source> {
    Source::shown_as(&source.name, &source.shown, super::mask::masked(&source.text))
}

/// A rule file on its own, without podbell.yaml: any destination name is accepted.
pub fn lone_rule_file(path: &Path, entry: u32, names: Names) -> Result<RuleFile, Box<Diagnostic>> {
    let source = files::read_source(&path.display().to_string(), path)?;
    Ok(rule_file(source, entry, None, names))
}

fn rule_file(source: Arc<Source>, entry: u32, of: Option<&RuleEntry>, names: Names) -> RuleFile {
    let scope = of.and_then(|entry| entry.scope.clone());
    RuleFile { source, entry, scope, names, defaults: Partial::default() }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

struct Gathered {
    folder: PathBuf,
    seen: HashSet<PathBuf>,
    files: Vec<RuleFile>,
    unread: Vec<UnreadRules>,
    print: Print,
}

impl Gathered {
    fn new(folder: PathBuf) -> Self {
        Self { folder, seen: HashSet::new(), files: Vec::new(), unread: Vec::new(), print: Print::default() }
    }

    fn entry(
        &mut self,
        number: u32,
        entry: &RuleEntry,
        of_config: &Names,
        (source, reader): (&Arc<Source>, &mut Reader),
    ) {
        for (glob, span) in &entry.files {
            let found = names_of(glob, &self.folder);
            if found.is_empty() {
                let error = Diagnostic::error(source, span.clone(), format!("`{glob}` matches no file"));
                let help = "paths are relative to the folder of podbell.yaml; take the glob out if no rules are meant";
                self.unread(glob, error.help(help), (number, entry, of_config));
            }
            for name in found {
                let path = self.folder.join(&name);
                let read = files::read_source(&name, &path);
                self.print.take(&name, read.as_ref().ok().map(|source| &*source.text));
                // A file reached by two names would tell everything twice.
                if !self.seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                    let help = "the first place in the list counts; narrow the glob";
                    reader.warning_help(span, format!("`{name}` was read already"), help);
                    continue;
                }
                let names = Names { may_notify: entry.may_notify.clone(), ..of_config.clone() };
                match read {
                    Ok(source) => self.files.push(rule_file(source, number, Some(entry), names)),
                    // The file has no text to show: point at the line that names it.
                    Err(diagnostic) if diagnostic.source.text.is_empty() => {
                        let help = diagnostic
                            .help
                            .unwrap_or_else(|| "paths are relative to the folder of podbell.yaml".into());
                        // A name that means nothing is a mistake of podbell.yaml.
                        if !path.exists() {
                            reader.error_help(span, format!("`{name}`: {}", diagnostic.message), help);
                            continue;
                        }
                        let error =
                            Diagnostic::error(source, span.clone(), format!("`{name}`: {}", diagnostic.message));
                        self.unread(&name, error.help(help), (number, entry, of_config));
                    }
                    Err(diagnostic) => self.unread(&name, *diagnostic, (number, entry, of_config)),
                }
            }
        }
    }

    /// Keeps the place of rules that cannot be read: their last good version, or the built-in rules, stand there.
    fn unread(&mut self, name: &str, error: Diagnostic, (number, entry, names): (u32, &RuleEntry, &Names)) {
        let names = Names { may_notify: entry.may_notify.clone(), ..names.clone() };
        let file = rule_file(Source::new(name, ""), number, Some(entry), names);
        self.unread.push(UnreadRules { before: self.files.len(), file, error });
    }
}
