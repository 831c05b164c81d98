//! Reads TOML. The only file that knows the crates `toml` and `toml_parser`.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::Origin;
use super::raw::{DEEPEST, Field, Lines, Node, Parsed, Raw, TOO_MUCH, syntax};

/// The largest weight of a file, by the memory that its parser takes: a table is a kilobyte, and so is each part of a
/// dotted key.
const HEAVIEST: usize = 75_000;

/// How many tokens a file may have.
const MOST_TOKENS: usize = 250_000;

/// How many tokens a file may have whose mistakes are all told: each of them may be one.
const MOST_TOLD: usize = 20_000;

pub(super) fn parse(path: &Arc<Path>, text: &str) -> Parsed {
    let lines = Lines::of(text);
    let tokens = match tokens(text) {
        Ok(tokens) => tokens,
        Err(byte) => return Err(vec![syntax(Origin::file(path, lines.at(byte)), TOO_MUCH)]),
    };
    let (table, errors) = match tokens <= MOST_TOLD {
        true => DeTable::parse_recoverable(text),
        false => match DeTable::parse(text) {
            Ok(table) => (table, Vec::new()),
            Err(first) => (Spanned::new(0..0, DeTable::new()), vec![first]),
        },
    };
    let deep = too_deep(table.get_ref()).map(|byte| lines.at(byte));
    if errors.is_empty() && deep.is_none() {
        return Ok(fields(&lines, table.into_inner()));
    }
    take_apart(table.into_inner());
    if let (Some(line), true) = (deep, errors.is_empty()) {
        return Err(vec![syntax(
            Origin::file(path, line),
            format!("a value lies more than {DEEPEST} levels deep"),
        )]);
    }
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| lines.at(span.start));
    // The error's `Display` shows the line itself, which may contain a secret.
    let told =
        |error: &toml::de::Error| syntax(Origin::file(path, at(error)), error.message().replace('\n', ", "));
    let mut errors: Vec<_> = errors.iter().map(told).collect();
    errors.dedup();
    Err(errors)
}

/// How many tokens there are, or where there is too much for the parser, which has no bounds of its own.
fn tokens(text: &str) -> Result<usize, usize> {
    let (mut tokens, mut weight) = (0, 0);
    for token in Source::new(text).lex() {
        tokens += 1;
        weight += match token.kind() {
            TokenKind::Dot | TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => 3,
            TokenKind::Equals | TokenKind::Comma => 1,
            _ => 0,
        };
        if tokens > MOST_TOKENS || weight > HEAVIEST {
            return Err(token.span().start());
        }
    }
    Ok(tokens)
}

/// Returns the line of a value that is nested too deep. Each part of a key is a level, in each table of a table, so one
/// line may have thousands of levels. So neither this function nor [`take_apart`] recurses.
fn too_deep(table: &DeTable<'_>) -> Option<usize> {
    let mut below: Vec<_> = table.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = below.pop() {
        if depth > DEEPEST {
            return Some(value.span().start);
        }
        match value.get_ref() {
            DeValue::Table(table) => below.extend(table.values().map(|value| (value, depth + 1))),
            DeValue::Array(values) => below.extend(values.iter().map(|value| (value, depth + 1))),
            _ => {}
        }
    }
    None
}

/// Drops a table level by level.
fn take_apart(table: DeTable<'_>) {
    let mut below: Vec<_> = table.into_iter().map(|(_, value)| value).collect();
    while let Some(value) = below.pop() {
        match value.into_inner() {
            DeValue::Table(table) => below.extend(table.into_iter().map(|(_, value)| value)),
            DeValue::Array(values) => below.extend(values),
            _ => {}
        }
    }
}

fn fields(lines: &Lines, table: DeTable<'_>) -> Vec<Field> {
    let mut places = Vec::new();
    for (key, value) in table {
        let start = key.span().start;
        let field = Field {
            name: key.into_inner().into_owned(),
            line: lines.at(start),
            node: Node {
                line: lines.at(value.span().start),
                raw: raw(lines, value.into_inner()),
            },
        };
        places.push((start, field));
    }
    // The map is sorted by name.
    places.sort_by_key(|(start, _)| *start);
    places.into_iter().map(|(_, field)| field).collect()
}

fn raw(lines: &Lines, value: DeValue<'_>) -> Raw {
    match value {
        DeValue::String(value) => Raw::Text(value.into_owned()),
        DeValue::Integer(value) if value.radix() == 10 => Raw::Number(value.as_str().to_owned()),
        // No number is too long for this, or the parser would have refused it.
        DeValue::Integer(value) => Raw::Number(
            i128::from_str_radix(value.as_str(), value.radix())
                .map_or_else(|_| value.to_string(), |n| n.to_string()),
        ),
        DeValue::Float(value) => Raw::Number(value.as_str().to_owned()),
        DeValue::Boolean(value) => Raw::Flag(value),
        DeValue::Datetime(_) => Raw::Date,
        DeValue::Array(values) => {
            let nodes = values.into_iter().map(|value| Node {
                line: lines.at(value.span().start),
                raw: raw(lines, value.into_inner()),
            });
            Raw::List(nodes.collect())
        }
        DeValue::Table(table) => Raw::Table(fields(lines, table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    /// Half of the default stack of a thread: the parser itself recurses for 80 levels, with large frames in a debug
    /// build.
    const SMALL_STACK: usize = 1024 * 1024;

    fn said(parse: fn(&Arc<Path>, &str) -> Parsed, text: String) -> Result<usize, String> {
        let parsing = move || {
            let path: Arc<Path> = Path::new("settings").into();
            match parse(&path, &text) {
                Ok(fields) => Ok(fields.len()),
                Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
            }
        };
        let thread = std::thread::Builder::new().stack_size(SMALL_STACK).spawn(parsing);
        thread.unwrap().join().unwrap()
    }

    #[test]
    fn deep_nesting_is_an_error_on_a_small_stack() {
        let key = |parts: usize| vec!["a"; parts].join(".");
        let fits = said(parse, format!("{} = 1", key(DEEPEST)));
        assert_eq!(fits, Ok(1));
        let error = said(parse, format!("\n{} = 1", key(DEEPEST + 1))).unwrap_err();
        assert!(error.contains("more than 16 levels deep"), "{error}");
        let tables = format!("{} = {{ ", key(70)).repeat(70) + "a = 1" + &"}".repeat(70);
        let error = said(parse, tables).unwrap_err();
        assert!(error.contains("more than 16 levels deep"), "{error}");
        for text in [
            format!("{} = 1", key(100_000)),
            format!("[{}]", key(100_000)),
            format!("a = {}", "[".repeat(100_000)),
            format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("a = {}", "{ a = ".repeat(100_000)),
        ] {
            said(parse, text).unwrap_err();
        }
        for text in [
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000) + "a",
            (0..2_000).map(|depth| " ".repeat(depth) + "a:\n").collect(),
        ] {
            said(yaml::parse, text).unwrap_err();
        }
        // An alias is nested as deep as its target.
        let aliases = (1..1_000).map(|n| format!("k{n}: &k{n} [*k{}]\n", n - 1));
        let text = "k0: &k0 [a]\n".to_owned() + &aliases.collect::<String>();
        let error = said(yaml::parse, text).unwrap_err();
        assert!(error.contains("too much in this file"), "{error}");
    }
}
