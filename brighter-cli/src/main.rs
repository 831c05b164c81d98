//! Prints the tables of the stores as SQL, for those who make them by hand.
//!
//! `cargo install brighter-cli`, then `brighter ddl postgres > brighter.sql`.

use std::process::ExitCode;

use std::error::Error;

use brighter_sql::store::mysql::{MySqlInbox, MySqlOutbox};
use brighter_sql::store::postgres::{PostgresInbox, PostgresOutbox};
use brighter_sql::store::sqlite::{SqliteInbox, SqliteOutbox};
use brighter_sql::store::{InboxOptions, OutboxOptions};

type BoxError = Box<dyn Error + Send + Sync>;

const USAGE: &str = "\
usage: brighter ddl <sqlite|postgres|mysql> [--outbox-table NAME] [--inbox-table NAME] [--only outbox|inbox]

Prints the SQL that makes the tables of the outbox and of the inbox in a database that has none of them yet.
A program that finds them leaves them as they are, and needs no right to make tables. MariaDB is `mysql`.
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("brighter: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<String, BoxError> {
    match args.next().as_deref() {
        Some("ddl") => Wanted::parse(args)?.ddl(),
        Some("help" | "--help" | "-h") => Ok(USAGE.to_owned()),
        Some(other) => Err(format!("there is no command `{other}`").into()),
        None => Err("say what to do".into()),
    }
}

/// What the command line asks for.
struct Wanted {
    database: String,
    outbox: Option<OutboxOptions>,
    inbox: Option<InboxOptions>,
}

impl Wanted {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut wanted = Self {
            database: String::new(),
            outbox: Some(OutboxOptions::default()),
            inbox: Some(InboxOptions::default()),
        };
        let mut only = None;
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| format!("`{arg}` wants something after it"))
            };
            match arg.as_str() {
                "--outbox-table" => wanted.outbox = Some(OutboxOptions::default().table(value()?)),
                "--inbox-table" => wanted.inbox = Some(InboxOptions::default().table(value()?)),
                "--only" => only = Some(value()?),
                option if option.starts_with('-') => {
                    return Err(format!("there is no option `{option}`").into());
                }
                _ if wanted.database.is_empty() => wanted.database = arg,
                _ => return Err(format!("`{arg}` is one database too many").into()),
            }
        }
        match only.as_deref() {
            None => {}
            Some("outbox") => wanted.inbox = None,
            Some("inbox") => wanted.outbox = None,
            Some(other) => return Err(format!("`--only` takes `outbox` or `inbox`, not `{other}`").into()),
        }
        Ok(wanted)
    }

    fn ddl(&self) -> Result<String, BoxError> {
        type Ddl<O, E> = fn(&O) -> Result<String, E>;
        let (outbox, inbox): (Ddl<OutboxOptions, _>, Ddl<InboxOptions, _>) = match self.database.as_str() {
            "sqlite" => (SqliteOutbox::ddl_for, SqliteInbox::ddl_for),
            "postgres" => (PostgresOutbox::ddl_for, PostgresInbox::ddl_for),
            "mysql" => (MySqlOutbox::ddl_for, MySqlInbox::ddl_for),
            "" => return Err("say which database: sqlite, postgres or mysql".into()),
            other => return Err(format!("`{other}` is none of sqlite, postgres, mysql").into()),
        };
        let outbox = self.outbox.as_ref().map(outbox).transpose()?;
        let inbox = self.inbox.as_ref().map(inbox).transpose()?;
        let both: Vec<_> = outbox.into_iter().chain(inbox).collect();
        Ok(both.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

    use super::*;

    fn say(line: &str) -> Result<String, String> {
        run(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn it_prints_what_is_asked() {
        for database in ["sqlite", "postgres", "mysql"] {
            let all = say(&format!("ddl {database}")).unwrap();
            assert!(
                all.contains("CREATE TABLE IF NOT EXISTS brighter_outbox ("),
                "{all}"
            );
            assert!(
                all.contains("CREATE TABLE IF NOT EXISTS brighter_outbox_archive ("),
                "{all}"
            );
            assert!(
                all.contains("CREATE TABLE IF NOT EXISTS brighter_inbox ("),
                "{all}"
            );
            let one = say(&format!("ddl {database} --only inbox --inbox-table orders_inbox")).unwrap();
            assert!(
                one.contains("EXISTS orders_inbox (") && !one.contains("outbox"),
                "{one}"
            );
            let named = say(&format!("ddl --outbox-table orders {database} --only outbox")).unwrap();
            assert!(
                named.contains("EXISTS orders (") && named.contains("EXISTS orders_archive ("),
                "{named}"
            );
        }
    }

    #[test]
    fn a_mistake_is_told() {
        for (line, said) in [
            ("", "say what to do"),
            ("dll", "no command `dll`"),
            ("ddl", "which database"),
            ("ddl oracle", "none of"),
            ("ddl sqlite mysql", "too many"),
            ("ddl sqlite --table x", "no option `--table`"),
            ("ddl sqlite --outbox-table", "wants something"),
            ("ddl sqlite --only both", "not `both`"),
            ("ddl sqlite --outbox-table a;b", "outbox failed"),
        ] {
            let error = say(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
