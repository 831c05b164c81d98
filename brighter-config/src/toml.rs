//! Reads TOML. The only file that knows the `toml` crate.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::Origin;
use super::raw::{Field, Node, Parsed, Raw, line_of, syntax};

pub(super) fn parse(path: &Arc<Path>, text: &str) -> Parsed {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(fields(text, table.into_inner()));
    }
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| line_of(text, span.start));
    // Its `Display` shows the line itself, with whatever secret stands there.
    let told =
        |error: &toml::de::Error| syntax(Origin::file(path, at(error)), error.message().replace('\n', ", "));
    let mut errors: Vec<_> = errors.iter().map(told).collect();
    errors.dedup();
    Err(errors)
}

fn fields(text: &str, table: DeTable<'_>) -> Vec<Field> {
    let mut places = Vec::new();
    for (key, value) in table {
        let start = key.span().start;
        let field = Field {
            name: key.into_inner().into_owned(),
            line: line_of(text, start),
            node: Node {
                line: line_of(text, value.span().start),
                raw: raw(text, value.into_inner()),
            },
        };
        places.push((start, field));
    }
    // The map is in the order of the names.
    places.sort_by_key(|(start, _)| *start);
    places.into_iter().map(|(_, field)| field).collect()
}

fn raw(text: &str, value: DeValue<'_>) -> Raw {
    match value {
        DeValue::String(value) => Raw::Text(value.into_owned()),
        DeValue::Integer(value) if value.radix() == 10 => Raw::Number(value.as_str().to_owned()),
        // None is too long for this, or the parser would have said so.
        DeValue::Integer(value) => Raw::Number(
            i128::from_str_radix(value.as_str(), value.radix())
                .map_or_else(|_| value.to_string(), |n| n.to_string()),
        ),
        DeValue::Float(value) => Raw::Number(value.as_str().to_owned()),
        DeValue::Boolean(value) => Raw::Flag(value),
        DeValue::Datetime(_) => Raw::Date,
        DeValue::Array(values) => {
            let nodes = values.into_iter().map(|value| Node {
                line: line_of(text, value.span().start),
                raw: raw(text, value.into_inner()),
            });
            Raw::List(nodes.collect())
        }
        DeValue::Table(table) => Raw::Table(fields(text, table)),
    }
}
