//! [`Dialect`]: the SQL in which one database differs from another.

use super::statement::Statement;
use super::table_ref::TableRef;

/// The syntax of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "each is the way of one database, and features choose which there are"
)]
pub(crate) enum Placeholder {
    /// The form `?1`.
    Question,
    /// The form `$1`.
    Dollar,
    /// The form `?`, in the order of the values.
    Unnumbered,
}

/// The SQL in which one database differs from another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) placeholder: Placeholder,
    /// Whether a connection keeps its prepared statements: a connection without a session cannot.
    pub(crate) keeps_statements: bool,
    /// Whether a text may contain U+0000.
    pub(crate) keeps_nul: bool,
    /// The clock of the database, in milliseconds since 1970: one clock for all processes that share it. It does not
    /// advance during a statement.
    pub(crate) now: &'static str,
    /// The table, restricted by the ids in value 1, a JSON array: the number of values has a limit. It is joined with
    /// the ids if [`and_among_ids`](Self::and_among_ids) does not select them.
    pub(crate) table_by_ids: &'static str,
    /// The condition that the id is in the array.
    pub(crate) and_among_ids: &'static str,
    /// The column `outstanding`, written so that its index is not used where ids select the rows.
    pub(crate) outstanding: &'static str,
    /// The clause that skips an existing row; empty where an existing row is an error that ends only the statement.
    pub(crate) if_new: &'static str,
    /// The clause that reads what others have committed, also in an older snapshot.
    pub(crate) latest: &'static str,
    /// The hint for the index of the outstanding rows, where the planner would not choose it.
    pub(crate) by_outstanding: &'static str,
    /// The hint for the index of the outstanding rows of a topic, where the planner would not choose it.
    pub(crate) by_topic: &'static str,
    /// The condition that the topic is not in the JSON array that is value 4.
    pub(crate) and_not_among_topics: &'static str,
    /// The beginning of a delete by ids, up to the condition.
    pub(crate) delete_by_ids: &'static str,
    /// Takes a unique key, unless it is held. Values: the key, the id of the message, the window.
    pub(crate) take_key: &'static str,
    /// Deletes unique keys whose window is over. Value: the limit.
    pub(crate) forget_keys: &'static str,
    /// The clause that locks the rows that are read, and skips locked rows.
    pub(crate) for_update: &'static str,
    /// The clause that locks the rows that are read, and waits for locked rows.
    #[cfg(feature = "desk")]
    pub(crate) lock: &'static str,
    /// The condition that a text contains another one: case matters.
    #[cfg(feature = "desk")]
    pub(crate) contains: &'static str,
    /// Claims the oldest due rows. Values: lease, lowest age, limit.
    pub(crate) claim_oldest: ClaimStyle,
    /// Claims rows by ids. Values: the ids, lease.
    pub(crate) claim_ids: ClaimStyle,
    /// Begins a transaction, independent of the isolation level of the connection.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite all begin alike")
    )]
    pub(crate) begin_any: Option<&'static str>,
    /// Begins a transaction that claims, if a plain one does not suffice.
    pub(crate) begin_claim: Option<&'static str>,
    /// The quote around the name of a table or a schema.
    pub(crate) quote: &'static str,
    /// Whether a name without quotes is converted to lower case.
    pub(crate) folds_names: bool,
    /// An expression for the schema in which a connection creates tables.
    pub(crate) current_schema: &'static str,
    /// Whether all tables of a connection are in one file.
    pub(crate) is_one_file: bool,
    /// Selects a row if a schema of this name exists.
    pub(crate) has_schema: &'static str,
    /// Selects the schema in which a connection finds a table of this name, if it searches more than the current one.
    pub(crate) schema_of: Option<&'static str>,
    /// Selects the columns of a table by schema and name: no rows if there is no such table.
    pub(crate) columns: &'static str,
    /// Stores the version of a schema.
    pub(crate) note_version: &'static str,
    pub(crate) schedules: ScheduleDialect,
    pub(crate) schema: SchemaDialect,
}

/// The statements about schedules in which databases differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScheduleDialect {
    /// The hint for the index of the due times, where the planner would not choose it.
    pub(crate) by_due: &'static str,
    /// Selects the names and versions of schedules whose names are in value 1, a JSON array, and locks them.
    pub(crate) lock: &'static str,
    /// Writes the state and the times of schedules from value 1, a JSON array of objects.
    pub(crate) advance: &'static str,
}

/// The way in which rows are claimed and read.
#[derive(Debug, Clone, Copy)]
#[allow(
    dead_code,
    reason = "each is the way of one database, and features choose which there are"
)]
pub(crate) enum ClaimStyle {
    /// Claims by one statement.
    AtOnce(&'static str),
    /// Locks the rows first, and then writes the claim in them.
    LockFirst(&'static str),
}

/// The statements that create tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchemaDialect {
    pub(crate) versions: &'static str,
    pub(crate) outbox: &'static [&'static str],
    /// The table of archived messages.
    pub(crate) archive: &'static [&'static str],
    pub(crate) inbox: &'static [&'static str],
    #[cfg(feature = "desk")]
    pub(crate) desk: &'static [&'static str],
    /// The table of schedules beside an outbox.
    pub(crate) schedules: &'static [&'static str],
    /// Locks out other processes that create tables, until the transaction ends or `unlock` runs. Selects 1 if the lock
    /// was acquired.
    pub(crate) lock: Option<&'static str>,
    pub(crate) unlock: Option<&'static str>,
    /// The beginning of a script for creating the tables by hand.
    pub(crate) begin: &'static str,
    pub(crate) commit: &'static str,
}

impl Dialect {
    /// Returns a table in this schema or, for a script, in the schema in which the script runs. Both names were
    /// checked.
    pub(crate) fn table(&self, schema: Option<&str>, name: &str) -> TableRef {
        // PostgreSQL converts a name without quotes to lower case, and these names had none before.
        let name = match self.folds_names {
            true => name.to_ascii_lowercase(),
            false => name.to_owned(),
        };
        TableRef::new(name, schema, self.current_schema, self.quote)
    }

    /// Returns a statement of this dialect. In a template, `?1` is the first value, other names in braces are replaced
    /// by those of the dialect, and those of [`TableRef::fill`] by the table.
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
            .replace("{locked}", self.locked())
            .replace("{now}", self.now);
        let statement = self.numbered(&text);
        // Filled in last: the name of a schema may contain a question mark.
        Statement {
            text: table.fill(&statement.text).into(),
            ..statement
        }
    }

    /// Returns a statement that refers to no table.
    pub(crate) fn plain(&self, template: &str) -> Statement {
        self.numbered(template)
    }

    #[cfg(feature = "desk")]
    fn locked(&self) -> &'static str {
        self.lock
    }

    #[cfg(not(feature = "desk"))]
    fn locked(&self) -> &'static str {
        ""
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
            // A numbered value is passed once, however often it is used.
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
