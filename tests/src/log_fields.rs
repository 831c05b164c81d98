//! [`repeated_fields`]: the fields that stand twice in a line of the log.

use std::collections::BTreeSet;

/// Returns the fields that stand more than once in a line that `tracing_subscriber::fmt` wrote: in two of its spans, in a
/// span and the event, or in the event alone.
#[must_use]
pub fn repeated_fields(line: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = fields(line).into_iter();
    names.filter(|name| !seen.insert(name.clone())).collect()
}

/// Returns the names of the fields of a line, in their order.
#[must_use]
pub fn fields(line: &str) -> Vec<String> {
    let (mut names, mut name) = (Vec::new(), String::new());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            // A text in quotes is a value, and may have anything in it.
            '"' => {
                while let Some(quoted) = characters.next() {
                    match quoted {
                        '\\' => drop(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                name.clear();
            }
            '=' if !name.is_empty() => names.push(std::mem::take(&mut name)),
            part if part.is_ascii_alphanumeric() || matches!(part, '_' | '.') => name.push(part),
            _ => name.clear(),
        }
    }
    names
}
