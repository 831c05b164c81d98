//! [`Raw`]: a value as it is written, before its key interprets it.

use super::{ConfigError, Origin};

/// The deepest nesting of values.
pub(super) const DEEPEST: usize = 16;

/// The reason for refusing a file beyond the bounds that keep memory and time small. Nobody writes one by hand.
pub(super) const TOO_MUCH: &str = "there is too much in this file, or it lies too deep";

/// A value with the line on which it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) raw: Raw,
}

/// A value as it is written.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    /// A text of any type, which the key decides. All plain scalars of YAML, and all values that do not come from a
    /// file, are plain.
    Plain(String),
    /// A text, and no other type.
    Text(String),
    /// A number, and no other type.
    Number(String),
    /// A boolean.
    Flag(bool),
    /// A date, which no key accepts.
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
    /// Returns the type of the value, for an error about it.
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

/// The fields of a file, or its mistakes.
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

/// Returns a syntax error.
pub(super) fn syntax(origin: Origin, what: impl Into<String>) -> ConfigError {
    ConfigError {
        origin,
        problem: super::Problem::Syntax { what: what.into() },
    }
}
