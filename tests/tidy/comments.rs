//! Laws of what is written around the code: file heads, comments, `unsafe` and its reasons, shortcuts.
//! Next: `project.rs`.

use crate::exceptions::UNSAFE_HOMES;
use crate::source::{Source, has_word};
use crate::tree::{Tree, Violation};

/// Files open with two to six lines: what it is, `Never:`, `Next:`.
pub(crate) fn every_file_opens_with_its_head(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.rust_in(&["src", "tests", "bench"]) {
        let head: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        if !(2..=6).contains(&head.len()) {
            let found = format!("a head of {} lines", head.len());
            broken.push(Violation::new(
                file,
                1,
                found,
                "open with 2 to 6 `//!` lines: what it is; `Never:` what it lacks; `Next:` where to read on",
            ));
        } else if !head.iter().any(|line| line.starts_with("//! Next: ")) {
            broken.push(Violation::new(
                file,
                1,
                "no `Next:` line",
                "end the head with `//! Next: ...`, where a reader goes from here",
            ));
        }
    }
    broken
}

/// A promise to mend is never left; one to extend only with a `because`.
pub(crate) fn nothing_is_left_to_fix_without_a_reason(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    // A flame graph carries the script of the program that drew it.
    for file in tree.files.iter().filter(|file| !file.path.ends_with(".svg")) {
        let lines: Vec<&str> = if file.is_rust() {
            file.comments.iter().map(String::as_str).collect()
        } else {
            file.text.lines().collect()
        };
        for (at, line) in lines.iter().enumerate() {
            if has_word(line, concat!("FIX", "ME")) {
                broken.push(Violation::new(file, at + 1, concat!("FIX", "ME"), "mend it now, or file it"));
            }
            if has_word(line, concat!("TO", "DO")) && !has_word(line, "because") {
                broken.push(Violation::new(
                    file,
                    at + 1,
                    concat!("TO", "DO"),
                    "do it, or say on the line why it waits: `because ...`",
                ));
            }
        }
    }
    broken
}

/// No banners, no commented-out code.
pub(crate) fn comments_say_why(tree: &Tree) -> Vec<Violation> {
    const OPENERS: &[&str] =
        &["let ", "use ", "fn ", "pub ", "if ", "for ", "match ", "return ", "self.", "#["];
    let mut broken = Vec::new();
    for file in &tree.files {
        for (at, line) in file.comments.iter().enumerate() {
            // Pictures stand in doc comments.
            let Some(said) = line.trim().strip_prefix("//").filter(|said| !said.starts_with(['/', '!']))
            else {
                continue;
            };
            let said = said.trim();
            if ["----", "====", "****", "####", "~~~~"]
                .iter()
                .any(|rule| said.starts_with(rule) || said.ends_with(rule))
            {
                broken.push(Violation::new(
                    file,
                    at + 1,
                    "banner",
                    "split the file where a banner seems needed",
                ));
            }
            let code =
                OPENERS.iter().any(|opener| said.starts_with(opener)) && said.ends_with([';', '{', '}', ']']);
            if code {
                broken.push(Violation::new(file, at + 1, "commented-out code", "delete it: git remembers"));
            }
        }
    }
    broken
}

/// `unsafe` only in the listed homes, which do contain some.
pub(crate) fn unsafe_stays_in_its_homes(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let home = UNSAFE_HOMES.iter().any(|(home, _)| *home == file.path);
        let uses: Vec<usize> =
            file.numbered().filter(|(_, code)| has_word(code, "unsafe")).map(|(line, _)| line).collect();
        if home && uses.is_empty() {
            broken.push(Violation::new(
                file,
                1,
                "an unsafe home without `unsafe`",
                "strike it from UNSAFE_HOMES in tests/tidy/exceptions.rs",
            ));
        }
        let strays = uses.into_iter().filter(|_| !home);
        broken.extend(strays.map(|line| Violation::new(file, line, "unsafe", "find the safe way, or add the file to UNSAFE_HOMES in tests/tidy/exceptions.rs with its reason")));
    }
    broken
}

/// The comment block right above each `unsafe` block or impl says `SAFETY:`; above each `unsafe fn`, `# Safety`.
pub(crate) fn every_unsafe_says_why_it_is_sound(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        for (line, code) in file.numbered().filter(|(_, code)| has_word(code, "unsafe")) {
            let declares =
                code.contains("unsafe fn") || code.contains("unsafe extern") || code.contains("unsafe trait");
            let (word, mend) = if declares {
                ("# Safety", "document under `# Safety` what the caller must keep")
            } else {
                ("SAFETY:", "say above it `// SAFETY:` which condition it needs and why that holds")
            };
            if !said_above(file, line, word) {
                broken.push(Violation::new(file, line, "unsafe without its reason", mend));
            }
        }
    }
    broken
}

/// Whether the comments and attributes right above `line`, or on it, contain `word`.
fn said_above(file: &Source, line: usize, word: &str) -> bool {
    let row = |at: usize| file.comments.get(at).map_or("", String::as_str);
    let bare = |at: &usize| {
        let code = file.code.get(*at).map_or("", |code| code.trim());
        code.starts_with("#[") || (code.is_empty() && !row(*at).trim().is_empty())
    };
    row(line - 1).contains(word) || (0..line - 1).rev().take_while(bare).any(|at| row(at).contains(word))
}

/// No `unwrap` in the product, no unfinished or debugging macro anywhere, lints lifted only by `expect`.
pub(crate) fn nothing_takes_a_shortcut(tree: &Tree) -> Vec<Violation> {
    const ANYWHERE: &[(&str, &str)] = &[
        ("todo!", "write it, or leave the whole feature out"),
        ("unimplemented!", "write it, or leave the whole feature out"),
        ("dbg!", "delete it, or make it an event"),
        ("#[allow(", "use `#[expect(lint, reason = \"...\")]`: it complains when it is no longer needed"),
        ("#![allow(", "use `#[expect(lint, reason = \"...\")]`: it complains when it is no longer needed"),
        ("#[ignore", "a test that does not run tells nothing: mend it or delete it"),
    ];
    let mut broken = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        for ((line, code), tested) in file.numbered().zip(&file.tested) {
            let found = ANYWHERE.iter().filter(|(text, _)| code.contains(text));
            broken.extend(found.map(|(text, mend)| Violation::new(file, line, *text, mend)));
            if file.is_in("src") && !tested && code.contains(".unwrap()") {
                broken.push(Violation::new(
                    file,
                    line,
                    "unwrap",
                    "answer it as a refusal or fault, or `expect(\"the invariant\")`",
                ));
            }
        }
    }
    broken
}

/// Tests wait for what they need, never for time to pass.
pub(crate) fn no_test_sleeps(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.rust_in(&["src", "tests"]) {
        for ((line, code), tested) in file.numbered().zip(&file.tested) {
            // A method named so waits on a clock that a test can fake.
            if *tested && has_word(&code.replace(".sleep", ""), "sleep") {
                broken.push(Violation::new(
                    file,
                    line,
                    "sleep",
                    "wait for the line, byte or state itself; fake the clock",
                ));
            }
        }
    }
    broken
}
