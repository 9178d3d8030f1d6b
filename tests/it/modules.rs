//! Which modules use which, read from the source tree, and that none uses one that uses it.
//!
//! At every level: the modules of a crate, and the files and folders of each folder. A folder's `mod.rs` is its parent: it
//! and its children may use each other, and what it imports from a child belongs to that child. Only paths count: a method
//! belongs to its type, wherever its `impl` stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::code;
use crate::support::sources;

/// The modules of a crate by their paths, each with its code.
type Modules = BTreeMap<Vec<String>, String>;
/// What a module imports under which name, and the module that it comes from.
type Imports = BTreeMap<(Vec<String>, String), Vec<String>>;

/// All modules below a folder, but those of tests.
fn modules(root: &str) -> Modules {
    let below = |path: &str| Some(path.strip_prefix(root)?.strip_suffix(".rs")?.to_owned());
    let left_out =
        |name: &str| name == "main" || name.split('/').any(|part| part == "tests" || part.ends_with("_tests"));
    let all = sources().into_iter().filter_map(|(path, text)| Some((below(&path)?, text)));
    let all = all.filter(|(name, _)| !left_out(name)).map(|(name, text)| {
        let mut path: Vec<String> = name.split('/').map(str::to_owned).collect();
        path.pop_if(|last| ["mod", "lib"].contains(&last.as_str()));
        (path, code(&text))
    });
    all.collect()
}

/// The paths of a `use`, each with the name that it gets: `a::{b, c as d}` is `a::b` and `a::c`.
fn leaves(tree: &str, before: &str, into: &mut Vec<(String, String)>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree.rsplit("::").next().unwrap_or_default()));
        let path = format!("{before}{path}");
        return into.push((path.trim_end_matches("::self").to_owned(), name.trim().to_owned()));
    };
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&inside[start..at], &format!("{before}{head}"), into);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        leaves(&inside[start..], &format!("{before}{head}"), into);
    }
}

/// The statements `use` of some code, as paths with names, and the code without them.
fn imports(code: &str) -> (Vec<(String, String)>, String) {
    let (mut found, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let statement = line.trim_start();
        let public = statement.strip_prefix("pub").map(|rest| match rest.split_once(") ") {
            Some((visibility, rest)) if visibility.starts_with('(') => rest,
            _ => rest.trim_start(),
        });
        let Some(first) = public.unwrap_or(statement).strip_prefix("use ") else {
            rest.extend([line, "\n"]);
            continue;
        };
        let mut tree = first.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().expect("a `use` ends"));
        }
        leaves(tree.trim_end_matches(';'), "", &mut found);
    }
    (found, rest)
}

/// The paths in code: `super::x::f`, `x::f`.
fn paths(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    words.map(|word| word.trim_matches(':')).filter(|word| word.contains("::"))
}

/// The module to which a path leads, and the name of what it means there. `None`: it leads out of the crate.
fn resolve(from: &[String], path: &str, modules: &Modules) -> Option<(Vec<String>, String)> {
    let mut parts = path.split("::").map(str::trim).peekable();
    let mut at = match *parts.peek()? {
        "crate" => Vec::new(),
        "super" | "self" => from.to_vec(),
        child => {
            let own = [from, &[child.to_owned()]].concat();
            modules.contains_key(&own).then(|| from.to_vec())?
        }
    };
    while let Some(step) = parts.next_if(|part| ["crate", "super", "self"].contains(part)) {
        if step == "super" {
            at.pop();
        }
    }
    let mut name = String::new();
    for part in parts {
        part.clone_into(&mut name);
        let deeper = [&at[..], &[name.clone()]].concat();
        if !modules.contains_key(&deeper) {
            break;
        }
        at = deeper;
    }
    Some((at, name))
}

/// What each module imports from its own children: they define it, whoever names the parent for it.
fn from_children(modules: &Modules) -> Imports {
    let mut all = Imports::new();
    for (module, code) in modules {
        // An exported macro lives at the root of its crate, wherever it is written.
        for after in code.split("#[macro_export]").skip(1) {
            let name = after.split_once("macro_rules! ").and_then(|(_, rest)| rest.split([' ', '{']).next());
            all.extend(name.map(|name| ((Vec::new(), name.to_owned()), module.clone())));
        }
        for (path, name) in imports(code).0 {
            let found = resolve(module, &path, modules);
            assert!(name != "*" || found.is_none(), "{module:?} imports all of {path}: nobody sees what it uses");
            let child = found.filter(|(at, _)| at != module && at.starts_with(module));
            all.extend(child.map(|(at, _)| ((module.clone(), name), at)));
        }
    }
    all
}

/// Which modules each module uses.
fn uses(modules: &Modules) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let children = from_children(modules);
    let used = |(module, code): (&Vec<String>, &String)| {
        let (imported, rest) = imports(code);
        let named = imported.iter().map(|(path, _)| path.as_str()).chain(paths(&rest));
        let used = named.filter_map(|path| {
            let (mut at, name) = resolve(module, path, modules)?;
            while let Some(child) = children.get(&(at.clone(), name.clone())) {
                at.clone_from(child);
            }
            Some(at)
        });
        (module.clone(), used.filter(|at| at != module).collect())
    };
    modules.iter().map(used).collect()
}

/// The modules of one level that are in a circle or use one that is, with what they use of each other.
fn circles(modules: &Modules) -> Vec<String> {
    let mut levels: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (user, used) in uses(modules) {
        for used in used {
            let common = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (user.get(common), used.get(common)) {
                let level = levels.entry(user[..common].to_vec()).or_default();
                level.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    let mut found = Vec::new();
    for (level, mut left) in levels {
        // What uses nothing that is left cannot be part of a circle.
        loop {
            let names: BTreeSet<String> = left.keys().cloned().collect();
            let free = left.iter().find(|(_, used)| used.is_disjoint(&names)).map(|(name, _)| name.clone());
            match free {
                Some(name) => left.remove(&name),
                None => break,
            };
        }
        found.extend(left.iter().map(|(name, used)| format!("in {}: {name} uses {used:?}", level.join("/"))));
    }
    found
}

#[test]
fn no_module_uses_one_that_uses_it() {
    let roots = sources().into_iter().filter_map(|(path, _)| Some(path.split_at(path.find("src/")? + 4).0.to_owned()));
    let roots: BTreeSet<String> = roots.collect();
    assert!(roots.len() >= 4, "{roots:?}");
    for root in roots {
        let found = circles(&modules(&root));
        assert!(found.is_empty(), "{root} has circles: {found:#?}");
    }
}

#[test]
fn a_circle_is_found_however_the_modules_name_each_other() {
    let tree = |files: [(&str, &str); 4]| -> Modules {
        let path = |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        files.into_iter().map(|(name, text)| (path(name), code(text))).collect()
    };
    let found = |a: &str, b: &str| {
        circles(&tree([("", "mod x;"), ("x", "mod a;\nmod b;\npub use a::A;"), ("x/a", a), ("x/b", b)])).len()
    };
    let uses_b = "use super::{c, b::{self, D as E}};";
    assert_eq!(found(uses_b, "fn f() -> i32 { 1 }"), 0);
    for back in [
        "use crate::x::a::f;",
        "use super::A;",
        "pub(in crate::x) use super::a::f;",
        "fn f() { super::a::g(); }",
        "use crate::{\n    x::{A, B},\n};",
    ] {
        assert_eq!(found(uses_b, back), 2, "{back}");
    }
    assert_eq!(found(uses_b, "use super::X;\n// use super::a;"), 0, "what is the parent's own");
}
