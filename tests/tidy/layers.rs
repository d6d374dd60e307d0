//! Laws of the layers: arrows point down, and below `shard` nothing touches the world.
//! Next: `shapes.rs`.

use crate::source::{Source, closing, has_word, line_of, words};
use crate::tree::{Tree, Violation};

/// Each layer and what it may name. `main` may name everything; `lib.rs` is the list of modules.
const ARROWS: &[(&str, &[&str])] = &[
    ("control", &["shard", "pipeline", "tools", "wire"]),
    ("shard", &["pipeline", "tools", "wire"]),
    ("pipeline", &["tools", "wire"]),
    ("client", &["wire"]),
    ("tools", &["wire"]),
    ("wire", &[]),
];

/// Folders that get bytes and time handed in.
const PURE: &[&str] = &["src/pipeline", "src/tools", "src/wire"];

/// What would reach past them.
const WORLD: &[(&str, &[&str])] = &[
    (
        "take the time as an argument: the shard reads its clock once a turn",
        &["Instant::now", "SystemTime::now", "Utc::now"],
    ),
    (
        "hand bytes in and out: sockets live in `shard`",
        &["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener"],
    ),
    (
        "take the value as an argument: files, settings and children are `control`'s and `shard`'s",
        &["std::fs", "std::env", "std::process", "std::io::stdin"],
    ),
    (
        "take random bytes as an argument",
        &["rand::", "getrandom", "SystemRandom", "thread_rng", "RandomState"],
    ),
    ("a shard owns its data: no lock is needed", &["Mutex", "RwLock", "Condvar", "Barrier"]),
    (
        "return what to wait for: threads and tasks are the shard's",
        &["thread::spawn", "thread::sleep", "thread::Builder", "tokio", "monoio"],
    ),
];

/// Nobody imports upward, tests of a file included.
pub(crate) fn arrows_point_down(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in tree.rust_in(&["src"]) {
        let Some((layer, below)) = ARROWS.iter().find(|(layer, _)| source.is_in(&format!("src/{layer}")))
        else {
            continue;
        };
        for (line, target) in named_layers(source) {
            let known = ARROWS.iter().any(|(name, _)| *name == target);
            if known && target != *layer && !below.contains(&target.as_str()) {
                let mend = "main -> control -> shard -> pipeline -> tools -> wire, client -> wire: move the shared part down, or pass it in";
                broken.push(Violation::new(source, line, format!("{layer} names {target}"), mend));
            }
        }
    }
    broken
}

/// Pipeline, tools and wire have no clock, socket, file, random number, lock or thread.
pub(crate) fn below_shard_nothing_touches_the_world(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for source in tree.rust_in(PURE) {
        // A test may make an `Instant` to begin from: there is no other way to have one.
        let product = source.numbered().zip(&source.tested).filter(|(_, tested)| !**tested);
        for ((line, code), _) in product {
            for (mend, names) in WORLD {
                let found = names
                    .iter()
                    .filter(|name| has_word(code, name.trim_end_matches(':')) && code.contains(*name));
                broken.extend(found.map(|name| Violation::new(source, line, *name, mend)));
            }
        }
    }
    broken
}

/// The modules at the top of the crate that a file names, each with its line.
fn named_layers(source: &Source) -> Vec<(usize, String)> {
    let code: Vec<char> = source.code.join("\n").chars().collect();
    let found: Vec<(usize, String)> = words(&code).collect();
    let mut named = Vec::new();
    for (position, (at, word)) in found.iter().enumerate() {
        let after = match word.as_str() {
            "crate" | "mcpring" => at + word.len(),
            "super" => {
                let chain = found.iter().skip(position).take_while(|(_, word)| word == "super").count();
                let continues = position
                    .checked_sub(1)
                    .and_then(|before| found.get(before))
                    .is_some_and(|(_, w)| w == "super");
                if continues || chain != depth(source, &code, *at) {
                    continue;
                }
                found.get(position + chain - 1).map_or(*at, |(last, _)| last + "super".len())
            }
            _ => continue,
        };
        named.extend(heads(&code, after).into_iter().map(|(at, head)| (line_of(&code, at), head)));
    }
    named
}

/// How many `super` lead from `at` to the top of the crate.
fn depth(source: &Source, code: &[char], at: usize) -> usize {
    let path = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let inline = words(code).take_while(|(start, _)| *start < at).filter(|(start, word)| {
        let rest = || code.iter().enumerate().skip(start + 3);
        let open = rest().find(|(_, c)| matches!(c, '{' | ';')).filter(|(_, c)| **c == '{');
        word == "mod" && open.is_some_and(|(open, _)| open < at && at < closing(code, open))
    });
    path.split('/').count() + inline.count()
}

/// The first names after `::` at `after`: one, or those of a `{group}`.
fn heads(code: &[char], after: usize) -> Vec<(usize, String)> {
    let rest: String = code.iter().skip(after).collect();
    let Some(path) = rest.trim_start().strip_prefix("::") else {
        return Vec::new();
    };
    let start = after + (rest.chars().count() - path.chars().count());
    let skipped = path.chars().take_while(|c| c.is_whitespace()).count();
    let start = start + skipped;
    if code.get(start) != Some(&'{') {
        return words(code.get(start..).unwrap_or_default())
            .next()
            .map(|(at, word)| (start + at, word))
            .into_iter()
            .collect();
    }
    let mut heads = Vec::new();
    let (mut depth, mut fresh) = (0_usize, true);
    for at in start..closing(code, start) {
        match code.get(at) {
            Some('{') => depth += 1,
            Some('}') => depth = depth.saturating_sub(1),
            Some(',') if depth == 1 => fresh = true,
            Some(c) if fresh && c.is_alphanumeric() => {
                heads.extend(words(code.get(at..).unwrap_or_default()).next().map(|(_, word)| (at, word)));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}
