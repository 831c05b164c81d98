//! [`Raw`]: what stands in a file, before anybody knows what it means.

use super::{ConfigError, Origin};

/// How deep values may lie in each other.
pub(super) const DEEPEST: usize = 16;

/// What is said of a file beyond the bounds that keep memory and time small: nobody writes one by hand.
pub(super) const TOO_MUCH: &str = "there is too much in this file, or it lies too deep";

/// A value with the line on which it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) raw: Raw,
}

/// A value as it was written.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    /// Text that may be anything: what it is says the key. All of YAML's plain scalars, and all that comes from
    /// elsewhere than a file.
    Plain(String),
    /// Text, and nothing else.
    Text(String),
    /// A number, and nothing else.
    Number(String),
    /// Yes or no.
    Flag(bool),
    /// A date, which no key is.
    Date,
    List(Vec<Node>),
    Table(Vec<Field>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Raw {
    /// What it is, for who expected something else.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Plain(_) | Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The fields of a file, or what is wrong with it.
pub(super) type Parsed = Result<Vec<Field>, Vec<ConfigError>>;

/// Where the lines of a text begin.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(ends.map(|(end, _)| end).collect())
    }

    /// Which line a byte is on, counted from 1.
    pub(super) fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|end| *end < byte) + 1
    }
}

/// What the file is told to be wrong about.
pub(super) fn syntax(origin: Origin, what: impl Into<String>) -> ConfigError {
    ConfigError {
        origin,
        problem: super::Problem::Syntax { what: what.into() },
    }
}
