//! Problems as people and programs read them: frames with a caret, or JSON.
//! Next: nothing; this is the end of the line.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::json;

use super::problem::{Colour, Problem, Problems, Severity, Source};
use super::tree::Place;

/// All frames, each followed by an empty line.
pub(super) fn text(problems: &Problems, colour: Colour) -> String {
    let renderer = match colour {
        Colour::Styled => Renderer::styled(),
        Colour::Plain => Renderer::plain(),
    };
    let mut text = String::new();
    for problem in problems.iter() {
        text.push_str(&renderer.render(&[frame(problem, &problems.sources)]));
        text.push_str("\n\n");
    }
    text
}

/// One frame.
fn frame<'a>(problem: &'a Problem, sources: &'a [Source]) -> Group<'a> {
    let level = match problem.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.message.as_str()).id(problem.code);
    let mut group = match located(problem, sources) {
        Some((source, place)) => {
            let label = (!problem.label.is_empty()).then_some(problem.label.as_str());
            let caret = AnnotationKind::Primary.span(place.start..place.end).label(label);
            let text = Snippet::source(source.text.as_str());
            title.element(text.path(source.name.as_str()).annotation(caret))
        }
        None => match sources.first() {
            Some(source) => title.element(Origin::path(source.name.as_str())),
            None => Group::with_title(title),
        },
    };
    for note in &problem.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    for help in &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// An array of objects; `line` and `column` are null where a problem has no place.
pub(super) fn json(problems: &Problems) -> serde_json::Value {
    let object = |problem: &Problem| {
        let at = located(problem, &problems.sources);
        let position = at.map(|(source, place)| position(&source.text, place.start));
        json!({
            "code": problem.code,
            "severity": match problem.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": problem.message,
            "file": at.map(|(source, _)| source).or(problems.sources.first()).map(|source| &source.name),
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "help": problem.help,
        })
    };
    problems.iter().map(object).collect()
}

/// The text a problem points into, and its place with bounds that lie in that text.
fn located<'a>(problem: &Problem, sources: &'a [Source]) -> Option<(&'a Source, Place)> {
    let place = problem.place?;
    let source = sources.get(place.source)?;
    let end = place.end.min(source.text.len());
    Some((source, Place { start: place.start.min(end), end, ..place }))
}

/// Line and column of a byte, both counted from 1, columns in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
