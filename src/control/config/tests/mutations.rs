//! Spoilt files: whatever is in the text, loading ends with an answer whose places lie in the text.
//! Next: nothing.

use super::*;

/// Characters that mean something in TOML, or nearly.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r\n",
    "\t",
    "-",
    "_",
    "\\",
    "0",
    "9e9",
    "true",
    "inf",
    "1979-05-27",
    "\u{e9}",
    "\u{1f600}",
    "\u{0}",
    "version",
    "tls",
    "listeners",
    "auth.api_key",
];

/// xorshift64*: the same file for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % bound.max(1)
    }
}

/// Cuts, doubles, moves or adds something.
fn spoil(text: &str, random: &mut Random) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = random.below(characters.len() + 1);
    let end = (at + random.below(12)).min(characters.len());
    let (before, piece, after) = (&characters[..at], &characters[at..end], &characters[end..]);
    let collect = |parts: &[&[char]]| parts.concat().into_iter().collect::<String>();
    match random.below(5) {
        0 => collect(&[before, after]),
        1 => collect(&[before, piece, piece, after]),
        2 => collect(&[before, after, piece]),
        3 => {
            let mut lines: Vec<&str> = text.lines().collect();
            let (from, to) = (random.below(lines.len()), random.below(lines.len()));
            if from < lines.len() && to < lines.len() {
                lines.swap(from, to);
            }
            lines.join("\n")
        }
        _ => {
            let added: Vec<char> = PIECES[random.below(PIECES.len())].chars().collect();
            collect(&[before, &added, piece, after])
        }
    }
}

#[test]
fn answers_for_any_text() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..2000 {
        let mut text = GOOD.to_owned();
        for _ in 0..=random.below(4) {
            text = spoil(&text, &mut random);
        }
        let lines = text.split('\n').count();
        let found = problems(&text, &[]);
        refused += usize::from(found.count(Severity::Error) > 0);
        assert!(!found.to_text(Colour::Styled).contains("\u{0}"), "{text}");
        for problem in found.to_json().as_array().unwrap() {
            let line = problem["line"].as_u64().unwrap_or(1);
            assert!((1..=u64::try_from(lines).unwrap()).contains(&line), "line {line} of\n{text}");
        }
    }
    assert!((1000..2000).contains(&refused), "{refused} of 2000 were refused");
}

#[test]
fn answers_for_any_override() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    for _ in 0..1000 {
        let text = spoil(&spoil("limits.max_connections=500", &mut random), &mut random);
        let found = problems(GOOD, &[&text]);
        assert!(found.to_text(Colour::Plain).lines().count() < 100, "{text}");
    }
}
