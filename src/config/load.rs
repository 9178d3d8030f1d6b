//! Reads and checks podbell.yaml and everything it names, without secrets.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use super::parse::{self, RuleEntry};
use super::{Config, Written, files};
use podbell_core::diagnostic::{Diagnostic, Source};
use podbell_core::rules::in_force::EmptyGlob;
use podbell_core::rules::quiet::read::Planned;
use podbell_core::rules::raw::Partial;
use podbell_core::rules::{Names, RuleFile};
use podbell_core::yaml::{self, Reader};

/// What podbell.yaml says and what is wrong with it.
#[derive(Debug, Default)]
pub struct Loaded {
    /// `None` if it could not be read at all. With errors among the findings it must not be used.
    pub config: Option<Config<Written>>,
    /// The rule files that could be read, in reading order.
    pub rule_files: Vec<RuleFile>,
    /// The names that rule files may use.
    pub names: Names,
    /// Planned work of podbell.yaml, and where it is written.
    pub planned: Vec<(Arc<Source>, Planned)>,
    /// The files and globs of `rules:`, as written.
    pub rule_globs: Vec<String>,
    /// Those of them that match no file. They do not keep podbell from starting: the built-in rules apply in their
    /// place, and the operator is notified.
    pub empty_globs: Vec<EmptyGlob>,
    /// A hash of all texts that were read, see [`fingerprint`].
    pub fingerprint: u64,
    /// What is wrong with podbell.yaml, and files that could not be read. Rule files themselves are
    /// checked by `rules::compile`.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Everything that `check` reports, including what does not keep podbell from starting.
    pub fn findings(&self) -> Vec<Diagnostic> {
        let empty = self.empty_globs.iter().map(|glob| glob.error.clone());
        let mut all: Vec<Diagnostic> = self.diagnostics.iter().cloned().chain(empty).collect();
        if let Some(glob) = self.empty_globs.first() {
            // Findings of podbell.yaml in the order of its lines, then the others.
            let own = &glob.error.source.name;
            all.sort_by_key(|finding| if finding.source.name == *own { (0, finding.span.start) } else { (1, 0) });
        }
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
    let empty_errors = masked(gathered.empty.iter().map(|glob| glob.error.clone()).collect(), &source);
    for (glob, error) in gathered.empty.iter_mut().zip(empty_errors) {
        glob.error = error;
    }
    let mut diagnostics = masked(reader.found, &source);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    diagnostics.extend(gathered.unreadable);
    let rule_globs = parsed.entries.iter().flat_map(|entry| &entry.files).map(|(glob, _)| glob.clone()).collect();
    Loaded {
        config: parsed.config,
        rule_files: gathered.files,
        names: parsed.names,
        planned: parsed.planned.into_iter().map(|planned| (source.clone(), planned)).collect(),
        rule_globs,
        empty_globs: gathered.empty,
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
    let shown = Source::shown_as(&source.name, &source.shown, super::mask::masked(&source.text));
    for finding in found.iter_mut().filter(|finding| Arc::ptr_eq(&finding.source, source)) {
        finding.source = shown.clone();
    }
    found
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
    empty: Vec<EmptyGlob>,
    unreadable: Vec<Diagnostic>,
    print: Print,
}

impl Gathered {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            seen: HashSet::new(),
            files: Vec::new(),
            empty: Vec::new(),
            unreadable: Vec::new(),
            print: Print::default(),
        }
    }

    fn entry(&mut self, number: u32, entry: &RuleEntry, names: &Names, (source, reader): (&Arc<Source>, &mut Reader)) {
        for (glob, span) in &entry.files {
            let found = names_of(glob, &self.folder);
            if found.is_empty() {
                let error = Diagnostic::error(source, span.clone(), format!("`{glob}` matches no file"));
                let help = "paths are relative to the folder of podbell.yaml; take the glob out if no rules are meant";
                let names = Names { may_notify: entry.may_notify.clone(), ..names.clone() };
                let file = rule_file(Source::new(glob, ""), number, Some(entry), names);
                self.empty.push(EmptyGlob { before: self.files.len(), file, error: error.help(help) });
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
                let names = Names { may_notify: entry.may_notify.clone(), ..names.clone() };
                match read {
                    Ok(source) => self.files.push(rule_file(source, number, Some(entry), names)),
                    // The file has no text to show: point at the line that names it.
                    Err(diagnostic) if diagnostic.source.text.is_empty() => {
                        let help = diagnostic
                            .help
                            .unwrap_or_else(|| "paths are relative to the folder of podbell.yaml".into());
                        reader.error_help(span, format!("`{name}`: {}", diagnostic.message), help);
                    }
                    Err(diagnostic) => self.unreadable.push(*diagnostic),
                }
            }
        }
    }
}
