//! The name of a test says scenario and expectation in at most ten words.

use anyhow::Result;
use syn::{Attribute, Ident, ImplItem, Item};

use super::{Finding, Source};

const MOST_WORDS: usize = 10;

/// Beginnings that name a role in a story in place of the thing.
const BEGINNINGS: &[&str] = &["what_", "who_", "whoever_"];

/// Finds names that are longer, or begin so.
pub(super) fn check(source: &Source) -> Result<Vec<Finding>> {
    let file = source.parsed()?;
    let mut names = Vec::new();
    collect(&file.items, &mut names);
    let findings = names.into_iter().filter_map(|name| {
        let text = name.to_string();
        let words = text.split('_').filter(|word| !word.is_empty()).count();
        let what = if words > MOST_WORDS {
            format!("the test name `{text}` has {words} words: use at most {MOST_WORDS}")
        } else if let Some(beginning) = BEGINNINGS.iter().find(|beginning| text.starts_with(**beginning)) {
            format!("the test name `{text}` begins with `{beginning}`: name the thing")
        } else {
            return None;
        };
        Some(source.finding(name.span().start().line, what))
    });
    Ok(findings.collect())
}

fn collect<'i>(items: &'i [Item], names: &mut Vec<&'i Ident>) {
    for item in items {
        match item {
            Item::Fn(function) if is_test(&function.attrs) => names.push(&function.sig.ident),
            Item::Mod(module) => {
                let items = module.content.as_ref();
                items.into_iter().for_each(|(_, items)| collect(items, names));
            }
            Item::Impl(item) => names.extend(item.items.iter().filter_map(|item| match item {
                ImplItem::Fn(function) if is_test(&function.attrs) => Some(&function.sig.ident),
                _ => None,
            })),
            _ => {}
        }
    }
}

/// Returns whether an attribute is `#[test]`, of any runtime.
fn is_test(attributes: &[Attribute]) -> bool {
    let mut paths = attributes.iter().map(Attribute::path);
    paths.any(|path| path.segments.last().is_some_and(|last| last.ident == "test"))
}
