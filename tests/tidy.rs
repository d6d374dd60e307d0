//! The laws of the project, kept by a machine: one test a law, named by what it demands.
//! A law is first shown snippets it must refuse and accept, so that one which can not fail is noticed; then the project.
//! Never: a dependency, a lint that clippy or rustfmt already has.
//! Next: `tidy/source.rs` for how a file is read, then the laws: `tidy/layers.rs`, `shapes.rs`, `comments.rs`, `project.rs`.

#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/shapes.rs"]
mod shapes;
#[path = "tidy/comments.rs"]
mod comments;
#[path = "tidy/project.rs"]
mod project;
#[path = "tidy/exceptions.rs"]
mod exceptions;

use exceptions::{EXCEPTIONS, UNSAFE_HOMES};
use tree::{Tree, Violation};

/// A law and what it said so far about snippets.
struct Law {
    name: &'static str,
    check: fn(&Tree) -> Vec<Violation>,
    refused: usize,
    accepted: usize,
}

/// The law under the name of its function.
macro_rules! law {
    ($module:ident :: $name:ident) => {
        Law { name: stringify!($name), check: $module::$name, refused: 0, accepted: 0 }
    };
}

type Snippets<'a> = &'a [(&'a str, &'a str)];

impl Law {
    /// The law finds exactly one violation in the files, at `place`: `path:line`.
    fn refuses(mut self, files: Snippets, place: &str) -> Self {
        let places: Vec<String> = (self.check)(&Tree::of(files)).iter().map(Violation::place).collect();
        assert_eq!(places, [place], "{} must refuse {files:?}", self.name);
        self.refused += 1;
        self
    }

    /// The law finds nothing in the files.
    fn accepts(mut self, files: Snippets) -> Self {
        let found: Vec<String> = (self.check)(&Tree::of(files)).iter().map(Violation::place).collect();
        assert!(found.is_empty(), "{} must accept {files:?}, but found {found:?}", self.name);
        self.accepted += 1;
        self
    }

    /// The project keeps the law, save for the exceptions that are listed and still needed.
    fn holds(self) {
        assert!(self.refused > 0 && self.accepted > 0, "show the law a bad and a good snippet first");
        let broken = (self.check)(&Tree::of_project());
        let listed = || EXCEPTIONS.iter().filter(|exception| exception.law == self.name);
        let covers = |exception: &exceptions::Exception, violation: &Violation| {
            exception.path == violation.path && violation.found.starts_with(exception.found)
        };
        let open = broken.iter().filter(|violation| !listed().any(|exception| covers(exception, violation)));
        let mut report: Vec<String> = open
            .map(|violation| format!("{}: {}; {}", violation.place(), violation.found, violation.mend))
            .collect();
        let stale = listed().filter(|exception| !broken.iter().any(|violation| covers(exception, violation)));
        report.extend(stale.map(|exception| {
            format!(
                "tests/tidy/exceptions.rs: {} in {} is no longer needed; strike it",
                exception.found, exception.path
            )
        }));
        assert!(
            report.is_empty(),
            "{} places break the law `{}`:\n{}",
            report.len(),
            self.name,
            report.join("\n")
        );
    }
}

#[test]
fn arrows_point_down() {
    law!(layers::arrows_point_down)
        .refuses(&[("src/wire/a.rs", "\nuse crate::pipeline::Connection;")], "src/wire/a.rs:2")
        .refuses(
            &[("src/wire/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::shard::Pool;\n}")],
            "src/wire/a.rs:3",
        )
        .refuses(
            &[("src/tools/mod.rs", "use crate::{\n    tools::Tool,\n    pipeline::{Ticket, tls},\n};")],
            "src/tools/mod.rs:3",
        )
        .refuses(&[("src/tools/mod.rs", "fn a() -> super::shard::Pool {}")], "src/tools/mod.rs:1")
        .refuses(&[("src/wire/http/head.rs", "use super::super::super::control;")], "src/wire/http/head.rs:1")
        .refuses(&[("src/wire/mod.rs", "mod tests {\n    use super::super::shard;\n}")], "src/wire/mod.rs:2")
        .refuses(&[("src/client/mod.rs", "use mcpring::pipeline;")], "src/client/mod.rs:1")
        .accepts(&[("src/shard/a.rs", "use crate::{pipeline::Connection, wire};\nuse super::timers;")])
        .accepts(&[(
            "src/wire/http/head.rs",
            "use super::super::json; // not crate::shard\nconst A: &str = \"crate::shard\";",
        )])
        .accepts(&[("src/main.rs", "use mcpring::control;"), ("src/wire/http/mod.rs", "use super::control;")])
        .holds();
}

#[test]
fn below_shard_nothing_touches_the_world() {
    law!(layers::below_shard_nothing_touches_the_world)
        .refuses(&[("src/pipeline/a.rs", "let now = std::time::Instant::now();")], "src/pipeline/a.rs:1")
        .refuses(&[("src/wire/a.rs", "use std::net::{IpAddr, TcpStream};")], "src/wire/a.rs:1")
        .refuses(&[("src/tools/a.rs", "\nstd::fs::read(path)")], "src/tools/a.rs:2")
        .refuses(&[("src/pipeline/a.rs", "use aws_lc_rs::rand::fill;")], "src/pipeline/a.rs:1")
        .refuses(&[("src/pipeline/a.rs", "keys: std::sync::Mutex<Keys>,")], "src/pipeline/a.rs:1")
        .refuses(&[("src/tools/a.rs", "std::thread::spawn(run)")], "src/tools/a.rs:1")
        .accepts(&[(
            "src/pipeline/a.rs",
            "fn handle_timeout(now: Instant, peer: std::net::IpAddr) {} // Mutex",
        )])
        .accepts(&[("src/pipeline/a.rs", "#[cfg(test)]\nmod tests {\n    let start = Instant::now();\n}")])
        .accepts(&[("src/shard/a.rs", "let now = Instant::now();")])
        .holds();
}

#[test]
fn no_file_passes_400_lines() {
    let long = "a;\n".repeat(401);
    let fine = format!("{}{}", "a;\n\n// why\n".repeat(400), "/* more\n text */\n");
    law!(shapes::no_file_passes_400_lines)
        .refuses(&[("src/a.rs", &long)], "src/a.rs:1")
        .refuses(&[("scripts/test", &long)], "scripts/test:1")
        .accepts(&[("src/a.rs", &fine), ("Cargo.lock", &long)])
        .holds();
}

#[test]
fn no_function_passes_70_lines() {
    let body = |lines: usize| format!("fn a() {{\n{}}}\n", "    a;\n\n    // why\n".repeat(lines));
    law!(shapes::no_function_passes_70_lines)
        .refuses(&[("tests/a.rs", &format!("\n{}", body(71)))], "tests/a.rs:2")
        .accepts(&[("src/a.rs", &body(70).repeat(3))])
        .holds();
}

#[test]
fn no_module_is_named_for_a_pattern() {
    law!(shapes::no_module_is_named_for_a_pattern)
        .refuses(&[("src/wire/util.rs", "")], "src/wire/util.rs:1")
        .refuses(&[("src/core/mod.rs", "")], "src/core/mod.rs:1")
        .refuses(&[("tests/a.rs", "\nmod helpers {}")], "tests/a.rs:2")
        .accepts(&[("src/wire/sse.rs", "use core::fmt;\nmod handlers;\nlet types = 1;")])
        .holds();
}

#[test]
fn no_function_is_named_for_nothing() {
    law!(shapes::no_function_is_named_for_nothing)
        .refuses(&[("src/a.rs", "impl A {\n    pub fn get_name(&self) {}\n}")], "src/a.rs:2")
        .refuses(&[("src/a.rs", "async fn process() {}")], "src/a.rs:1")
        .refuses(&[("bench/a.rs", "fn do_it() {}")], "bench/a.rs:1")
        .accepts(&[("src/a.rs", "fn get(&self) {}\nfn done() {}\nfn processes() {}\na.get_mut();")])
        .holds();
}

#[test]
fn folders_have_mod_rs() {
    law!(shapes::folders_have_mod_rs)
        .refuses(&[("src/a.rs", ""), ("src/a/mod.rs", "")], "src/a.rs:1")
        .refuses(&[("src/a/b.rs", "")], "src/a/b.rs:1")
        .accepts(&[("src/a/mod.rs", ""), ("src/a/b.rs", ""), ("src/ab.rs", ""), ("src/main.rs", "")])
        .holds();
}

#[test]
fn every_file_opens_with_its_head() {
    let lines = |count: usize| format!("{}//! Next: `b`.\n", "//! A.\n".repeat(count));
    law!(comments::every_file_opens_with_its_head)
        .refuses(&[("src/a.rs", "fn a() {}")], "src/a.rs:1")
        .refuses(&[("tests/a.rs", "//! One line.\nfn a() {}")], "tests/a.rs:1")
        .refuses(&[("bench/a.rs", "//! Two lines.\n//! No way on.\n")], "bench/a.rs:1")
        .refuses(&[("src/a.rs", &lines(6))], "src/a.rs:1")
        .accepts(&[("src/a.rs", &lines(1)), ("src/b.rs", &lines(5)), (".x/a.rs", "")])
        .holds();
}

#[test]
fn nothing_is_left_to_fix_without_a_reason() {
    let bad = format!("a;\n// {}: later", concat!("FIX", "ME"));
    let open = format!("# {} more", concat!("TO", "DO"));
    let reasoned = format!("// {}: drop the copy, waits because rustls 0.24 is not out", concat!("TO", "DO"));
    law!(comments::nothing_is_left_to_fix_without_a_reason)
        .refuses(&[("src/a.rs", &bad)], "src/a.rs:2")
        .refuses(&[("scripts/a", &open)], "scripts/a:1")
        .accepts(&[
            ("src/a.rs", &reasoned),
            ("src/b.rs", &format!("const A: &str = \"{}\";", concat!("FIX", "ME"))),
        ])
        .holds();
}

#[test]
fn comments_say_why() {
    law!(comments::comments_say_why)
        .refuses(&[("src/a.rs", "// ---- timers ----")], "src/a.rs:1")
        .refuses(&[("src/a.rs", "a;\n    // let b = c();")], "src/a.rs:2")
        .refuses(&[("src/a.rs", "// #[derive(Debug)]")], "src/a.rs:1")
        .accepts(&[(
            "src/a.rs",
            "/// Idle ---- Busy\n// for now, the peer may still write\n// RFC 9112 5.1: no space.",
        )])
        .holds();
}

#[test]
fn unsafe_stays_in_its_homes() {
    law!(comments::unsafe_stays_in_its_homes)
        .refuses(&[("src/a.rs", "\n// SAFETY: none\nunsafe { a() }")], "src/a.rs:3")
        .refuses(&[("tests/a.rs", "unsafe impl Send for A {}")], "tests/a.rs:1")
        .accepts(&[("src/a.rs", "#[expect(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";")])
        .holds();
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    law!(comments::every_unsafe_says_why_it_is_sound)
        .refuses(&[("src/a.rs", "// fast\nunsafe { a() }")], "src/a.rs:2")
        .refuses(&[("src/a.rs", "// SAFETY: a\n\nunsafe { a() }")], "src/a.rs:3")
        .refuses(&[("src/a.rs", "/// Fast.\npub unsafe fn a() {}")], "src/a.rs:2")
        .accepts(&[(
            "src/a.rs",
            "// SAFETY: the block is ours,\n// and stays.\n#[expect(unsafe_code)]\nunsafe { a() }",
        )])
        .accepts(&[("src/a.rs", "/// # Safety\n/// Keep it.\n#[inline]\npub unsafe fn a() {}")])
        .holds();
}

#[test]
fn nothing_takes_a_shortcut() {
    law!(comments::nothing_takes_a_shortcut)
        .refuses(&[("src/a.rs", "a.unwrap();")], "src/a.rs:1")
        .refuses(&[("bench/a.rs", "todo!()")], "bench/a.rs:1")
        .refuses(&[("src/a.rs", "\n#[allow(dead_code)]")], "src/a.rs:2")
        .refuses(&[("tests/a.rs", "#[test]\n#[ignore]\nfn a() {}")], "tests/a.rs:2")
        .accepts(&[
            ("src/a.rs", "a.unwrap_or(1);\n#[cfg(test)]\nmod tests {\n    a.unwrap();\n}"),
            ("tests/b.rs", "a.unwrap();"),
        ])
        .holds();
}

#[test]
fn no_test_sleeps() {
    law!(comments::no_test_sleeps)
        .refuses(&[("tests/a.rs", "std::thread::sleep(second);")], "tests/a.rs:1")
        .refuses(&[("src/a.rs", "#[cfg(test)]\nmod tests {\n    sleep(1);\n}")], "src/a.rs:3")
        .accepts(&[("src/shard/a.rs", "monoio::time::sleep(rest)"), ("tests/a.rs", "// no sleep\nasleep();")])
        .accepts(&[("tests/a.rs", "context.sleep(second).await;")])
        .holds();
}

#[test]
fn the_top_level_stays_as_it_is() {
    law!(project::the_top_level_stays_as_it_is)
        .refuses(&[("docs/a.md", ""), ("docs/b.md", ""), ("src/lib.rs", "")], "docs/a.md:1")
        .refuses(&[("NOTES.md", "")], "NOTES.md:1")
        .accepts(&[
            ("src/lib.rs", ""),
            (".clippy.toml", ""),
            (".ci/run", ""),
            ("flamegraphs/README.md", ""),
            ("LICENSE", ""),
        ])
        .holds();
}

#[test]
fn no_file_names_a_machine() {
    let home = format!("\ncd {}me/anna", "/ho");
    let index = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    law!(project::no_file_names_a_machine)
        .refuses(&[("README.md", &home)], "README.md:2")
        .refuses(
            &[("tests/a/package-lock.json", "\"resolved\": \"https://mirror.example/a.tgz\"")],
            "tests/a/package-lock.json:1",
        )
        .accepts(&[
            ("README.md", &format!("~{home}").replace("\ncd ", "")),
            ("Cargo.lock", index),
            ("a.md", "https://example.com"),
        ])
        .holds();
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nslab = \"1\"\n[dev-dependencies]\nloom = { version = \"1\" }\n";
    let both = "## Dependencies\n- `slab`: keys.\n- `loom`: races.\n";
    law!(project::every_dependency_has_its_reason)
        .refuses(&[("Cargo.toml", manifest)], "Cargo.toml:1")
        .refuses(
            &[("Cargo.toml", manifest), ("src/DECISIONS.md", "## Dependencies\n- `slab`: keys.\n")],
            "Cargo.toml:6",
        )
        .refuses(
            &[
                ("Cargo.toml", manifest),
                ("src/DECISIONS.md", "## Dependencies\n- `slab`\n- `loom`: races.\n"),
            ],
            "Cargo.toml:4",
        )
        .refuses(
            &[("Cargo.toml", manifest), ("src/DECISIONS.md", &format!("{both}- `gone`: why.\n"))],
            "src/DECISIONS.md:4",
        )
        .accepts(&[
            ("Cargo.toml", manifest),
            ("src/DECISIONS.md", &format!("- `no`\n{both}## More\n- `no`\n")),
        ])
        .accepts(&[
            ("Cargo.toml", manifest),
            ("src/DECISIONS.md", "## Dependencies\n- `slab`, `loom`: both.\n"),
        ])
        .holds();
}

#[test]
fn the_path_table_names_every_stage() {
    let map = ("src/ARCHITECTURE.md", "The `admit` stage.\n| `tls` | `pipeline/framing.rs` |\n");
    law!(project::the_path_table_names_every_stage)
        .refuses(&[map, ("src/pipeline/admit.rs", "")], "src/pipeline/admit.rs:1")
        .refuses(
            &[map, ("src/pipeline/admit/mod.rs", ""), ("src/pipeline/admit/tests.rs", "")],
            "src/pipeline/admit/mod.rs:1",
        )
        .refuses(&[("src/pipeline/tls.rs", "")], "src/pipeline/tls.rs:1")
        .accepts(&[
            map,
            ("src/pipeline/mod.rs", ""),
            ("src/pipeline/tls.rs", ""),
            ("src/pipeline/framing.rs", ""),
        ])
        .holds();
}

#[test]
fn every_exception_names_a_law_and_a_reason() {
    let laws = include_str!("tidy.rs");
    let project = Tree::of_project();
    for (home, reason) in UNSAFE_HOMES {
        assert!(project.file(home).is_some(), "the unsafe home {home} is gone; strike it");
        assert!(reason.split_whitespace().count() > 3, "{home}: say why");
    }
    for exception in EXCEPTIONS {
        assert!(laws.contains(&format!("fn {}()", exception.law)), "no law is called {}", exception.law);
        assert!(exception.reason.split_whitespace().count() > 3, "{}: say why", exception.path);
    }
}
