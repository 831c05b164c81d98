//! Reads configuration files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use super::names::alike;
use super::raw::{Field, Node, Raw};
use super::section::Section;
use super::settings::Settings;
use super::{ConfigError, Origin, Problem, text_file, toml, yaml};

/// More than any person writes into a file of settings, and no more than can be read in a second and in 64 MB, whatever it
/// holds.
const LARGEST: u64 = 512 * 1024;

/// The largest number of tables: more than any program has subscriptions. Each takes a kilobyte or two.
const MOST_TABLES: usize = 10_000;

/// Reads a configuration file, as TOML or YAML by its name.
pub(super) fn read(path: &Path, sections: &[Section], settings: &mut Settings) {
    let path: Arc<Path> = Arc::from(path);
    let whole = Origin::file(&path, 0);
    let kind = path.extension().and_then(|extension| extension.to_str());
    let parse = match kind {
        Some("toml") => toml::parse,
        Some("yaml" | "yml") => yaml::parse,
        _ => return settings.wrong(whole, Problem::UnknownKind),
    };
    let text = match text_file::read(&path, LARGEST) {
        Ok(text) => text,
        Err(reason) => return settings.wrong(whole, Problem::Unreadable { reason }),
    };
    match parse(&path, &text) {
        Ok(fields) => fields
            .iter()
            .for_each(|field| section(&path, field, sections, settings)),
        Err(errors) => errors
            .into_iter()
            .for_each(|ConfigError { origin, problem }| settings.wrong(origin, problem)),
    }
}

fn section(path: &Arc<Path>, field: &Field, sections: &[Section], settings: &mut Settings) {
    let at = |line| Origin::file(path, line);
    let Some(known) = sections.iter().find(|known| known.name() == field.name) else {
        return settings.unknown_section(at(field.line), &field.name, sections);
    };
    let Some(fields) = table(path, &known.path(None), &field.node, settings) else {
        return;
    };
    if !known.is_named() {
        settings.entry(known, None, &at(field.line));
        for Field { name, line, node } in fields {
            settings.put(known, None, name, &node.raw, at(*line));
        }
        return;
    }
    if fields.len() > MOST_TABLES {
        let what = format!("`{}` has more than {MOST_TABLES} tables", known.path(None));
        return settings.wrong(at(field.line), Problem::Syntax { what });
    }
    let mut names = HashMap::new();
    for named in fields {
        let Some(fields) = table(path, &known.path(Some(&named.name)), &named.node, settings) else {
            continue;
        };
        match names.entry(alike(&named.name)) {
            Entry::Vacant(name) => name.insert(named.line),
            Entry::Occupied(first) => {
                let problem = Problem::Twice {
                    key: known.path(Some(&named.name)),
                    first: Box::new(at(*first.get())),
                };
                settings.wrong(at(named.line), problem);
                continue;
            }
        };
        settings.entry(known, Some(&named.name), &at(named.line));
        for Field { name, line, node } in fields {
            settings.put(known, Some(&named.name), name, &node.raw, at(*line));
        }
    }
}

/// Returns the fields of a table. An empty table of YAML counts as absent.
fn table<'a>(path: &Arc<Path>, name: &str, node: &'a Node, settings: &mut Settings) -> Option<&'a [Field]> {
    match &node.raw {
        Raw::Table(fields) => Some(fields),
        Raw::Plain(text) if text.is_empty() => Some(&[]),
        other => {
            let problem = Problem::WrongType {
                key: name.to_owned(),
                expected: "a table".to_owned(),
                found: other.kind().to_owned(),
            };
            settings.wrong(Origin::file(path, node.line), problem);
            None
        }
    }
}
