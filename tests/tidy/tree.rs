//! The project's files, and what a law answers with.
//! Next: `layers.rs`, the first of the laws.

use std::fs;
use std::path::Path;

use crate::source::Source;

/// The files one law looks at: the whole project, or a snippet.
pub(crate) struct Tree {
    pub(crate) files: Vec<Source>,
}

/// One place where a law is broken.
pub(crate) struct Violation {
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// The offending thing in a few words; an exception names it by the same words.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) mend: &'static str,
}

impl Violation {
    pub(crate) fn new(source: &Source, line: usize, found: impl Into<String>, mend: &'static str) -> Self {
        Self { path: source.path.clone(), line, found: found.into(), mend }
    }

    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }
}

impl Tree {
    /// A tree of snippets, each a path and a text.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| Source::new(path, text)).collect() }
    }

    /// Every text file of the project that `.gitignore` does not name.
    pub(crate) fn of_project() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let ignored =
            ignored(&fs::read_to_string(top.join(".gitignore")).expect("the project has a .gitignore"));
        let mut files = Vec::new();
        walk(top, "", &ignored, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the walk found no library");
        Self { files }
    }

    /// The Rust files under any of the folders.
    pub(crate) fn rust_in<'a>(&'a self, folders: &'a [&str]) -> impl Iterator<Item = &'a Source> {
        let within = |file: &&Source| file.is_rust() && folders.iter().any(|folder| file.is_in(folder));
        self.files.iter().filter(within)
    }

    /// The file at exactly `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// The plain names and paths that `.gitignore` lists; a leading `/` stays.
fn ignored(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let plain = |line: &str| {
        let line = line.strip_prefix("**/").unwrap_or(line).trim_end_matches('/');
        assert!(
            !line.contains(['*', '?', '[', '!']),
            ".gitignore: tidy reads plain names and paths only: {line}"
        );
        line.to_owned()
    };
    lines.map(plain).collect()
}

fn walk(top: &Path, folder: &str, ignored: &[String], files: &mut Vec<Source>) {
    for entry in fs::read_dir(top.join(folder)).expect("a folder of the project can be read") {
        let entry = entry.expect("an entry of the project can be read");
        let name = entry.file_name().into_string().expect("names in the project are UTF-8");
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let rooted = format!("/{path}");
        // What a fuzzer found is bytes, not text of the project.
        if name == ".git" || name == "corpus" || ignored.iter().any(|line| *line == name || *line == rooted) {
            continue;
        }
        if entry.file_type().expect("an entry has a kind").is_dir() {
            walk(top, &path, ignored, files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(Source::new(&path, &text));
        }
    }
}
