//! Reads environment variables.

use std::ffi::OsString;
use std::sync::Arc;

use super::key::Key;
use super::names::alike;
use super::nearest::nearest_spelling;
use super::raw::Raw;
use super::section::Section;
use super::service_links::ServiceLinks;
use super::settings::Settings;
use super::{Origin, Problem};

/// The prefix of all variables.
const PREFIX: &str = "BRIGHTER_";
/// The variable with the path of the file.
pub(super) const CONFIG: &str = "BRIGHTER_CONFIG";

/// Variables that are no settings: of brighter's own tests.
const OTHERS: &[&str] = &[
    "BRIGHTER_TEST_",
    "BRIGHTER_FAULTS",
    "BRIGHTER_SEED",
    "BRIGHTER_SOAK",
    "BRIGHTER_MACROS_DEBUG",
];

/// The setting of a variable.
struct Target<'a> {
    section: &'a Section,
    name: Option<String>,
    key: String,
}

/// Returns the name of the variable of a setting.
pub(crate) fn variable(section: &str, name: Option<&str>, key: &str) -> String {
    let name = name.map(|name| format!("{}_", alike(name))).unwrap_or_default();
    format!("{PREFIX}{}_{name}{}", alike(section), alike(key))
}

pub(super) fn read(variables: &[(OsString, OsString)], sections: &[Section], settings: &mut Settings) {
    let mut named = Vec::new();
    for (variable, value) in variables {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let is_other = |other: &&str| match other.ends_with('_') || **other == *"BRIGHTER_FAULTS" {
            true => variable.starts_with(*other),
            false => *variable == **other,
        };
        if variable != CONFIG && !OTHERS.iter().any(is_other) {
            named.push((variable, value));
        }
    }
    // The environment has no order.
    named.sort_unstable();
    let texts = named
        .iter()
        .filter_map(|(variable, value)| Some((*variable, value.to_str()?)));
    let links = ServiceLinks::new(texts);
    let mut linked = Vec::new();
    for (variable, value) in &named {
        let target = target(variable, sections);
        if links.include(variable, target.is_some()) {
            linked.push(*variable);
            continue;
        }
        let name = Arc::from(*variable);
        let origin = Origin::Variable { name };
        let Some(target) = target else {
            if settings.has_room_for_errors() {
                let known = guesses(variable, sections, settings);
                let known = known
                    .iter()
                    .map(|(spelling, known)| (spelling.as_str(), known.as_str()));
                let nearest = nearest_spelling(variable, known);
                settings.wrong(origin, Problem::UnknownVariable { nearest });
            } else {
                settings.wrong(origin, Problem::UnknownVariable { nearest: None });
            }
            continue;
        };
        let Some(text) = value.to_str() else {
            let reason = "the value is no text in UTF-8".to_owned();
            settings.wrong(origin, Problem::Unreadable { reason });
            continue;
        };
        // A file may have the table under a name that its variable cannot spell.
        let known = target.name.as_deref().and_then(|name| {
            let key = (target.section.name(), alike(name));
            settings.entries.get(&key).map(|entry| entry.name.clone())
        });
        let name = known.or(target.name);
        settings.put(
            target.section,
            name.as_deref(),
            &target.key,
            &Raw::Plain(text.to_owned()),
            origin,
        );
    }
    if !linked.is_empty() {
        tracing::debug!(variables = ?linked, "links of Kubernetes or Docker to other services are no settings");
    }
}

/// Returns the possible endings of a variable of this section, with their keys.
fn endings(section: &Section) -> impl Iterator<Item = (String, String)> {
    section.keys().iter().flat_map(|key: &Key| {
        let file = key.is_secret().then(|| format!("{}_file", key.name));
        let keys = std::iter::once(key.name.to_string()).chain(file);
        keys.map(|key| (alike(&key), key))
    })
}

fn target<'a>(variable: &str, sections: &'a [Section]) -> Option<Target<'a>> {
    let rest = variable.strip_prefix(PREFIX)?;
    let of = |section: &'a Section| {
        let rest = rest.strip_prefix(&alike(section.name()))?.strip_prefix('_')?;
        let found = endings(section).filter_map(|(ending, key)| {
            let before = rest.strip_suffix(&ending)?;
            let name = match section.is_named() {
                // A table name stands between section and key.
                true => Some(
                    before
                        .strip_suffix('_')
                        .filter(|name| !name.is_empty())?
                        .to_ascii_lowercase(),
                ),
                false if before.is_empty() => None,
                false => return None,
            };
            Some((ending.len(), Target { section, name, key }))
        });
        // The longer of two matching keys is meant, such as `LENGTH_LIMIT` and `LIMIT`.
        found.max_by_key(|(length, _)| *length).map(|(_, target)| target)
    };
    sections.iter().find_map(of)
}

/// The variables that somebody may have meant, each with the one that it stands for: every key under each of its names, of
/// the tables that the variable names.
fn guesses(variable: &str, sections: &[Section], settings: &Settings) -> Vec<(String, String)> {
    let mut guesses = Vec::new();
    for section in sections {
        let names: Vec<Option<String>> = match section.is_named() {
            false => vec![None],
            true => {
                let known = settings.entries.keys();
                let known = known.filter(|(of, name)| *of == section.name() && variable.contains(name));
                let mut names: Vec<_> = known.map(|(_, name)| Some(name.clone())).collect();
                names.extend(name_in(variable, section).map(Some));
                names
            }
        };
        for name in names {
            let of = |key: &str| self::variable(section.name(), name.as_deref(), key);
            guesses.extend(endings(section).map(|(_, key)| (of(&key), of(&key))));
            let spellings = section.keys().iter().flat_map(Key::spellings);
            guesses.extend(spellings.map(|(spelling, key)| (of(spelling), of(key))));
        }
    }
    guesses
}

/// Returns the possible table name in a variable with an unknown key: all except its last word.
fn name_in(variable: &str, section: &Section) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    let rest = rest.strip_prefix(&alike(section.name()))?.strip_prefix('_')?;
    rest.rsplit_once('_').map(|(name, _)| name.to_owned())
}
