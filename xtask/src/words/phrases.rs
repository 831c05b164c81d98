//! Phrases that do not come back, each with what to write instead.

use super::text::Running;
use super::{Finding, Source};

/// A phrase in lower case, and its advice.
const PHRASES: &[(&str, &str)] = &[
    ("as above", "name the thing again"),
    ("came about", "name what failed"),
    ("come about", "name what fails"),
    ("for ever", "write \"forever\", or say what does not end it"),
    ("how-manieth", "write \"its number, counted from 1\""),
    ("is no good", "write \"is invalid\", and why"),
    ("longer than nothing", "write \"greater than zero\""),
    ("of which", "begin a new sentence"),
    ("such a one", "name the thing"),
    ("the like", "name the things"),
    ("whoever", "write \"a caller that …\""),
    ("whosoever", "write \"a caller that …\""),
];

/// The beginnings of the paths of files that list them: the lint, and the page that shows texts before and after.
const LISTS: &[&str] = &["docs/lab/words.md", "xtask/src/words/"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if LISTS.iter().any(|list| source.path.starts_with(list)) {
        return Vec::new();
    }
    let running = Running::of(&source.text);
    let found = PHRASES.iter().flat_map(|(phrase, advice)| {
        let lines = running.lines_of(phrase);
        lines.map(move |line| (line, format!("`{phrase}`: {advice}")))
    });
    found
        .map(|(line, what)| Finding {
            file: source.path.clone(),
            line,
            what,
        })
        .collect()
}
