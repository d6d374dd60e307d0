//! Matching a URI against a template of literals, `{x}` and `{+x}` (RFC 6570, levels 1 and 2, read backwards).
//! Never: a regular expression, or time beyond template pieces times length of the URI.
//! Next: `template`, the user.

use super::template::Bindings;

/// Longest URI that is matched, bytes.
const URI_BYTES_MAX: usize = 8 * 1024;
/// Variables of one template.
const VARIABLES_MAX: usize = 16;

pub(super) struct Pattern {
    text: String,
    /// What stands before the first variable.
    head: String,
    variables: Vec<Variable>,
    problem: Option<String>,
}

struct Variable {
    name: String,
    spans_segments: bool,
    /// What stands after it, up to the next variable.
    tail: String,
}

impl Pattern {
    /// A malformed template is kept with its problem, and told when it is registered.
    pub(super) fn new(text: &str) -> Self {
        let (head, variables, problem) = match split(text) {
            Ok((head, variables)) => (head, variables, None),
            Err(problem) => (String::new(), Vec::new(), Some(problem)),
        };
        Self { text: text.to_owned(), head, variables, problem }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn names(&self, variable: &str) -> bool {
        self.variables.iter().any(|own| own.name == variable)
    }

    pub(super) fn matches(&self, uri: &str) -> Option<Bindings> {
        if self.problem.is_some() || uri.len() > URI_BYTES_MAX {
            return None;
        }
        let rest = uri.strip_prefix(self.head.as_str())?;
        let mut starts = vec![None; rest.len() + 1];
        *starts.first_mut()? = Some(0);
        let mut begun = Vec::with_capacity(self.variables.len());
        for variable in &self.variables {
            starts = variable.ends(rest, &starts);
            begun.push(starts.clone());
        }
        // Backwards, since only what ends with the URI is a match. Where several are, the later variable takes more.
        let mut next = rest.len();
        let mut values = Vec::with_capacity(self.variables.len());
        for (variable, begun) in self.variables.iter().zip(&begun).rev() {
            let begin = (*begun.get(next)?)?;
            let raw = rest.get(begin..next.checked_sub(variable.tail.len())?)?;
            values.push((variable.name.clone(), value(raw, variable.spans_segments)?));
            next = begin;
        }
        values.reverse();
        Some(values)
    }
}

impl Variable {
    /// For each place where the next variable may begin, where this one began; it may begin where `starts` says so.
    /// One pass, whatever the URI.
    fn ends(&self, rest: &str, starts: &[Option<usize>]) -> Vec<Option<usize>> {
        let mut ends = vec![None; rest.len() + 1];
        let mut first = None;
        for (at, byte) in rest.bytes().enumerate() {
            if first.is_none() && starts.get(at).is_some_and(Option::is_some) {
                first = Some(at);
            }
            if byte == b'/' && !self.spans_segments {
                first = None;
            }
            let end = at + 1;
            let is_end =
                rest.as_bytes().get(end..).is_some_and(|after| after.starts_with(self.tail.as_bytes()));
            if let Some(next) = ends.get_mut(end + self.tail.len()).filter(|_| is_end) {
                *next = first;
            }
        }
        ends
    }
}

/// The decoded value, unless it would lead out of where it stands.
fn value(raw: &str, spans_segments: bool) -> Option<String> {
    let decoded = decode(raw)?;
    let has_no_way_up = decoded.split(['/', '\\']).all(|segment| !matches!(segment, "." | ".."));
    let stays = spans_segments || !decoded.contains(['/', '\\']);
    (has_no_way_up && stays && !decoded.contains('\0')).then_some(decoded)
}

/// RFC 3986 2.1: percent-encoding; none when it is malformed or no text.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn split(text: &str) -> Result<(String, Vec<Variable>), String> {
    let mut pieces = text.split('{');
    let head = pieces.next().unwrap_or_default().to_owned();
    let mut variables: Vec<Variable> = Vec::new();
    for piece in pieces {
        let (inner, tail) = piece.split_once('}').ok_or("a { without its }")?;
        let (name, spans_segments) = inner.strip_prefix('+').map_or((inner, false), |name| (name, true));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("{{{inner}}}: only {{name}} and {{+name}} are understood"));
        }
        if variables.iter().any(|other| other.name == name) {
            return Err(format!("the variable {name} stands twice"));
        }
        if variables.last().is_some_and(|last| last.tail.is_empty()) {
            return Err(format!("nothing separates {name} from the variable before it"));
        }
        variables.push(Variable { name: name.to_owned(), spans_segments, tail: tail.to_owned() });
    }
    if head.contains('}') || variables.iter().any(|variable| variable.tail.contains('}')) {
        return Err("a } without its {".into());
    }
    match variables.len() {
        0 => Err("there is no variable in it; register a resource instead".into()),
        1..=VARIABLES_MAX => Ok((head, variables)),
        more => Err(format!("{more} variables; at most {VARIABLES_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(template: &str, uri: &str) -> Option<String> {
        let pattern = Pattern::new(template);
        assert_eq!(pattern.problem(), None, "{template}");
        let values = pattern.matches(uri)?;
        let told: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(told.join(" "))
    }

    #[test]
    fn a_uri_is_taken_apart_by_its_template() {
        for (template, uri, expect) in [
            ("a://{x}", "a://1", Some("x=1")),
            ("a://{x}", "a://", None),
            ("a://{x}", "a://1/2", None),
            ("a://{x}", "b://1", None),
            ("a://{x}/end", "a://1/end", Some("x=1")),
            ("a://{x}/end", "a://1/end/", None),
            ("a://{x}/{y}", "a://1/2", Some("x=1 y=2")),
            ("a://{+x}", "a://1/2/3", Some("x=1/2/3")),
            ("a://{+p}-{x}", "a://a-b/c-d", Some("p=a-b/c x=d")),
            ("a://{x}-{y}.txt", "a://1-2-3.txt", Some("x=1 y=2-3")),
            ("a://{x}.txt", "a://a.txt.txt", Some("x=a.txt")),
            ("a://{x}", "a://%C3%A9%20b", Some("x=\u{e9} b")),
            ("a://{x}", "a://\u{e9}", Some("x=\u{e9}")),
        ] {
            assert_eq!(matched(template, uri).as_deref(), expect, "{template} {uri}");
        }
    }

    #[test]
    fn no_value_leaves_its_place() {
        for (template, uri) in [
            ("a://{x}", "a://.."),
            ("a://{x}", "a://."),
            ("a://{x}", "a://%2e%2E"),
            ("a://{x}", "a://b%2Fc"),
            ("a://{x}", "a://b%5Cc"),
            ("a://{x}", "a://%00"),
            ("a://{x}", "a://%"),
            ("a://{x}", "a://%f"),
            ("a://{x}", "a://%zz"),
            ("a://{x}", "a://%ff"),
            ("a://{+x}", "a://b/../c"),
            ("a://{+x}", "a://b/%2e%2e/c"),
            ("a://{+x}", "a://..%5cc"),
            ("a://{+x}", "a://b/%2e"),
        ] {
            assert_eq!(matched(template, uri), None, "{template} {uri}");
        }
    }

    #[test]
    fn a_malformed_template_says_why() {
        for (template, expect) in [
            ("a://b", "no variable"),
            ("a://{", "without its }"),
            ("a://}{x}", "without its {"),
            ("a://{x}}", "without its {"),
            ("a://{}", "only {name}"),
            ("a://{x,y}", "only {name}"),
            ("a://{?q}", "only {name}"),
            ("a://{x}{y}", "nothing separates"),
            ("a://{x}/{x}", "stands twice"),
        ] {
            let problem = Pattern::new(template).problem().unwrap_or_default().to_owned();
            assert!(problem.contains(expect), "{template}: {problem}");
            assert_eq!(Pattern::new(template).matches("a://b"), None);
        }
    }

    #[test]
    fn a_hostile_uri_costs_no_more_than_its_length_times_the_template() {
        let template: String = (0..VARIABLES_MAX).map(|at| format!("{{+v{at}}}-")).collect();
        let uri = format!("{}x", "-".repeat(URI_BYTES_MAX - 1));
        // Tried one by one, these are more ways than there are atoms.
        assert_eq!(matched(&template, &uri), None);
    }
}
