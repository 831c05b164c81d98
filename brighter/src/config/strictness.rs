//! [`Strictness`]: what becomes of tables in a configuration that are not of this program.

use std::collections::HashSet;

use brighter_config::{Config, Key, Section, Table};

const SECTION: &str = "configuration";
const KEY: &str = "strictness";
const WORDS: &[&str] = &["shared", "exact"];

/// The treatment of subscriptions and policies in a configuration that are not of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Strictness {
    /// They are of other programs that share the configuration, unless one is a slip of a name that this program has.
    #[default]
    Shared,
    /// They are mistakes, and so is a subscription that a file which lists others does not list.
    Exact,
}

/// The meaning of a table whose name the program does not have.
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

    /// Judges a table whose name is none of the program's. Two that stand in files side by side are both meant, however
    /// alike they are.
    pub(crate) fn judge(self, table: &Table<'_>, own: &mut OwnNames<'_>) -> Stranger {
        if self == Self::Exact {
            own.mistakes += 1;
            let is_explained = own.mistakes <= MOST_EXPLAINED;
            let meant = is_explained.then(|| table.nearest_name(own.all.iter().copied()));
            return Stranger::Mistake {
                meant: meant.flatten(),
            };
        }
        let candidates = match table.origin().is_file() {
            true => &own.in_no_file,
            false => &own.all,
        };
        match table.slip_of(candidates.iter().copied()) {
            Some(meant) => Stranger::Mistake { meant: Some(meant) },
            None => Stranger::OfOthers,
        }
    }
}

/// For so many mistakes the name that was meant is looked for: nobody reads more, and each is compared with every name.
const MOST_EXPLAINED: usize = 100;

/// So many names of the program are told with a mistake.
const MOST_TOLD: usize = 20;

/// The names that the program has, and what the configuration has of them.
#[derive(Debug)]
pub(crate) struct OwnNames<'a> {
    /// In the order of the program, each once.
    all: Vec<&'a str>,
    /// The names without a table in any file of the configuration.
    in_no_file: Vec<&'a str>,
    /// The tables that have one of these names, by their own spelling.
    tables: HashSet<&'a str>,
    mistakes: usize,
}

impl<'a> OwnNames<'a> {
    /// Looks for the tables of these names in a section.
    pub(crate) fn new(config: &'a Config, section: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut own = Self {
            all: Vec::new(),
            in_no_file: Vec::new(),
            tables: HashSet::new(),
            mistakes: 0,
        };
        let mut seen = HashSet::new();
        for name in names.into_iter().filter(|name| seen.insert(*name)) {
            own.all.push(name);
            let table = config.named_table(section, name);
            if !table.as_ref().is_some_and(|table| table.origin().is_file()) {
                own.in_no_file.push(name);
            }
            own.tables.extend(table.map(|table| table.name()));
        }
        own
    }

    /// Whether the table has one of the names.
    pub(crate) fn has(&self, table: &Table<'_>) -> bool {
        self.tables.contains(table.name())
    }

    /// Returns the names for an error, separated by commas: the first of many, and how many more there are.
    pub(crate) fn told(&self) -> String {
        let told = self.all.iter().take(MOST_TOLD).copied();
        let mut told = told.collect::<Vec<_>>().join(", ");
        if let Some(others @ 1..) = self.all.len().checked_sub(MOST_TOLD) {
            told += &format!(" and {others} more");
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::SubscriptionSettings;

    const SUBSCRIPTIONS: &str = SubscriptionSettings::SECTION;

    fn config<T: AsRef<str>>(tables: impl IntoIterator<Item = T>) -> Config {
        let tables = tables.into_iter();
        let loader = tables.fold(crate::config::loader(), |loader, table| {
            loader.set("test", format!("subscriptions.{}.buffer", table.as_ref()), 7)
        });
        loader.load().unwrap()
    }

    #[test]
    fn a_name_that_is_given_twice_is_told_once() {
        let config = config(["mail"]);
        let own = OwnNames::new(&config, SUBSCRIPTIONS, ["mail", "orders", "mail"]);
        assert_eq!(own.told(), "mail, orders");
        assert_eq!(own.in_no_file, ["mail", "orders"], "the table is in no file");
    }

    #[test]
    fn names_beyond_the_twentieth_are_counted() {
        let config = config::<&str>([]);
        let names: Vec<_> = (0..23).map(|n| format!("orders-{n}")).collect();
        let told = |count: usize| {
            let names = names.iter().take(count).map(String::as_str);
            OwnNames::new(&config, SUBSCRIPTIONS, names).told()
        };
        assert_eq!(told(0), "");
        assert!(told(20).ends_with("orders-18, orders-19"), "{}", told(20));
        assert!(told(21).ends_with("orders-19 and 1 more"), "{}", told(21));
        assert!(told(23).ends_with("orders-19 and 3 more"), "{}", told(23));
    }

    #[test]
    fn a_table_is_own_in_any_spelling() {
        let variables =
            ["ORDERS_EU", "ORDERS_US"].map(|name| (format!("BRIGHTER_SUBSCRIPTIONS_{name}_BUFFER"), "7"));
        let config = crate::config::loader().variables(variables).load().unwrap();
        let own = OwnNames::new(&config, SUBSCRIPTIONS, ["orders-eu"]);
        let tables = config.tables(SUBSCRIPTIONS);
        let has: Vec<_> = tables.map(|table| own.has(&table)).collect();
        assert_eq!(has, [true, false]);
    }

    #[test]
    fn only_the_first_hundred_mistakes_are_explained() {
        let names: Vec<_> = (0..102)
            .map(|n| format!("subscription-to-orders-{n:03}"))
            .collect();
        let config = config(&names);
        let mut own = OwnNames::new(&config, SUBSCRIPTIONS, ["subscription-to-orders"]);
        let tables = config.tables(SUBSCRIPTIONS);
        let mut judge = |strictness: Strictness, table: &Table<'_>| match strictness.judge(table, &mut own) {
            Stranger::Mistake { meant } => meant,
            Stranger::OfOthers => panic!("{} is of others", table.name()),
        };
        let meant: Vec<_> = tables.map(|table| judge(Strictness::Exact, &table)).collect();
        let (explained, rest) = meant.split_at(100);
        let expected = Some("subscription-to-orders");
        assert!(
            explained.iter().all(|meant| meant.as_deref() == expected),
            "{meant:?}"
        );
        assert_eq!(rest, [None, None]);
    }
}
