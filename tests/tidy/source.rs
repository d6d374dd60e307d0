//! A file split into what the laws look at: its code without comments and literals, and its comments alone.
//! Never: a full parser; braces, keywords and line numbers are enough for every law.
//! Next: `tree.rs`, which finds the files.

/// One file of the project.
pub(crate) struct Source {
    /// Path from the top of the project, with `/`.
    pub(crate) path: String,
    /// The text as it stands.
    pub(crate) text: String,
    /// Code only, line for line; what stands inside literals is `~`. Empty unless the file is Rust.
    pub(crate) code: Vec<String>,
    /// Comments only, line for line. Empty unless the file is Rust.
    pub(crate) comments: Vec<String>,
    /// For each line whether it is built for tests only.
    pub(crate) tested: Vec<bool>,
}

/// One function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of `fn`, from 1.
    pub(crate) line: usize,
    /// Lines of code between the braces.
    pub(crate) size: usize,
}

/// What the reader of a Rust file is inside of.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Code,
    LineComment,
    BlockComment(usize),
    Literal { quote: char, escapes: bool, hashes: usize },
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let rust = path.ends_with(".rs");
        let (code, comments) = if rust { split(text) } else { (Vec::new(), Vec::new()) };
        let tested = tested_lines(path, &code);
        Self { path: path.to_owned(), text: text.to_owned(), code, comments, tested }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file lies in the folder or is the file `place`.
    pub(crate) fn is_in(&self, place: &str) -> bool {
        self.path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Lines that are neither blank nor comment.
    pub(crate) fn size(&self) -> usize {
        if self.is_rust() {
            return self.code.iter().filter(|line| !line.trim().is_empty()).count();
        }
        let blank = |line: &str| line.is_empty() || line.starts_with('#') || line.starts_with("//");
        self.text.lines().filter(|line| !blank(line.trim())).count()
    }

    /// Lines of code with their number, from 1.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(at, line)| (at + 1, line.as_str()))
    }

    /// Every function that has a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let code: Vec<char> = self.code.join("\n").chars().collect();
        words(&code).filter(|(_, word)| word == "fn").filter_map(|(at, _)| self.function(&code, at)).collect()
    }

    fn function(&self, code: &[char], at: usize) -> Option<Function> {
        let (_, name) = words(code.get(at + 2..)?).next()?;
        // A pointer type, `fn(u8)`, has no name before its bracket.
        if code.get(at + 2..)?.iter().find(|c| !c.is_whitespace()) == Some(&'(') {
            return None;
        }
        let open = body_start(code, at)?;
        let close = closing(code, open);
        let first = line_of(code, open);
        let last = line_of(code, close);
        let within = self.code.get(first..last.saturating_sub(1)).unwrap_or_default();
        let size = within.iter().filter(|line| !line.trim().is_empty()).count();
        Some(Function { name, line: line_of(code, at), size })
    }
}

/// The words of `code` with where they begin.
pub(crate) fn words(code: &[char]) -> impl Iterator<Item = (usize, String)> + '_ {
    let part = |c: &char| c.is_alphanumeric() || *c == '_';
    let begins = move |at: usize| {
        code.get(at).is_some_and(part)
            && !at.checked_sub(1).and_then(|before| code.get(before)).is_some_and(part)
    };
    (0..code.len())
        .filter(move |at| begins(*at))
        .map(move |at| (at, code.iter().skip(at).take_while(|c| part(c)).collect()))
}

/// Whether `word` stands in `line` as a word of its own.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|left| left.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|right| right.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// The line, from 1, of the character at `at`.
pub(crate) fn line_of(code: &[char], at: usize) -> usize {
    1 + code.iter().take(at).filter(|c| **c == '\n').count()
}

/// The bracket that closes the one at `open`, or the end of the file.
pub(crate) fn closing(code: &[char], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.iter().enumerate().skip(open) {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

/// The `{` of the item whose first word stands at `at`; none when a `;` ends it first.
fn body_start(code: &[char], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (here, c) in code.iter().enumerate().skip(at) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Some(here),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// For each line whether it belongs to a test file or a `#[cfg(test)]` item.
fn tested_lines(path: &str, code: &[String]) -> Vec<bool> {
    let whole = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
    let mut tested = vec![whole; code.len()];
    let text: Vec<char> = code.join("\n").chars().collect();
    for (at, line) in code.iter().enumerate() {
        if !(line.contains("#[cfg(test)]") || line.contains("#[cfg(all(test,")) {
            continue;
        }
        let attribute = code.iter().take(at).map(|line| line.chars().count() + 1).sum();
        let after =
            text.iter().skip(attribute).position(|c| *c == ']').map_or(attribute, |end| attribute + end + 1);
        let semicolon = || text.iter().skip(after).position(|c| *c == ';').map_or(after, |at| after + at);
        let end = body_start(&text, after).map_or_else(semicolon, |open| closing(&text, open));
        for flag in tested.iter_mut().take(line_of(&text, end)).skip(at) {
            *flag = true;
        }
    }
    tested
}

/// The code and the comments of a Rust text, line for line.
fn split(text: &str) -> (Vec<String>, Vec<String>) {
    let text: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut inside = Inside::Code;
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let (next, width) = step(inside, &text, at);
        for &c in text.iter().skip(at).take(width) {
            let comment = matches!(next, Inside::LineComment | Inside::BlockComment(_))
                || matches!(inside, Inside::BlockComment(_));
            let literal = matches!(inside, Inside::Literal { .. }) && inside == next;
            code.push(if c == '\n' {
                c
            } else if comment {
                ' '
            } else if literal {
                '~'
            } else {
                c
            });
            comments.push(if c == '\n' || comment { c } else { ' ' });
        }
        inside = if c == '\n' && next == Inside::LineComment { Inside::Code } else { next };
        at += width;
    }
    let lines = |all: String| all.lines().map(str::to_owned).collect();
    (lines(code), lines(comments))
}

/// What the reader is inside of after the character at `at`, and how many characters that took.
fn step(inside: Inside, text: &[char], at: usize) -> (Inside, usize) {
    let here = |offset: usize| text.get(at + offset).copied().unwrap_or(' ');
    match inside {
        Inside::Code => match (here(0), here(1)) {
            ('/', '/') => (Inside::LineComment, 2),
            ('/', '*') => (Inside::BlockComment(1), 2),
            ('"', _) => (raw_or_plain(text, at), 1),
            // A character, not a lifetime.
            ('\'', second) if second == '\\' || here(2) == '\'' => {
                (Inside::Literal { quote: '\'', escapes: true, hashes: 0 }, 1)
            }
            _ => (Inside::Code, 1),
        },
        Inside::LineComment => (Inside::LineComment, 1),
        Inside::BlockComment(depth) => match (here(0), here(1)) {
            ('*', '/') if depth == 1 => (Inside::Code, 2),
            ('*', '/') => (Inside::BlockComment(depth - 1), 2),
            ('/', '*') => (Inside::BlockComment(depth + 1), 2),
            _ => (inside, 1),
        },
        Inside::Literal { quote, escapes, hashes } => {
            if escapes && here(0) == '\\' {
                return (inside, 2);
            }
            let closes = here(0) == quote && (1..=hashes).all(|offset| here(offset) == '#');
            if closes { (Inside::Code, 1 + hashes) } else { (inside, 1) }
        }
    }
}

/// The literal that the quote at `at` opens: raw when `r`, `br` or `cr` and hashes stand before it.
fn raw_or_plain(text: &[char], at: usize) -> Inside {
    let hashes = text.iter().take(at).rev().take_while(|c| **c == '#').count();
    let mut before = text.iter().take(at - hashes).rev();
    let raw = before.next() == Some(&'r')
        && !before.find(|c| !matches!(c, 'b' | 'c')).is_some_and(|c| c.is_alphanumeric());
    Inside::Literal { quote: '"', escapes: !raw, hashes: if raw { hashes } else { 0 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a Rust text, its code, its comments.
    #[test]
    fn splits_code_from_comments_and_literals() {
        let rows = [
            ("a // b", "a     ", "  // b"),
            ("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  "),
            ("\"x // \\\" y\" z", "\"~~~~~~~~~\" z", "             "),
            ("r#\"a\"b\"# c // d", "r#\"~~~\"# c     ", "           // d"),
            ("'{' '\\'' 'a x", "'~' '~~' 'a x", "             "),
            ("b\"{\" br\"\\\" }", "b\"~\" br\"~\" }", "            "),
        ];
        for (text, code, comments) in rows {
            assert_eq!(split(text), (vec![code.to_owned()], vec![comments.to_owned()]), "{text}");
        }
    }

    #[test]
    fn counts_the_code_between_the_braces() {
        let text = "fn a(x: fn(u8)) -> [u8; 2]\nwhere\n    T: U,\n{\n    one;\n\n    // no\n    two;\n}\nfn b() {}\ntrait C { fn d(); }\n";
        let found = Source::new("src/a.rs", text).functions();
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.size)).collect();
        assert_eq!(found, [("a", 1, 2), ("b", 10, 0)]);
    }

    #[test]
    fn knows_the_lines_built_for_tests_only() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    x\n}\nfn b() {}\n#[cfg(test)]\nmod more;\nfn c() {}\n";
        let tested = Source::new("src/a.rs", text).tested;
        assert_eq!(tested, [false, true, true, true, true, false, true, true, false]);
        assert_eq!(Source::new("src/a/tests.rs", "x").tested, [true]);
    }
}
