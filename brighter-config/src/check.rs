//! Checks rules between several settings.

use super::key::{Key, KeyRule};
use super::section::Section;
use super::settings::Settings;
use super::table::Table;
use super::{ConfigError, Origin, Problem};

/// Checks the rules between settings, in tables whose single values are valid.
pub(super) fn check(sections: &[Section], settings: &mut Settings) {
    let mut errors = Vec::new();
    for section in sections {
        let mut is_there = false;
        for table in settings.tables(section) {
            is_there = true;
            if !table.entry.is_broken {
                errors.extend(table_of(table));
            }
        }
        if !section.is_named() && !is_there {
            errors.extend(absent(section));
        }
    }
    for ConfigError { origin, problem } in errors {
        settings.wrong(origin, problem);
    }
}

/// Returns the required keys of a section that has no settings.
fn absent(section: &Section) -> impl Iterator<Item = ConfigError> {
    section.keys().iter().filter_map(|key| {
        let hint = key.rules.iter().find_map(hint)?;
        let path = format!("{}.{}", section.name(), key.name);
        Some(missing(Origin::Default, path, hint.to_owned()))
    })
}

fn hint(rule: &KeyRule) -> Option<&'static str> {
    match rule {
        KeyRule::Required { hint } => Some(hint),
        KeyRule::Needs { .. } | KeyRule::Excludes { .. } => None,
    }
}

fn table_of(table: Table<'_>) -> Vec<ConfigError> {
    let type_name = table.type_name();
    let types = table.section.types().map(|(key, _)| key);
    if let (Some(key), None) = (types, type_name) {
        // Without its type, the allowed keys of the table are unknown.
        let missing = key.rules.iter().filter_map(|rule| broken(table, key, rule));
        return missing.collect();
    }
    let keys = table.section.keys();
    let mut errors = Vec::new();
    if let (Some(types), Some(type_name)) = (types, type_name) {
        let of_others = keys
            .iter()
            .filter(|key| table.has(key.name) && !key.is_of(Some(type_name)));
        errors.extend(of_others.map(|key| of_another_type(table, key, types, type_name)));
    }
    for key in keys.iter().filter(|key| key.is_of(type_name)) {
        errors.extend(key.rules.iter().filter_map(|rule| broken(table, key, rule)));
    }
    errors
}

fn of_another_type(table: Table<'_>, key: &Key, types: &Key, type_name: &str) -> ConfigError {
    let its = table.section.keys().iter();
    let its = its.filter(|key| key.only.contains(&type_name));
    ConfigError {
        origin: table.origin_of(key.name).clone(),
        problem: Problem::Contradiction {
            key: table.path_of(key.name),
            other: format!("{} = \"{type_name}\"", types.name),
            reason: format!(
                "it has {}",
                its.map(|key| key.name).collect::<Vec<_>>().join(", ")
            ),
        },
    }
}

/// Returns the error, if the table breaks this rule of the key.
fn broken(table: Table<'_>, key: &Key, rule: &KeyRule) -> Option<ConfigError> {
    match *rule {
        KeyRule::Required { hint } => {
            let is_there = match key.names_of_types {
                Some(_) => table.type_name().is_some(),
                None => table.has(key.name),
            };
            let path = table.path_of(key.name);
            (!is_there).then(|| missing(table.origin().clone(), path, hint.to_owned()))
        }
        KeyRule::Needs { other, reason } => (table.says(key.name) && !table.has(other)).then(|| {
            let what = format!("`{}` is there, and {reason}", key.name);
            missing(table.origin_of(key.name).clone(), table.path_of(other), what)
        }),
        KeyRule::Excludes { other, word, reason } => {
            let stands_against = match word {
                Some(word) => table.text(other) == Some(word),
                None => table.says(other),
            };
            (table.says(key.name) && stands_against).then(|| ConfigError {
                origin: table.origin_of(key.name).clone(),
                problem: Problem::Contradiction {
                    key: table.path_of(key.name),
                    other: other.to_owned(),
                    reason: reason.to_owned(),
                },
            })
        }
    }
}

fn missing(origin: Origin, key: String, what: String) -> ConfigError {
    ConfigError {
        origin,
        problem: Problem::Missing { key, what },
    }
}
