//! Files on disk: reading one within bounds, and globs of `rules:`.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use podbell_core::diagnostic::{Diagnostic, Source};
use podbell_core::rule::Pattern;
use podbell_core::yaml::MAX_BYTES;

/// Reads a text file that findings call `name`. Every problem becomes a finding. It never reads more than its
/// limit, and never waits for a pipe.
pub fn read_source(name: &str, path: &Path) -> Result<Arc<Source>, Box<Diagnostic>> {
    let shown = path.display().to_string();
    let fail = |message: String, help: Option<&str>| {
        let source = Source::shown_as(name, &shown, "");
        Box::new(Diagnostic { help: help.map(str::to_owned), ..Diagnostic::error(&source, 0..0, message) })
    };
    let metadata = std::fs::metadata(path).map_err(|error| fail(format!("cannot read the file: {error}"), None))?;
    if metadata.is_dir() {
        return Err(fail("this is a directory".into(), Some("name the files in it, such as rules/*.yaml")));
    }
    if !metadata.is_file() {
        return Err(fail("this is not a regular file".into(), None));
    }
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    if metadata.len() > limit {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are allowed", metadata.len());
        return Err(fail(message, Some("split it into several files")));
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|error| fail(format!("cannot read the file: {error}"), None))?;
    String::from_utf8(bytes).map(|text| Source::shown_as(name, &shown, text)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let readable = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default()).into_owned();
        let source = Source::shown_as(name, &shown, readable);
        let diagnostic = Diagnostic::error(&source, at..at, "the file is not UTF-8 from here on");
        Box::new(diagnostic.help("save it as UTF-8"))
    })
}

/// The files that a glob matches, as written, relative to `folder`, sorted bytewise. `*` matches any part of one
/// name. Hidden files, and rule tests, which lie beside rules, match only if the glob asks for them.
pub fn expand(glob: &str, folder: &Path) -> Vec<String> {
    let root = if glob.starts_with('/') { "/" } else { "" };
    let mut found = vec![root.to_owned()];
    for component in glob.split('/').filter(|component| !component.is_empty()) {
        found = found.iter().flat_map(|parent| step(parent, component, folder)).collect();
    }
    // Keep what exists but cannot be read: reading it will report why.
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    found.retain(|path| !std::fs::symlink_metadata(folder.join(path)).is_err_and(|error| gone(&error)));
    found.sort_unstable();
    found
}

/// Whether the text may match several files.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains('*')
}

fn step(parent: &str, component: &str, folder: &Path) -> Vec<String> {
    let join = |name: &str| match parent {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        _ => format!("{parent}/{name}"),
    };
    let (true, Ok(pattern)) = (is_glob(component), Pattern::parse(component)) else { return vec![join(component)] };
    let entries = match std::fs::read_dir(folder.join(parent)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return vec![join(component)],
        Err(_) => return Vec::new(),
    };
    let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
    let (hidden, tests) = (component.starts_with('.'), component.contains(".test."));
    let is_test = |name: &str| name.ends_with(".test.yaml") || name.ends_with(".test.yml");
    let meant =
        |name: &String| (hidden || !name.starts_with('.')) && (tests || !is_test(name)) && pattern.matches(name);
    names.filter(meant).map(|name| join(&name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_means_neither_hidden_files_nor_rule_tests_unless_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["shop.yaml", "shop.test.yaml", ".old.yaml", "pay.yml"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let expanded = |glob| expand(glob, folder.path());
        assert_eq!(expanded("*.yaml"), ["shop.yaml"]);
        assert_eq!(expanded("*"), ["pay.yml", "shop.yaml"]);
        assert_eq!(expanded("*.test.yaml"), ["shop.test.yaml"]);
        assert_eq!(expanded(".*.yaml"), [".old.yaml"]);
        assert_eq!(expanded("shop.test.yaml"), ["shop.test.yaml"], "a name is a name");
    }
}
