//! Reads YAML. Only this file uses the `saphyr-parser` crate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::raw::{DEEPEST, Field, Node, Parsed, Raw, syntax};
use super::{ConfigError, Origin};

/// The largest number of values in a file with its aliases expanded: nested aliases can multiply the values.
const MOST: usize = 10_000;

pub(super) fn parse(path: &Arc<Path>, text: &str) -> Parsed {
    let mut reader = Reader {
        path,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
    };
    reader.document().map_err(|error| vec![*error])
}

struct Reader<'a> {
    path: &'a Arc<Path>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    values: usize,
}

type Read<T> = Result<T, Box<ConfigError>>;

impl<'a> Reader<'a> {
    /// Reads the only document of a file; no fields if it is empty.
    fn document(&mut self) -> Read<Vec<Field>> {
        let mut found = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if found.is_some() => {
                    return Err(self.wrong(span, "there is a second document: keep one"));
                }
                event => found = Some(self.node(event, span, 0)?),
            }
        }
        match found {
            None => Ok(Vec::new()),
            Some(Node {
                raw: Raw::Table(fields),
                ..
            }) => Ok(fields),
            Some(Node {
                raw: Raw::Plain(text),
                ..
            }) if text.is_empty() => Ok(Vec::new()),
            Some(node) => Err(Box::new(syntax(
                Origin::file(self.path, node.line),
                format!("the file must be a table of sections, and is {}", node.raw.kind()),
            ))),
        }
    }

    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(Box::new(syntax(
                Origin::file(self.path, error.marker().line()),
                error.info().replace('\n', ", "),
            ))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Read<Node> {
        self.values += 1;
        if self.values > MOST || depth > DEEPEST {
            return Err(self.wrong(span, "there is too much in this file, or it lies too deep"));
        }
        let line = span.start.line();
        let (raw, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let text = text.into_owned();
                let raw = match style {
                    ScalarStyle::Plain => Raw::Plain(text),
                    _ => Raw::Text(text),
                };
                (raw, anchor)
            }
            Event::Alias(anchor) => {
                let aliased = self.anchors.get(&anchor).cloned();
                let Some(node) = aliased else {
                    return Err(self.wrong(span, "this alias is of nothing that stands before it"));
                };
                self.values += size(&node);
                return Ok(node);
            }
            Event::SequenceStart(anchor, _) => (Raw::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Raw::Table(self.table(depth)?), anchor),
            _ => return Err(self.wrong(span, "a value is missing here")),
        };
        let node = Node { line, raw };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Read<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, span) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn table(&mut self, depth: usize) -> Read<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let (name, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(fields),
                (Event::Scalar(name, ..), span) => (name.into_owned(), span),
                (_, span) => return Err(self.wrong(span, "a key must be text")),
            };
            let line = span.start.line();
            if name == "<<" {
                return Err(self.wrong(span, "`<<` is not known here: write the keys out"));
            }
            if let Some(first) = fields.iter().find(|field| field.name == name) {
                let what = format!("the key `{name}` is there already, in line {}", first.line);
                return Err(self.wrong(span, &what));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            fields.push(Field { name, line, node });
        }
    }

    fn wrong(&self, span: Span, what: &str) -> Box<ConfigError> {
        Box::new(syntax(Origin::file(self.path, span.start.line()), what))
    }
}

/// Returns the number of values in a node.
fn size(node: &Node) -> usize {
    match &node.raw {
        Raw::List(nodes) => 1 + nodes.iter().map(size).sum::<usize>(),
        Raw::Table(fields) => 1 + fields.iter().map(|field| size(&field.node)).sum::<usize>(),
        _ => 1,
    }
}
