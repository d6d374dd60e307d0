//! What one run over a configuration has found so far, and where each setting is written.
//! A setting that is already reported is *doubtful*: what follows from its value is not reported again.
//! Next: `shape`, the first to write into it.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Code, Problem, Problems, Source};
use super::tree::Place;

/// Places, problems, doubts.
#[derive(Debug, Default)]
pub(super) struct Report {
    sources: Vec<Source>,
    places: BTreeMap<String, Place>,
    doubtful: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Report {
    /// A report about these texts; the first is the file.
    pub(super) fn new(sources: Vec<Source>) -> Self {
        Self { sources, ..Self::default() }
    }

    /// Remembers where a setting is written.
    pub(super) fn locate(&mut self, path: &str, place: Place) {
        self.places.insert(path.to_owned(), place);
    }

    /// Where a setting is written, or else the table it would be in.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        nearest_place(&self.places, path)
    }

    /// Whether the file or a `--set` has this setting.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// What is written at a place.
    pub(super) fn text_at(&self, place: Place) -> &str {
        let text = self.sources.get(place.source).map(|source| source.text.as_str());
        text.and_then(|text| text.get(place.start..place.end)).unwrap_or_default()
    }

    /// Says that the value of a setting is not known.
    pub(super) fn doubt(&mut self, path: &str) {
        self.doubtful.insert(path.to_owned());
    }

    /// Whether a setting, or what it is part of, or a part of it, was reported.
    pub(super) fn is_doubtful(&self, path: &str) -> bool {
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.doubtful.iter().any(|doubtful| inside(doubtful, path) || inside(path, doubtful))
    }

    /// Reports a problem of a setting.
    pub(super) fn problem(&mut self, code: Code, path: &str, message: impl Into<String>) -> &mut Problem {
        let place = self.place(path).or_else(|| self.end());
        self.problem_at(code, place, message)
    }

    /// The end of the file, where what is missing could be written.
    fn end(&self) -> Option<Place> {
        let end = self.sources.first()?.text.trim_end().len();
        Some(Place { source: 0, start: end, end })
    }

    /// Reports a problem at a place.
    pub(super) fn problem_at(
        &mut self,
        code: Code,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.problems.push(Problem::new(code, place, message));
        self.problems.last_mut().expect("it was just pushed")
    }

    /// The problems in the order of the texts; those without a place come last.
    pub(super) fn into_problems(self) -> Problems {
        let mut list = self.problems;
        list.sort_by_key(|problem| (problem.place.is_none(), problem.place));
        Problems { sources: self.sources.into(), places: self.places.into(), list }
    }
}

/// The place of a setting, or else of the nearest table around it.
pub(super) fn nearest_place(places: &BTreeMap<String, Place>, path: &str) -> Option<Place> {
    let mut path = path;
    loop {
        if let Some(place) = places.get(path) {
            return Some(*place);
        }
        path = path.get(..path.rfind(['.', '['])?)?;
    }
}

/// The path of a key in a table: `limits.max_connections`; quoted where TOML would want it.
pub(super) fn child(parent: &str, key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// The path of an entry in a list: `certificates[0]`.
pub(super) fn entry(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}
