//! Prints the tables of the stores as SQL, for creating them by hand.

use std::error::Error;

use brighter::desk::{DeskError, MySqlDesk, PostgresDesk, SqliteDesk};
use brighter::inbox::InboxError;
use brighter::outbox::OutboxError;
use brighter::store::{DeskOptions, InboxOptions, OutboxOptions};
use brighter::{MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox};

pub(crate) const USAGE: &str = "\
usage: brighter ddl <sqlite|postgres|mysql> [--schema NAME] [--outbox-table NAME] [--inbox-table NAME] [--archive] [--schedules]
                    [--only outbox|inbox|desk] [--desk-table NAME]

Prints the SQL that makes the tables of the outbox and of the inbox in a database that has none of them yet.
A program that finds them leaves them as they are, and needs no right to make tables. MariaDB is `mysql`.
--archive adds the table of what an archiver moves, and --schedules that of recurring work. Without --schema the
tables are where the script is executed. The tables of a desk for dead letters are printed with --only desk.
";

/// Returns the SQL that these arguments ask for.
pub(crate) fn run(args: impl Iterator<Item = String>) -> Result<String, Box<dyn Error>> {
    let args: Vec<_> = args.collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(USAGE.to_owned());
    }
    Wanted::parse(args.into_iter())?.ddl()
}

/// The arguments of the command line.
struct Wanted {
    database: String,
    outbox: Option<OutboxOptions>,
    inbox: Option<InboxOptions>,
    desk: Option<DeskOptions>,
}

impl Wanted {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut database, mut only) = (String::new(), None);
        let (mut outbox, mut inbox) = (OutboxOptions::default(), InboxOptions::default());
        let mut desk = DeskOptions::default();
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| format!("`{arg}` wants something after it"))
            };
            match arg.as_str() {
                "--outbox-table" => outbox = outbox.table(value()?),
                "--desk-table" => desk = desk.table(value()?),
                "--inbox-table" => inbox = inbox.table(value()?),
                "--schema" => {
                    let schema = value()?;
                    outbox = outbox.schema(&schema);
                    inbox = inbox.schema(&schema);
                    desk = desk.schema(schema);
                }
                "--archive" => outbox = outbox.archive(),
                "--schedules" => outbox = outbox.schedules(),
                "--only" => only = Some(value()?),
                option if option.starts_with('-') => {
                    return Err(format!("there is no option `{option}`").into());
                }
                _ if database.is_empty() => database = arg,
                _ => return Err(format!("`{arg}` is one database too many").into()),
            }
        }
        let mut wanted = Self {
            database,
            outbox: Some(outbox),
            inbox: Some(inbox),
            desk: None,
        };
        match only.as_deref() {
            None => {}
            Some("outbox") => wanted.inbox = None,
            Some("inbox") => wanted.outbox = None,
            Some("desk") => {
                wanted = Self {
                    database: wanted.database,
                    outbox: None,
                    inbox: None,
                    desk: Some(desk),
                }
            }
            Some(other) => {
                return Err(format!("`--only` takes `outbox`, `inbox` or `desk`, not `{other}`").into());
            }
        }
        Ok(wanted)
    }

    fn ddl(&self) -> Result<String, Box<dyn Error>> {
        type Ddl<O, E> = fn(&O) -> Result<String, E>;
        type All = (
            Ddl<OutboxOptions, OutboxError>,
            Ddl<InboxOptions, InboxError>,
            Ddl<DeskOptions, DeskError>,
        );
        let (outbox, inbox, desk): All = match self.database.as_str() {
            "sqlite" => (SqliteOutbox::ddl_for, SqliteInbox::ddl_for, SqliteDesk::ddl_for),
            "postgres" => (
                PostgresOutbox::ddl_for,
                PostgresInbox::ddl_for,
                PostgresDesk::ddl_for,
            ),
            "mysql" => (MySqlOutbox::ddl_for, MySqlInbox::ddl_for, MySqlDesk::ddl_for),
            "" => return Err("say which database: sqlite, postgres or mysql".into()),
            other => return Err(format!("`{other}` is none of sqlite, postgres, mysql").into()),
        };
        let outbox = self.outbox.as_ref().map(outbox).transpose()?;
        let inbox = self.inbox.as_ref().map(inbox).transpose()?;
        let desk = self.desk.as_ref().map(desk).transpose()?;
        let all: Vec<_> = [outbox, inbox, desk].into_iter().flatten().collect();
        Ok(all.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

    use super::*;

    fn say(line: &str) -> Result<String, String> {
        let args = line.split_whitespace().map(str::to_owned);
        run(args.skip(1)).map_err(|error| error.to_string())
    }

    #[test]
    fn it_prints_what_is_asked() {
        for (database, quote) in [("sqlite", '"'), ("postgres", '"'), ("mysql", '`')] {
            let table = |name: &str| format!("CREATE TABLE IF NOT EXISTS {quote}{name}{quote} (");
            let all = say(&format!("ddl {database}")).unwrap();
            for name in ["brighter_outbox", "brighter_inbox"] {
                assert!(all.contains(&table(name)), "{all}");
            }
            assert!(!all.contains("archive") && !all.contains("schedules"), "{all}");
            let one = say(&format!("ddl {database} --only inbox --inbox-table orders_inbox")).unwrap();
            assert!(
                one.contains(&table("orders_inbox")) && !one.contains("outbox"),
                "{one}"
            );
            let named = say(&format!(
                "ddl --outbox-table orders {database} --only outbox --archive --schedules"
            ))
            .unwrap();
            assert!(
                ["orders", "orders_archive", "orders_schedules"]
                    .iter()
                    .all(|name| named.contains(&table(name))),
                "{named}"
            );
            let desk = say(&format!("ddl {database} --only desk --desk-table shop_desk")).unwrap();
            assert!(
                desk.contains(&table("shop_desk")) && !desk.contains("outbox"),
                "{desk}"
            );
            let placed = say(&format!("ddl {database} --schema main")).unwrap();
            let place = format!("CREATE TABLE IF NOT EXISTS {quote}main{quote}.");
            assert_eq!(placed.matches(&place).count(), 5, "{placed}");
            assert_eq!(placed.matches("CREATE TABLE").count(), 5, "{placed}");
        }
    }

    #[test]
    fn a_mistake_is_told() {
        for (line, said) in [
            ("ddl", "which database"),
            ("ddl oracle", "none of"),
            ("ddl sqlite mysql", "too many"),
            ("ddl sqlite --table x", "no option `--table`"),
            ("ddl sqlite --outbox-table", "wants something"),
            ("ddl sqlite --only both", "not `both`"),
            ("ddl sqlite --outbox-table a;b", "tables of the outbox"),
            ("ddl sqlite --outbox-table x_archive", "tables of the outbox"),
        ] {
            let error = say(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
