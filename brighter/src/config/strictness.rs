//! [`Strictness`]: what becomes of tables in a configuration that are not of this program.

use brighter_config::{Config, Key, Section, Table};

const SECTION: &str = "configuration";
const KEY: &str = "strictness";
const WORDS: &[&str] = &["shared", "exact"];

/// What becomes of the subscriptions and policies in a configuration that are not of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Strictness {
    /// They are of other programs that share the configuration, unless one is a slip of a name that this program has.
    #[default]
    Shared,
    /// They are mistakes, and so is a subscription that a file which lists others does not list.
    Exact,
}

/// What a table is whose name the program does not have.
pub(crate) enum Stranger {
    /// A mistake, with the name that was probably meant.
    Mistake { meant: Option<String> },
    /// Of another program.
    OfOthers,
}

impl Strictness {
    /// The section `configuration`.
    pub(crate) fn section() -> Section {
        let strictness = Key::one_of(
            KEY,
            WORDS,
            "what subscriptions and policies are that this program does not have: those of other programs that share the file, or mistakes, as it then is to lack one of this program's subscriptions",
        );
        Section::new(SECTION, [strictness.documented_default("shared")])
    }

    pub(crate) fn of(config: &Config) -> Self {
        match config.text(SECTION, KEY) {
            Some("exact") => Self::Exact,
            _ => Self::Shared,
        }
    }

    /// What a table is whose name is none of the program's. Two that stand in files side by side are both meant, however
    /// alike they are.
    pub(crate) fn judge(self, table: &Table<'_>, config: &Config, section: &str, own: &[&str]) -> Stranger {
        if self == Self::Exact {
            let meant = table.nearest_name(own.iter().copied());
            return Stranger::Mistake { meant };
        }
        let stands_beside = |name: &&str| {
            let other = config.named_table(section, name);
            table.origin().is_file() && other.is_some_and(|other| other.origin().is_file())
        };
        match table.slip_of(own.iter().copied().filter(|name| !stands_beside(name))) {
            Some(meant) => Stranger::Mistake { meant: Some(meant) },
            None => Stranger::OfOthers,
        }
    }
}
