//! Where things stand in a file: each field's line and column, fields that are there twice, and plain words that
//! kubectl takes for booleans (YAML 1.1) and nobody else does.

use crate::finding::Place;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;

/// One document.
#[derive(Debug, Default)]
pub(super) struct Document {
    places: BTreeMap<String, Place>,
    /// Fields that are there twice, each at its second place.
    pub twice: Vec<(String, Place)>,
    /// Plain words that YAML 1.1 takes for booleans, by their JSON pointers and paths.
    pub words: Vec<Word>,
}

/// A plain word.
#[derive(Debug)]
pub(super) struct Word {
    /// As in `spec.enablePDB`.
    pub path: String,
    /// As in `/spec/enablePDB`.
    pub pointer: String,
    /// What YAML 1.1 makes of it.
    pub means: bool,
}

impl Document {
    /// Where a field stands, or what it is in.
    pub fn find(&self, path: &str) -> Option<Place> {
        let path = path
            .strip_prefix("annotation:")
            .map_or_else(|| path.to_owned(), |name| format!("metadata.annotations.{name}"));
        let mut path = path.as_str();
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}

/// What the next event is for.
enum Frame {
    /// A mapping at this path; the key that waits for its value.
    Mapping(Step, Option<Step>),
    /// A list at this path; how many items it had.
    List(Step, usize),
}

#[derive(Clone, Default)]
struct Step {
    path: String,
    pointer: String,
}

impl Step {
    fn key(&self, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Self { path: format!("{}{dot}{key}", self.path), pointer: format!("{}/{escaped}", self.pointer) }
    }

    fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), pointer: format!("{}/{index}", self.pointer) }
    }
}

/// The documents of a text, as far as they can be read.
pub(super) fn documents(text: &str) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    for read in Parser::new_from_str(text) {
        let Ok((event, span)) = read else { break };
        if let Event::DocumentStart(_) = event {
            documents.push(Document::default());
            frames.clear();
        } else if let Some(document) = documents.last_mut() {
            take(document, &mut frames, &event, span);
        }
    }
    documents
}

fn take(document: &mut Document, frames: &mut Vec<Frame>, event: &Event<'_>, span: Span) {
    match event {
        Event::MappingEnd | Event::SequenceEnd => {
            frames.pop();
        }
        Event::Scalar(text, style, ..) => {
            if let Some(Frame::Mapping(at, key @ None)) = frames.last_mut() {
                let step = at.key(text);
                let place = place(span);
                if document.places.insert(step.path.clone(), place).is_some() {
                    document.twice.push((step.path.clone(), place));
                }
                *key = Some(step);
            } else {
                let step = value(document, frames, span);
                if let (ScalarStyle::Plain, Some(means)) = (style, boolean(text)) {
                    document.words.push(Word { path: step.path, pointer: step.pointer, means });
                }
            }
        }
        Event::MappingStart(..) => {
            let step = value(document, frames, span);
            frames.push(Frame::Mapping(step, None));
        }
        Event::SequenceStart(..) => {
            let step = value(document, frames, span);
            frames.push(Frame::List(step, 0));
        }
        Event::Alias(_) => {
            value(document, frames, span);
        }
        _ => {}
    }
}

/// The path of a value that begins; its key, or its place in a list, is used up.
fn value(document: &mut Document, frames: &mut [Frame], span: Span) -> Step {
    match frames.last_mut() {
        Some(Frame::Mapping(_, key)) => key.take().unwrap_or_default(),
        Some(Frame::List(at, count)) => {
            let step = at.item(*count);
            *count = count.saturating_add(1);
            document.places.entry(step.path.clone()).or_insert_with(|| place(span));
            step
        }
        None => Step::default(),
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line(), column: span.start.col().saturating_add(1) }
}

/// The words that YAML 1.1 has beside `true` and `false`, which everybody knows.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a: 1\nb:\n  - c: on\n    d: \"on\"\n  - e\n---\nmetadata:\n  annotations:\n    x.y/z: 1\na: 1\na: 2\n";

    #[test]
    fn each_field_has_its_line_and_column() {
        let all = documents(TEXT);
        let at = |document: usize, path: &str| {
            let place = all[document].find(path).unwrap();
            (place.line, place.column)
        };
        assert_eq!(at(0, "a"), (1, 1));
        assert_eq!(at(0, "b[0].d"), (4, 5));
        assert_eq!(at(0, "b[1]"), (5, 5));
        assert_eq!(at(1, "annotation:x.y/z"), (9, 5));
        assert_eq!(at(0, "b[0].d.not.there"), (4, 5), "what it would be in");
        assert!(all[0].find("z").is_none());
    }

    #[test]
    fn what_is_there_twice_and_what_kubectl_takes_for_a_boolean_is_noted() {
        let all = documents(TEXT);
        assert_eq!(all[1].twice, [("a".to_owned(), Place { line: 11, column: 1 })]);
        let words: Vec<_> = all[0].words.iter().map(|word| (word.pointer.as_str(), word.means)).collect();
        assert_eq!(words, [("/b/0/c", true)]);
    }

    #[test]
    fn what_is_no_yaml_has_the_places_before_it() {
        assert!(documents("a: 1\nb: [")[0].find("a").is_some());
        assert!(documents("").is_empty());
    }
}
