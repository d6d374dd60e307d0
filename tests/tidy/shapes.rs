//! Laws of size and name: how long files and functions get, and what they may be called.
//! Next: `words.rs`.

use crate::source::words;
use crate::tree::{Tree, Violation};

/// Lines of code.
const FILE_MAX: usize = 400;
const FUNCTION_MAX: usize = 70;

/// Names for a pattern instead of a thing.
const BANNED_MODULES: &[&str] =
    &["util", "utils", "common", "helpers", "misc", "manager", "types", "core", "base", "handler", "service"];

/// Beginnings that say nothing; a name that is only the verb is banned as well.
const BANNED_VERBS: &[&str] = &["get_", "do_", "process_", "perform_"];

pub(crate) fn no_file_passes_400_lines(tree: &Tree) -> Vec<Violation> {
    let code = |path: &str| {
        let script = !path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        let ending = [".rs", ".py", ".mjs", ".js", ".sh"].iter().any(|ending| path.ends_with(ending));
        ending || (script && ["scripts/", "tests/", "bench/"].iter().any(|folder| path.starts_with(folder)))
    };
    let long = tree.files.iter().filter(|file| code(&file.path) && file.size() > FILE_MAX);
    long.map(|file| {
        Violation::new(
            file,
            1,
            format!("{} lines", file.size()),
            "at most 400 lines of code: one file per stage, split by thing",
        )
    })
    .collect()
}

pub(crate) fn no_function_passes_70_lines(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let long = file.functions().into_iter().filter(|function| function.size > FUNCTION_MAX);
        broken.extend(long.map(|function| {
            let found = format!("fn {}, {} lines", function.name, function.size);
            Violation::new(
                file,
                function.line,
                found,
                "at most 70 lines of code: name the parts and call them in order",
            )
        }));
    }
    broken
}

pub(crate) fn no_module_is_named_for_a_pattern(tree: &Tree) -> Vec<Violation> {
    let mend = "name the thing: what does it hold or do?";
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let parts = file.path.trim_end_matches(".rs").split('/');
        let named = parts.filter(|part| BANNED_MODULES.contains(part));
        broken.extend(named.map(|part| Violation::new(file, 1, format!("`{part}` in the path"), mend)));
        for (line, code) in file.numbered() {
            let code: Vec<char> = code.chars().collect();
            let said: Vec<String> = words(&code).map(|(_, word)| word).collect();
            let named = said.windows(2).filter_map(|pair| match pair {
                [word, name] if word == "mod" && BANNED_MODULES.contains(&name.as_str()) => Some(name),
                _ => None,
            });
            broken.extend(named.map(|name| Violation::new(file, line, format!("mod {name}"), mend)));
        }
    }
    broken
}

pub(crate) fn no_function_is_named_for_nothing(tree: &Tree) -> Vec<Violation> {
    let mend = "no `get_`, `do_`, `process`, `perform`: say what is returned, or what happens";
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let code: Vec<char> = file.code.join("\n").chars().collect();
        let said: Vec<(usize, String)> = words(&code).collect();
        for pair in said.windows(2) {
            let [(at, word), (_, name)] = pair else { continue };
            let empty = BANNED_VERBS.iter().any(|verb| name.starts_with(verb))
                || name == "process"
                || name == "perform";
            if word == "fn" && empty {
                let line = crate::source::line_of(&code, *at);
                broken.push(Violation::new(file, line, format!("fn {name}"), mend));
            }
        }
    }
    broken
}

pub(crate) fn folders_have_mod_rs(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.rust_in(&["src"]) {
        let twin = file.path.trim_end_matches(".rs");
        if tree.files.iter().any(|other| other.path.starts_with(&format!("{twin}/"))) {
            broken.push(Violation::new(
                file,
                1,
                "file beside its folder",
                "move it into the folder as `mod.rs`",
            ));
        }
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if folder != "src" && folder != "src/bin" && tree.file(&format!("{folder}/mod.rs")).is_none() {
            broken.push(Violation::new(
                file,
                1,
                "folder without mod.rs",
                "a folder of modules opens with `mod.rs`",
            ));
        }
    }
    broken
}
