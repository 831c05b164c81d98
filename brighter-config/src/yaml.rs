//! Reads YAML. Only this file uses the `saphyr-parser` crate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::raw::{DEEPEST, Field, Lines, Node, Parsed, Raw, TOO_MUCH, syntax};
use super::secret::quoted;
use super::{ConfigError, Origin};

/// How many values a file may have.
const MOST: usize = 50_000;

/// How much of it may be copies, by aliases and for them: an alias of aliases of aliases is many more than it looks.
const MOST_COPIED: Size = Size {
    values: 10_000,
    bytes: 1024 * 1024,
};

/// How many characters a file may have that begin or part values: the parser may read all of them ahead.
const MOST_INDICATORS: usize = 100_000;

pub(super) fn parse(path: &Arc<Path>, text: &str) -> Parsed {
    let is_indicator = |byte: u8| b",[]{}:-?!&*|>'\"%".contains(&byte);
    let mut indicators = text.bytes().enumerate().filter(|(_, byte)| is_indicator(*byte));
    if let Some((byte, _)) = indicators.nth(MOST_INDICATORS) {
        let line = Lines::of(text).at(byte);
        return Err(vec![syntax(Origin::file(path, line), TOO_MUCH)]);
    }
    let mut reader = Reader {
        path,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
        copies: Size::default(),
    };
    reader.document().map_err(|error| vec![*error])
}

struct Reader<'a> {
    path: &'a Arc<Path>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, Size)>,
    values: usize,
    /// The size of the values that aliases copied.
    copies: Size,
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
            return Err(self.wrong(span, TOO_MUCH));
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
                let Some((_, size)) = self.anchors.get(&anchor) else {
                    return Err(self.wrong(span, "this alias is of nothing that stands before it"));
                };
                self.copied(*size, span)?;
                return Ok(self.anchors[&anchor].0.clone());
            }
            Event::SequenceStart(anchor, _) => (Raw::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Raw::Table(self.table(depth)?), anchor),
            _ => return Err(self.wrong(span, "a value is missing here")),
        };
        let node = Node { line, raw };
        if anchor != 0 {
            let size = Size::of(&node);
            self.copied(size, span)?;
            self.anchors.insert(anchor, (node.clone(), size));
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
        let mut fields = Vec::new();
        let mut lines = HashMap::new();
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
            if let Some(first) = lines.insert(name.clone(), line) {
                let what = format!("the key {} is there already, in line {first}", quoted(&name));
                return Err(self.wrong(span, &what));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            fields.push(Field { name, line, node });
        }
    }

    /// Notes a copy of a value that is still to be made, unless there are too many.
    fn copied(&mut self, size: Size, span: Span) -> Read<()> {
        self.copies.add(size);
        match self.copies.exceeds(MOST_COPIED) {
            true => Err(self.wrong(span, TOO_MUCH)),
            false => Ok(()),
        }
    }

    fn wrong(&self, span: Span, what: &str) -> Box<ConfigError> {
        Box::new(syntax(Origin::file(self.path, span.start.line()), what))
    }
}

/// How much a value is, with all that lies in it.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    values: usize,
    bytes: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let mut size = Self { values: 1, bytes: 0 };
        match &node.raw {
            Raw::List(nodes) => nodes.iter().for_each(|node| size.add(Self::of(node))),
            Raw::Table(fields) => fields.iter().for_each(|field| {
                size.add(Self::of(&field.node));
                size.bytes += field.name.len();
            }),
            Raw::Plain(text) | Raw::Text(text) | Raw::Number(text) => size.bytes = text.len(),
            Raw::Flag(_) | Raw::Date => {}
        }
        size
    }

    fn add(&mut self, other: Self) {
        self.values += other.values;
        self.bytes += other.bytes;
    }

    fn exceeds(self, most: Self) -> bool {
        self.values > most.values || self.bytes > most.bytes
    }
}
