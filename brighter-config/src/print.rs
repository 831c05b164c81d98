//! Prints a configuration: every setting, its value, and its origin.

use std::fmt;

use super::Origin;
use super::config::Config;
use super::key::Kind;
use super::section::Section;
use super::table::Table;

/// The column of the origins, if the values are short enough.
const COLUMN: usize = 44;

/// Prints a TOML file, with the origin of each value beside it and with secrets masked. A commented-out key has no
/// value unless the program sets one.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for section in self.sections() {
            if section.is_named() {
                for of in self.tables(section.name()) {
                    let title = format!("{}.{}", section.name(), quoted(of.name()));
                    table(f, &title, section, Some(of), &mut is_first)?;
                }
            } else {
                let of = self.table(section.name());
                table(f, section.name(), section, of, &mut is_first)?;
            }
        }
        Ok(())
    }
}

impl Config {
    /// Returns the list of all settings of the loader, as Markdown tables.
    #[must_use]
    pub fn reference(&self) -> String {
        let mut text = String::new();
        for section in self.sections() {
            let name = if section.is_named() { ".<name>" } else { "" };
            text.push_str(&format!(
                "\n### `[{}{name}]`\n\n| key | default | what it is |\n|---|---|---|\n",
                section.name()
            ));
            for key in section.keys() {
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
    section: &Section,
    of: Option<Table<'_>>,
    is_first: &mut bool,
) -> fmt::Result {
    if !std::mem::replace(is_first, false) {
        writeln!(f)?;
    }
    writeln!(f, "[{title}]")?;
    let type_name = of.and_then(|table| table.type_name());
    for key in section.keys() {
        if !key.is_of(type_name) {
            continue;
        }
        let setting = of.and_then(|table| table.entry.settings.get(key.name));
        let (left, origin) = match (setting, &key.default) {
            (Some(setting), _) => (format!("{} = {}", key.name, setting.value), &setting.origin),
            (None, Some(default)) => (format!("# {} = {default}", key.name), &Origin::Default),
            (None, None) => (format!("# {} =", key.name), &Origin::Default),
        };
        // The system allows any characters in names of files.
        let origin = origin.to_string().replace(char::is_control, " ");
        writeln!(f, "{left:<COLUMN$} # {origin}")?;
    }
    Ok(())
}

/// Returns a name as a key of TOML.
fn quoted(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.escape_debug()),
    }
}
