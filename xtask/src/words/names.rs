//! A type name is used once in the published crates.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use syn::{Attribute, Ident, Item};

use super::{Finding, Source};

/// Names of private types that mean the same in every module: its state, what it shares, and a transport's end of one
/// delivery.
const EXCEPTIONS: &[&str] = &["Inner", "Receipt", "Shared", "State"];

/// Returns how many type names stand for more than one type beside the exceptions, and for how many types each exception
/// stands.
pub(super) fn repeated(sources: &[Source]) -> Result<(usize, Vec<(String, usize)>)> {
    let (mut others, mut exceptions) = (0, Vec::new());
    for (name, places) in places(sources)? {
        match EXCEPTIONS.contains(&name.as_str()) {
            true => exceptions.push((name, places.len())),
            false => others += usize::from(!is_one(&places)),
        }
    }
    Ok((others, exceptions))
}

/// Finds the type names that stand for more than one type.
pub(super) fn check(sources: &[Source]) -> Result<Vec<Finding>> {
    let mut places = places(sources)?;
    places.retain(|name, places| !EXCEPTIONS.contains(&name.as_str()) && !is_one(places));
    let mut findings = Vec::new();
    for (name, places) in &places {
        for (at, (file, line)) in places.iter().enumerate() {
            let others = places.iter().enumerate().filter(|(other, _)| *other != at);
            let others: Vec<_> = others.map(|(_, (file, line))| format!("{file}:{line}")).collect();
            findings.push(Finding {
                file: (*file).to_owned(),
                line: *line,
                what: format!(
                    "the type name `{name}` is used more than once: {}",
                    others.join(", ")
                ),
            });
        }
    }
    Ok(findings)
}

/// Returns the files and lines in which each type name is defined.
fn places(sources: &[Source]) -> Result<BTreeMap<String, Vec<(&str, usize)>>> {
    let mut places: BTreeMap<String, Vec<(&str, usize)>> = BTreeMap::new();
    for source in sources {
        if source.is_rust() && source.is_published() {
            for name in types(&source.parsed()?.items) {
                let line = name.span().start().line;
                places
                    .entry(name.to_string())
                    .or_default()
                    .push((&source.path, line));
            }
        }
    }
    Ok(places)
}

/// Returns whether it is one type: a `cfg` chooses between two in a file, or a feature between two files beside each
/// other, `on.rs` and `off.rs`.
fn is_one(places: &[(&str, usize)]) -> bool {
    let switched = |file: &str| {
        let file = Path::new(file);
        let is_switched = file
            .file_name()
            .is_some_and(|name| name == "on.rs" || name == "off.rs");
        is_switched
            .then(|| file.parent().map(Path::to_path_buf))
            .flatten()
    };
    match places {
        [_] => true,
        [(one, _), (other, _)] => one == other || switched(one).is_some() && switched(one) == switched(other),
        _ => false,
    }
}

/// Returns the types of a module and of the modules in it, without those of tests.
fn types(items: &[Item]) -> Vec<&Ident> {
    let mut found = Vec::new();
    for item in items {
        match item {
            Item::Struct(item) => found.push(&item.ident),
            Item::Enum(item) => found.push(&item.ident),
            Item::Union(item) => found.push(&item.ident),
            Item::Trait(item) => found.push(&item.ident),
            Item::Type(item) => found.push(&item.ident),
            Item::Mod(module) if !is_test(&module.attrs) => {
                let items = module.content.as_ref();
                found.extend(items.into_iter().flat_map(|(_, items)| types(items)));
            }
            _ => {}
        }
    }
    found
}

fn is_test(attributes: &[Attribute]) -> bool {
    let mut of_cfg = attributes.iter().filter(|one| one.path().is_ident("cfg"));
    of_cfg.any(|one| one.parse_args::<Ident>().is_ok_and(|only| only == "test"))
}
