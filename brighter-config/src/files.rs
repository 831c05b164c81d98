//! Reads files: those of settings, and those that hold one secret.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::raw::{Field, Node, Raw};
use super::schema::Known;
use super::settings::{Setting, Settings, path_of};
use super::value::Value;
use super::{ConfigError, Origin, Problem, Secret, nearest, toml, yaml};

/// More than any person writes into a file of settings.
const LARGEST: u64 = 1024 * 1024;
/// More than any secret has.
const LARGEST_SECRET: u64 = 64 * 1024;

/// Reads a file of settings, as TOML or YAML by its name.
pub(super) fn read(path: &Path, schema: &[Known], settings: &mut Settings) {
    let path: Arc<Path> = Arc::from(path);
    let whole = Origin::file(&path, 0);
    let kind = path.extension().and_then(|extension| extension.to_str());
    let parse = match kind {
        Some("toml") => toml::parse,
        Some("yaml" | "yml") => yaml::parse,
        _ => return settings.wrong(whole, Problem::UnknownKind),
    };
    let text = match text_of(&path, LARGEST) {
        Ok(text) => text,
        Err(reason) => return settings.wrong(whole, Problem::Unreadable { reason }),
    };
    match parse(&path, &text) {
        Ok(fields) => fields
            .iter()
            .for_each(|field| section(&path, field, schema, settings)),
        Err(errors) => settings.errors.extend::<Vec<ConfigError>>(errors),
    }
}

fn section(path: &Arc<Path>, field: &Field, schema: &[Known], settings: &mut Settings) {
    let at = |line| Origin::file(path, line);
    let Some(known) = schema.iter().find(|known| known.name == field.name) else {
        let names = schema.iter().map(|known| known.name);
        let problem = Problem::UnknownSection {
            name: field.name.clone(),
            nearest: nearest::nearest(&field.name, names.clone()),
            known: names.collect::<Vec<_>>().join(", "),
        };
        return settings.wrong(at(field.line), problem);
    };
    let Some(fields) = table(path, &path_of(known, None), &field.node, settings) else {
        return;
    };
    if !known.named {
        settings.entry(known, None, &at(field.line));
        for Field { name, line, node } in fields {
            settings.put(known, None, name, &node.raw, at(*line));
        }
        return;
    }
    let mut names: Vec<(String, usize)> = Vec::new();
    for named in fields {
        let Some(fields) = table(path, &path_of(known, Some(&named.name)), &named.node, settings) else {
            continue;
        };
        let alike = super::settings::alike(&named.name);
        if let Some((_, line)) = names.iter().find(|(other, _)| *other == alike) {
            let problem = Problem::Twice {
                key: path_of(known, Some(&named.name)),
                first: Box::new(at(*line)),
            };
            settings.wrong(at(named.line), problem);
            continue;
        }
        names.push((alike, named.line));
        settings.entry(known, Some(&named.name), &at(named.line));
        for Field { name, line, node } in fields {
            settings.put(known, Some(&named.name), name, &node.raw, at(*line));
        }
    }
}

/// The fields of what must be a table; an empty one of YAML is nothing at all.
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

/// Reads the secret of this key from the file that `raw` names.
pub(super) fn secret(key: &str, raw: &Raw, origin: &Origin) -> Result<Setting, Problem> {
    let (Raw::Plain(named) | Raw::Text(named)) = raw else {
        return Err(Problem::WrongType {
            key: format!("{key}_file"),
            expected: "the name of a file".to_owned(),
            found: raw.kind().to_owned(),
        });
    };
    // What a file names lies beside it, wherever the program was started.
    let path = match origin.folder() {
        Some(folder) => folder.join(named),
        None => PathBuf::from(named),
    };
    let text = text_of(&path, LARGEST_SECRET).and_then(|text| match text.trim() {
        "" => Err("it is empty".to_owned()),
        secret => Ok(secret.to_owned()),
    });
    match text {
        Ok(text) => Ok(Setting {
            value: Value::Secret(Secret::new(text)),
            origin: Origin::SecretFile {
                path,
                named_by: Box::new(origin.clone()),
            },
        }),
        Err(reason) => Err(Problem::NoSecret {
            key: key.to_owned(),
            path: path.display().to_string(),
            reason,
        }),
    }
}

fn text_of(path: &Path, largest: u64) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    let mut bytes = Vec::new();
    let read = file.take(largest + 1).read_to_end(&mut bytes);
    read.map_err(|error| said(&error))?;
    if bytes.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
}

/// What the system says, in words that are the same on every machine where that is possible.
fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read by this user".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
