//! [`Raw`]: a value as it is written, before its key interprets it.

use super::{ConfigError, Origin};

/// The deepest nesting of values.
pub(super) const DEEPEST: usize = 16;

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

/// Returns the line of a byte, counted from 1.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Returns a syntax error.
pub(super) fn syntax(origin: Origin, what: impl Into<String>) -> ConfigError {
    ConfigError {
        origin,
        problem: super::Problem::Syntax { what: what.into() },
    }
}
