//! Laws of the project as a whole: the top level, its dependencies, its map, and that it names no machine.
//! Next: `exceptions.rs`.

use crate::source::Source;
use crate::tree::{Tree, Violation};

/// DESIGN of the top level; dotted tool files may stand beside it.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "bench",
    "certs",
    "tests",
    "scripts",
    "flamegraphs",
    "README.md",
    "LICENSE",
];

/// People's folders: fine as a sample in a test.
const HOMES: &str = concat!("/ho", "me/");

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] =
    &[HOMES, concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/opt/", "wheels"), concat!("/t", "mp/")];

/// The index name every lock file of cargo carries, on every machine.
const CARGO_INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn the_top_level_stays_as_it_is(tree: &Tree) -> Vec<Violation> {
    let mut seen = Vec::new();
    let mut broken = Vec::new();
    for file in &tree.files {
        let entry = file.path.split('/').next().unwrap_or_default();
        if !entry.starts_with('.') && !TOP.contains(&entry) && !seen.contains(&entry) {
            seen.push(entry);
            broken.push(Violation::new(
                file,
                1,
                format!("{entry} at the top"),
                "find its home in src, bench, certs, tests, scripts or flamegraphs",
            ));
        }
    }
    broken
}

/// No path of one machine anywhere, no registry's address in a lock or settings file.
pub(crate) fn no_file_names_a_machine(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in &tree.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let locks = name.ends_with(".lock")
            || name.ends_with("-lock.json")
            || name == ".npmrc"
            || name.starts_with("requirements");
        for (at, line) in file.text.lines().enumerate() {
            let starts = |at: usize| {
                !line
                    .get(..at)
                    .is_some_and(|left| left.ends_with(|c: char| c.is_alphanumeric() || "._-~}".contains(c)))
            };
            let sample = file.tested.get(at) == Some(&true);
            let machine = MACHINE_PATHS.iter().filter(|path| {
                !(sample && **path == HOMES) && line.match_indices(*path).any(|(at, _)| starts(at))
            });
            broken.extend(machine.map(|path| {
                Violation::new(
                    file,
                    at + 1,
                    *path,
                    "a path of one machine: take it from a variable, or from where the file stands",
                )
            }));
            // npm copies into its lock file the pages where authors ask for money.
            let sponsors = line.trim_start().starts_with("\"url\": ");
            if locks && !sponsors && line.replace(CARGO_INDEX, "").contains("://") {
                broken.push(Violation::new(file, at + 1, "an address", "lock files name packages, not where this machine fetched them: npm's `omit-lockfile-registry-resolved`"));
            }
        }
    }
    broken
}

/// `## Dependencies` of DECISIONS.md has a line for each crate of Cargo.toml and for no other.
pub(crate) fn every_dependency_has_its_reason(tree: &Tree) -> Vec<Violation> {
    let Some(manifest) = tree.file("Cargo.toml") else {
        return Vec::new();
    };
    let Some(decisions) = tree.file("src/DECISIONS.md") else {
        return vec![Violation::new(
            manifest,
            1,
            "no src/DECISIONS.md",
            "write it, with a section `## Dependencies`",
        )];
    };
    let wanted = dependencies(manifest);
    let given = reasons(decisions);
    let missing =
        wanted.iter().filter(|(_, name)| !given.iter().any(|(_, said, why)| said == name && !why.is_empty()));
    let mut broken: Vec<Violation> = missing
        .map(|(line, name)| {
            Violation::new(
                manifest,
                *line,
                format!("{name} without a reason"),
                "add \"- `name`: why, and why not another\" under `## Dependencies` in src/DECISIONS.md",
            )
        })
        .collect();
    let gone = given.iter().filter(|(_, said, _)| !wanted.iter().any(|(_, name)| name == said));
    broken.extend(gone.map(|(line, said, _)| {
        Violation::new(decisions, *line, format!("{said} is no dependency"), "strike the line")
    }));
    broken
}

/// The names under every `[...dependencies]` of the manifest, with their lines.
fn dependencies(manifest: &Source) -> Vec<(usize, String)> {
    let mut within = false;
    let mut found = Vec::new();
    for (at, line) in manifest.text.lines().enumerate() {
        if let Some(section) = line.strip_prefix('[') {
            within = section.trim_end().ends_with("dependencies]");
        } else if let Some((name, _)) =
            line.split_once('=').filter(|_| within && !line.starts_with([' ', '#']))
        {
            let name = name.trim().trim_matches('"');
            found.push((at + 1, name.split('.').next().unwrap_or(name).to_owned()));
        }
    }
    found
}

/// Line, name and reason of each "- `name`" line under `## Dependencies`; one line may name several.
fn reasons(decisions: &Source) -> Vec<(usize, String, String)> {
    let mut within = false;
    let mut found = Vec::new();
    for (at, line) in decisions.text.lines().enumerate() {
        if line.starts_with("## ") {
            within = line.trim() == "## Dependencies";
        }
        let Some(entry) = line.strip_prefix("- `").filter(|_| within) else { continue };
        let (names, why) = entry.split_once(": ").unwrap_or((entry, ""));
        let each = names.split(',').map(|name| name.trim().trim_matches('`').to_owned());
        found.extend(each.map(|name| (at + 1, name, why.to_owned())));
    }
    found
}

/// A row of ARCHITECTURE.md's tables names each file of `src/pipeline`.
pub(crate) fn the_path_table_names_every_stage(tree: &Tree) -> Vec<Violation> {
    let rows: Vec<&str> = tree
        .file("src/ARCHITECTURE.md")
        .map_or_else(Vec::new, |map| map.text.lines().filter(|line| line.starts_with('|')).collect());
    let mut broken = Vec::new();
    for file in tree.rust_in(&["src/pipeline"]) {
        let place = file.path.trim_start_matches("src/pipeline/").trim_end_matches(".rs");
        let stage = place.split('/').next().unwrap_or(place);
        let inner = place.contains('/') && !place.ends_with("/mod");
        if stage == "mod" || stage == "tests" || inner {
            continue;
        }
        let forms = [format!("`{stage}`"), format!("`{stage}.rs`"), format!("pipeline/{stage}")];
        if !rows.iter().any(|row| forms.iter().any(|form| row.contains(form))) {
            broken.push(Violation::new(
                file,
                1,
                format!("{stage} is not on the map"),
                "name it in the path table of src/ARCHITECTURE.md",
            ));
        }
    }
    broken
}
