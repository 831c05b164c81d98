//! Shows a configuration: every setting, its value, and where that comes from.

use std::fmt;

use super::key::Kind;
use super::schema::{Known, POLICIES};
use super::settings::Entry;
use super::{Config, Origin, check};

/// Where the origins begin, if the values leave room.
const COLUMN: usize = 44;

/// As a TOML file, with the origin of each value beside it and secrets masked. What is a comment has no value unless
/// the program gives one.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for known in self.schema() {
            if known.named {
                for entry in self.entries_of(known.name) {
                    let title = format!("{}.{}", known.name, quoted(&entry.name));
                    table(f, &title, known, Some(entry), &mut is_first)?;
                }
            } else {
                table(f, known.name, known, self.entry(known.name), &mut is_first)?;
            }
        }
        Ok(())
    }
}

impl Config {
    /// Every setting that there is, those of the application's own sections too, as tables of Markdown.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut text = String::new();
        for known in self.schema() {
            let name = if known.named { ".<name>" } else { "" };
            text.push_str(&format!(
                "\n### `[{}{name}]`\n\n| key | default | what it is |\n|---|---|---|\n",
                known.name
            ));
            for key in known.keys.iter() {
                let default = key
                    .default
                    .map(|default| format!("`{default}`"))
                    .unwrap_or_default();
                let expected = match key.kind {
                    Kind::Secret => "secret text".to_owned(),
                    kind => kind.expected(),
                };
                let only = match key.only {
                    [] => String::new(),
                    kinds => format!("`{}`: ", kinds.join("`, `")),
                };
                text.push_str(&format!(
                    "| `{}` | {default} | {only}{}: {expected} |\n",
                    key.name, key.what
                ));
            }
        }
        text
    }
}

fn table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    known: &Known,
    entry: Option<&Entry>,
    is_first: &mut bool,
) -> fmt::Result {
    if !std::mem::replace(is_first, false) {
        writeln!(f)?;
    }
    writeln!(f, "[{title}]")?;
    let kind = entry.filter(|_| known.name == POLICIES).and_then(check::kind_of);
    for key in known.keys.iter() {
        if kind.is_some_and(|kind| !key.only.is_empty() && !key.only.contains(&kind)) {
            continue;
        }
        let setting = entry.and_then(|entry| entry.settings.get(key.name));
        let (left, origin) = match (setting, &key.default) {
            (Some(setting), _) => (format!("{} = {}", key.name, setting.value), &setting.origin),
            (None, Some(default)) => (format!("# {} = {default}", key.name), &Origin::Default),
            (None, None) => (format!("# {} =", key.name), &Origin::Default),
        };
        // Names of files are the system's, and may hold anything.
        let origin = origin.to_string().replace(char::is_control, " ");
        writeln!(f, "{left:<COLUMN$} # {origin}")?;
    }
    Ok(())
}

/// A name as a key of TOML.
fn quoted(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.escape_debug()),
    }
}
