//! Any pattern and any name: no panic, and the same answer as a plain reading of the pattern.
//! The input is the pattern, a zero byte, and the name.
//! Next: `src/pipeline/authorize/pattern.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::pipeline::authorize::Pattern;

/// By places that are reached, one step a byte of the text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    let star = |at: usize| pattern.get(at) == Some(&b'*');
    // A pair of stars counts by its first.
    let pair = |at: usize| star(at) && star(at + 1);
    let settle = |reached: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if reached[at] && star(at) {
                reached[at + if pair(at) { 2 } else { 1 }] = true;
            }
        }
    };
    settle(&mut reached);
    for byte in text {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|at| reached[*at]) {
            if pair(at) || star(at) && *byte != b'/' {
                next[at] = true;
            }
            if !star(at) && pattern[at] == *byte {
                next[at + 1] = true;
            }
        }
        settle(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((pattern, name)) = text.split_once('\0') else { return };
    let Ok(compiled) = Pattern::compile(&format!("resources/read:{pattern}")) else { return };
    let plain = matches(pattern.as_bytes(), name.as_bytes());
    assert_eq!(compiled.covers("resources/read", Some(name)), plain, "{pattern:?} {name:?}");
});
