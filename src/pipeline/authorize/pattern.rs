//! Permission patterns: what a rule of a role speaks of.
//! Never: a match that costs more than the text is long, whatever a caller names.
//! Next: `policy`, which compiles roles from them.

/// One permission pattern.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    method: Glob,
    target: Option<Glob>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn compile(text: &str) -> Result<Self, String> {
        // A resource's URI may hold any visible character; names hold few.
        let names_uris = text.starts_with("resources/");
        let is_allowed = |byte: u8| {
            byte.is_ascii_alphanumeric() || b"_.-/*:".contains(&byte) || names_uris && byte.is_ascii_graphic()
        };
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err("a pattern has 1 to 256 characters, for example \"tools/call:native/*\"".into());
        }
        if !text.bytes().all(is_allowed) {
            return Err("use letters, digits and _ . - / * with one colon between method and target".into());
        }
        let (method, target) = match text.split_once(':') {
            Some((_, target)) if target.contains(':') && !names_uris => {
                return Err("one colon only, between method and target".into());
            }
            Some((method, target)) => (method, Some(target)),
            None => (text, None),
        };
        if method.is_empty() || target == Some("") {
            return Err("write the method before the colon and the target after it".into());
        }
        if text.contains("***") {
            return Err("use * within a segment or ** across segments".into());
        }
        Ok(Self { text: text.to_owned(), method: Glob::new(method), target: target.map(Glob::new) })
    }

    /// What it says of methods.
    pub fn method(&self) -> &str {
        self.text.split_once(':').map_or(&self.text, |(method, _)| method)
    }

    /// What it says of their targets.
    pub fn target(&self) -> Option<&str> {
        self.text.split_once(':').map(|(_, target)| target)
    }

    /// Whether it speaks of all of that: the method and, if one is named, the target.
    pub fn covers(&self, method: &str, target: Option<&str>) -> bool {
        let is_target = match (&self.target, target) {
            (None, _) => true,
            (Some(pattern), Some(target)) => pattern.matches(target),
            (Some(_), None) => false,
        };
        is_target && self.touches(method)
    }

    /// Whether it speaks of the method, for whatever target.
    pub fn touches(&self, method: &str) -> bool {
        self.method.matches(method)
    }
}

/// Longest pattern, bytes.
const PATTERN_BYTES_MAX: usize = 256;
/// Longest name that is looked at, bytes: what a caller may name is bounded by the size of a message only. A longer one is
/// nobody's to use, or it would pass what denies it.
pub(super) const NAME_BYTES_MAX: usize = 8 * 1024;
/// Words for one bit a place in a pattern, the place behind its end included.
const WORDS: usize = PATTERN_BYTES_MAX / 64 + 1;

/// A text in which `*` stands for any run without `/`, and `**` for any run. It is matched as a set of places that are
/// reached, one step a byte, so what it costs is linear in the text whatever the two are.
#[derive(Clone, PartialEq, Eq)]
enum Glob {
    /// No star.
    Exactly(String),
    /// Anything.
    Anything,
    Stars(Box<Places>),
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Set([u64; WORDS]);

/// What stands at which place.
#[derive(Clone, PartialEq, Eq)]
struct Places {
    /// Where each of the bytes that occur stands.
    literals: Vec<(u8, Set)>,
    singles: Set,
    doubles: Set,
    end: usize,
}

impl Set {
    fn add(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn contains(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn with(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    fn within(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }

    /// Every place, one further.
    fn next(mut self) -> Self {
        let mut carry = 0;
        for word in &mut self.0 {
            (*word, carry) = (*word << 1 | carry, *word >> 63);
        }
        self
    }
}

impl Glob {
    fn new(text: &str) -> Self {
        if text == "**" {
            return Self::Anything;
        }
        if !text.contains('*') {
            return Self::Exactly(text.to_owned());
        }
        let mut places =
            Places { literals: Vec::new(), singles: Set::default(), doubles: Set::default(), end: 0 };
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let place = places.end;
            places.end += 1;
            if byte != b'*' {
                let known = places.literals.iter_mut().find(|(literal, _)| *literal == byte);
                match known {
                    Some((_, set)) => set.add(place),
                    None => {
                        let mut set = Set::default();
                        set.add(place);
                        places.literals.push((byte, set));
                    }
                }
            } else if bytes.next_if_eq(&b'*').is_some() {
                places.doubles.add(place);
            } else {
                places.singles.add(place);
            }
        }
        Self::Stars(Box::new(places))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == text,
            Self::Anything => true,
            Self::Stars(places) => places.match_all(text),
        }
    }
}

impl Places {
    fn match_all(&self, text: &str) -> bool {
        debug_assert!(text.len() <= NAME_BYTES_MAX, "what is longer is refused before");
        let stars = self.singles.with(self.doubles);
        // A star may stand for nothing. No star stands beside another, so one step is enough.
        let settle = |reached: Set| reached.with(reached.within(stars).next());
        let mut reached = Set::default();
        reached.add(0);
        reached = settle(reached);
        for byte in text.bytes() {
            let literal = self.literals.iter().find(|(literal, _)| *literal == byte);
            let advanced = literal.map_or(Set::default(), |(_, places)| reached.within(*places).next());
            let kept = if byte == b'/' { self.doubles } else { stars };
            reached = settle(advanced.with(reached.within(kept)));
            if reached.is_empty() {
                return false;
            }
        }
        reached.contains(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_keep_to_their_segments() {
        for (pattern, text, matches) in [
            ("tools/call", "tools/call", true),
            ("tools/call", "tools/calls", false),
            ("tools/*", "tools/list", true),
            ("tools/*", "tools/a/b", false),
            ("tools/**", "tools/a/b", true),
            ("**", "", true),
            ("**", "a/b/c", true),
            ("*", "a/b", false),
            ("*", "", true),
            ("native/read_*", "native/read_file", true),
            ("native/read_*", "native/write_read_", false),
            ("*/delete_*", "native/delete_all", true),
            ("*/delete_*", "native/x/delete_all", false),
            ("**/delete_*", "native/x/delete_all", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY/c", false),
            ("a**c*e", "a/b/c/cde", true),
            ("a**c*e", "a/b/c/d/e", false),
            ("echo", "Echo", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn refuses_patterns_that_can_not_be_meant() {
        for text in ["", "a:b:c", ":x", "x:", "tools call", "tools/***", "t\u{f6}\u{f6}l", "a\nb"] {
            assert!(Pattern::compile(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_name_costs_is_linear_in_it() {
        let name = "a".repeat(NAME_BYTES_MAX);
        let pattern = format!("{}b", "a*".repeat(60));
        let began = std::time::Instant::now();
        for pattern in [pattern.as_str(), "**a*a*a*b", "**a**a**a*b", "*a**b"] {
            assert!(!Glob::new(pattern).matches(&name), "{pattern}");
        }
        assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    }
}
