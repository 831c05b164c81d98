//! What one database says otherwise than another.

use super::statement::Statement;
use super::table_ref::TableRef;

/// How the values of a statement are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "each is the way of one database, and features choose which there are"
)]
pub(crate) enum Placeholder {
    /// `?1`.
    Question,
    /// `$1`.
    Dollar,
    /// `?`, in their order.
    Unnumbered,
}

/// What one database says otherwise than another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) placeholder: Placeholder,
    /// Whether a connection keeps the statements that it has prepared: one that has no session of its own cannot.
    pub(crate) keeps_statements: bool,
    /// Whether a text may hold U+0000.
    pub(crate) keeps_nul: bool,
    /// The time by the clock of the database, in milliseconds since 1970: one clock for all who share it. It
    /// stands still while a statement runs.
    pub(crate) now: &'static str,
    /// The table, where the ids of value 1 are wanted, a JSON array, however many they are: the number of values
    /// has a limit. Joined with them where [`and_among_ids`](Self::and_among_ids) does not choose them.
    pub(crate) table_by_ids: &'static str,
    /// The condition that the id is one of them.
    pub(crate) and_among_ids: &'static str,
    /// The column `outstanding` where ids choose the rows, and no index of that column may.
    pub(crate) outstanding: &'static str,
    /// What leaves a row alone that is there already; empty where it is an error that ends the statement only.
    pub(crate) if_new: &'static str,
    /// Reads what others have committed, whatever this transaction has seen before.
    pub(crate) latest: &'static str,
    /// Names the index of the outstanding rows, where it would not be taken otherwise.
    pub(crate) by_outstanding: &'static str,
    /// Names the index of the outstanding rows of a topic, where it would not be taken otherwise.
    pub(crate) by_topic: &'static str,
    /// The condition that the topic is none of those in the JSON array that is value 4.
    pub(crate) and_not_among_topics: &'static str,
    /// Deletes rows by ids, up to the condition.
    pub(crate) delete_by_ids: &'static str,
    /// Locks what is read, and passes over what others have locked.
    pub(crate) for_update: &'static str,
    /// Claims the oldest that are due: lease, smallest age, limit.
    pub(crate) claim_oldest: Claiming,
    /// Claims by ids: the ids, lease.
    pub(crate) claim_ids: Claiming,
    /// Begins a transaction, whatever isolation the connection has for others.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite all begin alike")
    )]
    pub(crate) begin_any: Option<&'static str>,
    /// Begins a transaction that claims, where a plain one would not do.
    pub(crate) begin_claim: Option<&'static str>,
    /// Around the name of a table or a schema.
    pub(crate) quote: &'static str,
    /// Whether a name without quotes is one in small letters.
    pub(crate) folds_names: bool,
    /// The schema in which a connection makes tables, as an expression.
    pub(crate) current_schema: &'static str,
    /// Whether all of a connection's tables are in one file.
    pub(crate) is_one_file: bool,
    /// Whether there is a schema of this name.
    pub(crate) has_schema: &'static str,
    /// The schema in which a table of this name is found by a connection, if others than the current one are looked
    /// through.
    pub(crate) schema_of: Option<&'static str>,
    /// The columns of a table, by schema and name: none if there is no such table.
    pub(crate) columns: &'static str,
    /// The version of a schema, noted anew.
    pub(crate) note_version: &'static str,
    pub(crate) schema: SchemaDialect,
}

/// How rows are claimed and read.
#[derive(Debug, Clone, Copy)]
#[allow(
    dead_code,
    reason = "each is the way of one database, and features choose which there are"
)]
pub(crate) enum Claiming {
    /// By one statement.
    AtOnce(&'static str),
    /// They are locked first, and then the claim is written in them.
    LockFirst(&'static str),
}

/// How tables are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchemaDialect {
    pub(crate) versions: &'static str,
    pub(crate) outbox: &'static [&'static str],
    /// What is old and was not deleted.
    pub(crate) archive: &'static [&'static str],
    pub(crate) inbox: &'static [&'static str],
    /// Keeps others from making tables until the transaction, or `unlock`, ends it: says 1 when it is ours.
    pub(crate) lock: Option<&'static str>,
    pub(crate) unlock: Option<&'static str>,
    /// Around the script for those who make the tables by hand.
    pub(crate) begin: &'static str,
    pub(crate) commit: &'static str,
}

impl Dialect {
    /// A table in this schema, or, for a script, in the one in which the script is executed. Both names were checked.
    pub(crate) fn table(&self, schema: Option<&str>, name: &str) -> TableRef {
        // Without quotes, PostgreSQL has always made small letters of a name.
        let name = match self.folds_names {
            true => name.to_ascii_lowercase(),
            false => name.to_owned(),
        };
        TableRef::new(name, schema, self.current_schema, self.quote)
    }

    /// A statement of this dialect. In a template, `?1` is the first value, other names in braces are what this dialect
    /// says for them, and those of [`TableRef::fill`] are the table.
    pub(crate) fn statement(&self, template: &str, table: &TableRef) -> Statement {
        let text = template
            .replace("{delete_by_ids}", self.delete_by_ids)
            .replace("{by_outstanding}", self.by_outstanding)
            .replace("{by_topic}", self.by_topic)
            .replace("{and_not_among_topics}", self.and_not_among_topics)
            .replace("{for_update}", self.for_update)
            .replace("{table_by_ids}", self.table_by_ids)
            .replace("{and_among_ids}", self.and_among_ids)
            .replace("{outstanding}", self.outstanding)
            .replace("{if_new}", self.if_new)
            .replace("{latest}", self.latest)
            .replace("{now}", self.now);
        let statement = self.numbered(&text);
        // At last: the name of a schema may have a question mark in it.
        Statement {
            text: table.fill(&statement.text).into(),
            ..statement
        }
    }

    /// A statement that is about no table.
    pub(crate) fn plain(&self, template: &str) -> Statement {
        self.numbered(template)
    }

    fn numbered(&self, text: &str) -> Statement {
        let (mut out, mut order) = (String::with_capacity(text.len()), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find('?') {
            let after = &rest[at + 1..];
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: usize = after[..digits].parse().unwrap_or(1);
            out.push_str(&rest[..at]);
            match self.placeholder {
                Placeholder::Question => out.push_str(&format!("?{number}")),
                Placeholder::Dollar => out.push_str(&format!("${number}")),
                Placeholder::Unnumbered => out.push('?'),
            }
            // One that is numbered is given once, however often it is named.
            if self.placeholder == Placeholder::Unnumbered {
                order.push(number - 1);
            } else if order.len() < number {
                order = (0..number).collect();
            }
            rest = &after[digits..];
        }
        out.push_str(rest);
        Statement {
            text: out.into(),
            order,
            is_kept: self.keeps_statements,
        }
    }
}
