//! Names of tables and schemas, which become part of statements.

use brighter::store::{InboxOptions, OutboxOptions};
use brighter::{MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox};
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::{Builder, Runtime};

use crate::Target;
use crate::seed::Seed;

/// A name is refused, or it stands in the statements as a name and as nothing else.
pub(crate) const TARGET: Target = Target {
    name: "tables",
    run,
    seeds,
};

/// A name that is surely one, to see what becomes of another in its place.
const TABLE: &str = "q_q_q_q_q";
const SCHEMA: &str = "z_z_z_z_z";

/// The table and the schema, with a line feed between them.
fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (table, schema) = text.split_once('\n').unwrap_or((text, SCHEMA));
    for (written, plain) in ddl(table, schema).into_iter().zip(ddl(TABLE, SCHEMA)) {
        let (Ok(written), Ok(plain)) = (written, plain) else {
            continue;
        };
        assert!(
            table
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "{table:?} is more than a name"
        );
        assert!(
            !schema.contains(['"', '\'', '`', '\\']) && !schema.contains(char::is_control),
            "{schema:?} ends its quotes"
        );
        let expected = plain.replace(TABLE, table).replace(SCHEMA, schema);
        assert!(
            // PostgreSQL's own names are in small letters.
            written.to_lowercase() == expected.to_lowercase()
                || text.contains(TABLE)
                || text.contains(SCHEMA),
            "{written}\n\nis not\n\n{expected}"
        );
    }
    // Of a file there is no schema to name.
    let options = OutboxOptions::default().table(table).archive();
    if let Ok(written) = SqliteOutbox::ddl_for(&options) {
        is_executed(table, &written);
    }
    if let Ok(written) = SqliteInbox::ddl_for(&InboxOptions::default().table(table)) {
        is_executed(table, &written);
    }
}

type Ddl = Result<String, Box<dyn std::error::Error>>;

/// The tables of each database.
fn ddl(table: &str, schema: &str) -> [Ddl; 4] {
    let outbox = OutboxOptions::default().table(table).schema(schema).archive();
    let inbox = InboxOptions::default().table(table).schema(schema);
    [
        PostgresOutbox::ddl_for(&outbox).map_err(Into::into),
        MySqlOutbox::ddl_for(&outbox).map_err(Into::into),
        PostgresInbox::ddl_for(&inbox).map_err(Into::into),
        MySqlInbox::ddl_for(&inbox).map_err(Into::into),
    ]
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

/// A name that is accepted is one for the database too.
fn is_executed(table: &str, statements: &str) {
    let executing = async {
        let mut database = SqliteConnection::connect("sqlite::memory:").await?;
        let statements = sqlx::AssertSqlSafe(statements.to_owned());
        sqlx::raw_sql(statements).execute(&mut database).await?;
        database.close().await
    };
    let executed = RUNTIME.with(|runtime| runtime.block_on(executing));
    executed.unwrap_or_else(|error| panic!("`{table}` was accepted, and cannot be made: {error}"));
}

fn seeds() -> Vec<Seed> {
    let names = [
        "orders",
        "Orders_2",
        "order",
        "select",
        "_",
        "x_archive",
        "sqlite_x",
        "sqlite",
        "2nd",
        "a b",
        "a;--",
        "a\"b",
        "é",
        "İ_archive",
        "orders\napp",
        "orders\nTenant-1",
        "orders\n$user",
        "orders\na\"b",
        "orders\n{in}",
        "{table}\n{schema}",
    ];
    let mut seeds: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| Seed::new(&format!("name-{number}"), *name))
        .collect();
    seeds.push(Seed::new(
        "longest",
        format!("{}\n{}", "x".repeat(40), "y".repeat(64)),
    ));
    seeds.push(Seed::new("too-long", "x".repeat(100_000)));
    seeds
}
