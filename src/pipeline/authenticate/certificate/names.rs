//! What a client may be called: a URI, a host name or a common name, and patterns of them. A common name is written
//! `cn:NAME`, so that none can be taken for a host name: an authority may look at those more closely.
//! A `*` is one whole label of a host name or one whole segment of a path: `*.example.com` is neither `example.com` nor
//! `a.b.example.com` nor `evil-example.com`.
//! Never: a part of a label or of a segment that matches.
//! Next: `judge`.

/// Longest name of a client. Bytes.
pub const NAME_BYTES_MAX: usize = 255;

const SPIFFE: &str = "spiffe://";
/// What stands before a common name. No host name has a colon, and no URI of this scheme is a name.
const COMMON: &str = "cn:";

/// Where in a certificate a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A URI among the subject's alternative names; SPIFFE puts it there.
    Uri,
    /// A host name among them.
    Dns,
    /// The subject's common name.
    CommonName,
}

/// One name of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where it stands.
    pub kind: NameKind,
    /// Host names in lower case, common names behind `cn:`.
    pub text: String,
}

impl Name {
    /// A name without anything that could be read in two ways.
    pub fn read(kind: NameKind, text: &str) -> Option<Self> {
        let is_clean = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.chars().any(|c| c.is_control() || matches!(c, '|' | '*'))
            && text.trim() == text;
        let is_sound = is_clean
            && match kind {
                NameKind::Uri => is_uri(text),
                NameKind::Dns => is_host(text),
                NameKind::CommonName => true,
            };
        let text = match kind {
            NameKind::Uri => text.to_owned(),
            NameKind::Dns => text.to_ascii_lowercase(),
            NameKind::CommonName => format!("{COMMON}{text}"),
        };
        is_sound.then_some(Self { kind, text })
    }
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.split('.').all(is_label)
}

fn is_uri(text: &str) -> bool {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    if !scheme.eq_ignore_ascii_case("spiffe") {
        return !scheme.is_empty() && !rest.is_empty() && !scheme.eq_ignore_ascii_case("cn");
    }
    // SPIFFE-ID 2: lower case, no port, no user, no query, no fragment; segments neither empty nor dots.
    let Some(rest) = text.strip_prefix(SPIFFE) else { return false };
    let mut parts = rest.split('/');
    let is_domain = parts.next().is_some_and(|domain| {
        !domain.is_empty()
            && domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
    });
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    is_domain && parts.all(is_segment)
}

/// A pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    kind: NameKind,
    /// What stands before the first part: a URI's scheme and authority, or all of a common name.
    origin: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Exactly(String),
    Any,
    /// One or more, and the last.
    Rest,
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err("it is empty or too long");
        }
        if text.chars().any(char::is_control) {
            return Err("it has a control character");
        }
        let (kind, origin, path, separator) = match (text.strip_prefix(COMMON), text.split_once("://")) {
            (Some(""), _) => return Err("the name is missing"),
            (Some(_), _) => (NameKind::CommonName, text.to_owned(), "", '.'),
            (None, Some((scheme, rest))) => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                (NameKind::Uri, format!("{scheme}://{authority}"), path, '/')
            }
            (None, None) => (NameKind::Dns, String::new(), text, '.'),
        };
        if origin.contains('*') {
            return Err("only a label of a host name or a segment of a path can be a wildcard");
        }
        let is_uri = kind == NameKind::Uri;
        let mut parts = Vec::new();
        let count = if path.is_empty() { 0 } else { path.split(separator).count() };
        for (index, part) in path.split(separator).take(count).enumerate() {
            parts.push(match part {
                "*" => Part::Any,
                "**" if is_uri && index + 1 == count => Part::Rest,
                "" => return Err("a part of it is empty"),
                part if part.contains('*') => return Err("a wildcard stands for a whole part"),
                part => Part::Exactly(part.to_owned()),
            });
        }
        if kind == NameKind::Dns && !parts.iter().any(|part| matches!(part, Part::Exactly(_))) {
            return Err("it matches everything");
        }
        Ok(Self { kind, origin, parts })
    }

    /// Whether it matches.
    pub fn matches(&self, kind: NameKind, text: &str) -> bool {
        if self.kind != kind {
            return false;
        }
        let (path, separator) = match text.strip_prefix(self.origin.as_str()) {
            Some(rest) if kind == NameKind::CommonName => return rest.is_empty(),
            Some(rest) if kind == NameKind::Uri => match (rest.strip_prefix('/'), rest) {
                (Some(path), _) => (Some(path), '/'),
                (None, "") => (None, '/'),
                (None, _) => return false,
            },
            Some(rest) => (Some(rest), '.'),
            None => return false,
        };
        let mut found = path.map(|path| path.split(separator)).into_iter().flatten();
        for part in &self.parts {
            let Some(piece) = found.next() else { return false };
            match part {
                Part::Exactly(exact) if kind == NameKind::Dns => {
                    if !exact.eq_ignore_ascii_case(piece) {
                        return false;
                    }
                }
                Part::Exactly(exact) if exact == piece => {}
                Part::Exactly(_) => return false,
                Part::Any if piece.is_empty() => return false,
                Part::Any => {}
                Part::Rest => return !piece.is_empty(),
            }
        }
        found.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_whole_labels_and_segments() {
        use NameKind::{CommonName, Dns, Uri};
        for (pattern, kind, name, expected) in [
            ("*.agents.example.com", Dns, "a.agents.example.com", true),
            ("*.agents.example.com", Dns, "agents.example.com", false),
            ("*.agents.example.com", Dns, "a.b.agents.example.com", false),
            ("*.agents.example.com", Dns, "a.evil-agents.example.com", false),
            ("*.agents.example.com", Dns, "a.agents.example.com.evil.org", false),
            ("*.agents.example.com", Dns, ".agents.example.com", false),
            ("A.example.com", Dns, "a.example.com", true),
            ("cn:Robot 7", CommonName, "cn:Robot 7", true),
            ("cn:Robot", CommonName, "cn:robot", false),
            ("cn:Robot", CommonName, "cn:Robot 7", false),
            ("cn:a.example.com", Dns, "a.example.com", false),
            ("a.example.com", CommonName, "cn:a.example.com", false),
            ("*.example.com", CommonName, "cn:a.example.com", false),
            ("a.example.com", Uri, "a.example.com", false),
            ("spiffe://example.com/agent/*", Uri, "spiffe://example.com/agent/7", true),
            ("spiffe://example.com/agent/*", Uri, "spiffe://example.com/agent/7/8", false),
            ("spiffe://example.com/agent/*", Uri, "spiffe://example.com/agent/", false),
            ("spiffe://example.com/agent/*", Uri, "spiffe://example.com/agent", false),
            ("spiffe://example.com/agent/*", Uri, "spiffe://example.com.evil.org/agent/7", false),
            ("spiffe://example.com/agent/**", Uri, "spiffe://example.com/agent/7/8", true),
            ("spiffe://example.com/agent/**", Uri, "spiffe://example.com/agent", false),
            ("spiffe://example.com", Uri, "spiffe://example.com", true),
            ("spiffe://example.com", Uri, "spiffe://example.com/x", false),
            ("spiffe://example.com/x", CommonName, "cn:spiffe://example.com/x", false),
        ] {
            let compiled = NamePattern::compile(pattern).expect(pattern);
            assert_eq!(compiled.matches(kind, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn refuses_patterns_that_say_too_much() {
        for pattern in [
            "",
            "*",
            "*.*",
            "a*.example.com",
            "**",
            "a..b",
            "spiffe://*/x",
            "spiffe://a/**/x",
            "cn:",
            "cn:*",
            "cn:ops-*",
            "x://a//b",
            "a\nb",
        ] {
            assert!(NamePattern::compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn refuses_names_that_could_be_read_in_two_ways() {
        use NameKind::{CommonName, Dns, Uri};
        for (kind, name, expected) in [
            (Dns, "A.Example.com", true),
            (Dns, "*.example.com", false),
            (Dns, "a..example.com", false),
            (Dns, "a.example.com.", false),
            (Dns, "a b.example.com", false),
            (Uri, "spiffe://example.com/agent/7", true),
            (Uri, "spiffe://example.com/agent/../admin", false),
            (Uri, "spiffe://example.com/agent//7", false),
            (Uri, "spiffe://Example.com/agent", false),
            (Uri, "SPIFFE://example.com/agent", false),
            (Uri, "spiffe://user@example.com/agent", false),
            (Uri, "spiffe://example.com:80/agent", false),
            (Uri, "spiffe://example.com/agent?x", false),
            (Uri, "spiffe://example.com/%61", false),
            (Uri, "urn:uuid:1", true),
            (Uri, "nothing", false),
            (CommonName, "Robot 7", true),
            (CommonName, "spiffe://example.com/agent", true),
            (Uri, "cn:robot", false),
            (Uri, "CN:robot", false),
            (CommonName, "a|b", false),
            (CommonName, "a\0b", false),
            (CommonName, " a", false),
            (CommonName, "", false),
        ] {
            assert_eq!(Name::read(kind, name).is_some(), expected, "{name:?}");
        }
    }
}
