//! Permission patterns: what a rule of a role speaks of.
//! Never: a recursion.
//! Next: `mod.rs`, which compiles roles from them.

/// One permission pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    method: String,
    target: Option<String>,
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
        if text.is_empty() || text.len() > 256 {
            return Err("a pattern has 1 to 256 characters, for example \"tools/call:native/*\"".into());
        }
        if !text.bytes().all(is_allowed) {
            return Err("use letters, digits and _ . - / * with one colon between method and target".into());
        }
        let (method, target) = match text.split_once(':') {
            Some((_, target)) if target.contains(':') && !names_uris => {
                return Err("one colon only, between method and target".into());
            }
            Some((method, target)) => (method, Some(target.to_owned())),
            None => (text, None),
        };
        if method.is_empty() || target.as_deref() == Some("") {
            return Err("write the method before the colon and the target after it".into());
        }
        if text.contains("***") {
            return Err("use * within a segment or ** across segments".into());
        }
        Ok(Self { method: method.to_owned(), target })
    }

    /// What it says of methods.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What it says of their targets.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// Whether it speaks of all of that: the method and, if one is named, the target.
    pub fn covers(&self, method: &str, target: Option<&str>) -> bool {
        let is_target = match (&self.target, target) {
            (None, _) => true,
            (Some(pattern), Some(target)) => glob(pattern.as_bytes(), target.as_bytes()),
            (Some(_), None) => false,
        };
        is_target && self.touches(method)
    }

    /// Whether it speaks of the method, for whatever target.
    pub fn touches(&self, method: &str) -> bool {
        glob(self.method.as_bytes(), method.as_bytes())
    }
}

/// `*` stands for any run without `/`, `**` for any run. Linear in pattern times text, no recursion: it remembers the
/// last star of each kind and goes back to it.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut single: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                double = Some((p, t));
                single = None;
                continue;
            }
            (Some(b'*'), _) => {
                p += 1;
                single = Some((p, t));
                continue;
            }
            (None, None) => return true,
            (Some(want), Some(have)) if want == have => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        let retry = match (single, double) {
            (Some((at, from)), _) if text.get(from).is_some_and(|byte| *byte != b'/') => {
                single = Some((at, from + 1));
                (at, from + 1)
            }
            (_, Some((at, from))) if from < text.len() => {
                double = Some((at, from + 1));
                single = None;
                (at, from + 1)
            }
            _ => return false,
        };
        (p, t) = retry;
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
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn refuses_patterns_that_can_not_be_meant() {
        for text in ["", "a:b:c", ":x", "x:", "tools call", "tools/***", "t\u{f6}\u{f6}l", "a\nb"] {
            assert!(Pattern::compile(text).is_err(), "{text:?}");
        }
    }
}
