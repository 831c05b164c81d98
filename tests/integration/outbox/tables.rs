//! Where the tables of outbox and inbox are, and what is refused when they are opened.

use std::error::Error;
use std::slice::from_ref;
use std::time::Duration;

use brighter::inbox::{Begun, Inbox, InboxError, InboxKey};
use brighter::outbox::{Archive, Archiving, Claim, Outbox, OutboxError, OutboxTransaction, Scheduling};
use brighter::store::{InboxOptions, OutboxOptions, TableError};
use brighter::testing::outbox::some_message;
use brighter::{
    MessageId, MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox,
};
use brighter_tests::databases;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(3600);

fn table(name: &str) -> OutboxOptions {
    OutboxOptions::default().table(name)
}

/// The error about the tables that is the source of this one.
fn of_tables<T: std::fmt::Debug>(refused: Result<T, OutboxError>) -> TableError {
    match refused {
        Err(OutboxError::Tables(source)) => source.downcast_ref::<TableError>().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

fn of_inbox_tables<T: std::fmt::Debug>(refused: Result<T, InboxError>) -> TableError {
    match refused {
        Err(InboxError::Tables(source)) => source.downcast_ref::<TableError>().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

/// Does what an outbox does: stores, schedules, claims, marks, and archives.
async fn use_outbox(outbox: &(impl Outbox + Scheduling + Archiving)) {
    let message = some_message();
    outbox.deposit(from_ref(&message), None).await.unwrap();
    outbox.schedule(&some_message(), LONG).await.unwrap();
    let claimed = outbox
        .claim(Claim::oldest(10, Duration::ZERO), LONG)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    outbox.mark_dispatched(&[message.header.id]).await.unwrap();
    let old = Archive::dispatched(Duration::ZERO, 10).keep();
    assert_eq!(outbox.archive(&old).await.unwrap(), 1);
    let status = outbox.status().await.unwrap();
    assert_eq!((status.outstanding, status.scheduled), (0, 1));
}

async fn use_inbox(inbox: &impl Inbox) {
    let key = InboxKey::new(MessageId::new(), "handler");
    let begun = inbox.begin(&key, None, LONG).await.unwrap();
    assert!(matches!(begun, Begun::First(_)), "{begun:?}");
    inbox.complete(&key).await.unwrap();
    let begun = inbox.begin(&key, None, LONG).await.unwrap();
    assert!(matches!(begun, Begun::Done), "{begun:?}");
}

struct Sqlite(TempDir);

impl Sqlite {
    async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn pool(&self) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(self.0.path().join("app.db"))
            .create_if_missing(true);
        SqlitePool::connect_with(options).await.unwrap()
    }
}

/// What holds of all databases.
macro_rules! tests_of_tables {
    ($module:ident, $database:path, $outbox:ident, $inbox:ident, $quote:literal) => {
        mod $module {
            use super::*;
            use $database as Database;

            async fn execute(database: &Database, statement: &str) {
                let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
                statement.execute(&database.pool().await).await.unwrap();
            }

            async fn exists(database: &Database, table: &str) -> bool {
                let statement = sqlx::raw_sql(AssertSqlSafe(format!("SELECT 1 FROM {table}")));
                statement.execute(&database.pool().await).await.is_ok()
            }

            #[tokio::test]
            async fn reserved_words_are_names_of_tables() {
                let database = Database::new().await;
                for word in ["order", "select", "Table", "user"] {
                    let pool = database.pool().await;
                    let outbox = $outbox::from_pool(pool).options(table(word)).await.unwrap();
                    use_outbox(&outbox).await;
                    let options = InboxOptions::default().table(format!("{word}s"));
                    let inbox = $inbox::from_pool(outbox.pool().clone())
                        .options(options)
                        .await
                        .unwrap();
                    use_inbox(&inbox).await;
                    // It is found as it was made.
                    let again = $outbox::from_pool(database.pool().await).options(table(word));
                    assert_eq!(again.await.unwrap().status().await.unwrap().scheduled, 1);
                }
                let pool = database.pool().await;
                let inbox = $inbox::from_pool(pool).options(InboxOptions::default().table("group"));
                use_inbox(&inbox.await.unwrap()).await;
            }

            #[tokio::test]
            async fn a_name_that_belongs_to_another_table_is_refused() {
                let database = Database::new().await;
                for name in [
                    "orders_archive",
                    "orders_topic",
                    "brighter_schema",
                    "a.b",
                    "",
                ] {
                    let pool = database.pool().await;
                    let refused = of_tables($outbox::from_pool(pool).options(table(name)).await);
                    assert!(matches!(refused, TableError::Name { .. }), "{refused:?}");
                    let pool = database.pool().await;
                    let options = InboxOptions::default().table(name);
                    let refused = of_inbox_tables($inbox::from_pool(pool).options(options).await);
                    assert!(matches!(refused, TableError::Name { .. }), "{refused:?}");
                    assert!(matches!(
                        $outbox::ddl_for(&table(name)),
                        Err(OutboxError::Tables(_))
                    ));
                }
            }

            #[tokio::test]
            async fn a_dropped_table_is_reported_on_open() {
                let database = Database::new().await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                outbox.deposit(&[some_message()], None).await.unwrap();
                outbox.pool().close().await;
                execute(&database, "DROP TABLE brighter_outbox").await;
                let refused = of_tables($outbox::from_pool(database.pool().await).await);
                let TableError::Dropped { key, .. } = &refused else {
                    panic!("{refused:?}")
                };
                assert_eq!(key, "outbox");
                execute(
                    &database,
                    &format!("DELETE FROM brighter_schema WHERE name = '{key}'"),
                )
                .await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                use_outbox(&outbox).await;
            }

            #[tokio::test]
            async fn inbox_and_outbox_cannot_share_a_table() {
                let database = Database::new().await;
                $outbox::from_pool(database.pool().await)
                    .options(table("orders"))
                    .await
                    .unwrap();
                let options = InboxOptions::default().table("orders");
                let refused = $inbox::from_pool(database.pool().await)
                    .options(options)
                    .await;
                let refused = of_inbox_tables(refused);
                assert!(
                    matches!(refused, TableError::NotOurs { part: "inbox", .. }),
                    "{refused:?}"
                );

                let options = InboxOptions::default().table("handled");
                $inbox::from_pool(database.pool().await)
                    .options(options)
                    .await
                    .unwrap();
                let refused = $outbox::from_pool(database.pool().await).options(table("handled"));
                let refused = of_tables(refused.await);
                assert!(
                    matches!(refused, TableError::NotOurs { part: "outbox", .. }),
                    "{refused:?}"
                );
            }

            #[tokio::test]
            async fn the_archive_table_is_made_on_demand() {
                let database = Database::new().await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                let delete = Archive::dispatched(Duration::ZERO, 10);
                outbox.archive(&delete).await.unwrap();
                assert!(!exists(&database, "brighter_outbox_archive").await);
                assert!(!$outbox::ddl().contains("archive"));
                use_outbox(&outbox).await;
                assert!(exists(&database, "brighter_outbox_archive").await);

                let asked = table("asked").archive();
                assert!($outbox::ddl_for(&asked).unwrap().contains("asked_archive"));
                $outbox::from_pool(database.pool().await)
                    .options(asked)
                    .await
                    .unwrap();
                assert!(exists(&database, "asked_archive").await);

                execute(&database, "CREATE TABLE mine_archive (seq BIGINT)").await;
                let mine = table("mine").archive();
                let refused = of_tables(
                    $outbox::from_pool(database.pool().await)
                        .options(mine)
                        .await,
                );
                assert!(
                    matches!(
                        refused,
                        TableError::NotOurs {
                            part: "archive",
                            ..
                        }
                    ),
                    "{refused:?}"
                );
            }

            #[tokio::test]
            async fn an_archive_made_by_hand_is_used_as_it_is() {
                let database = Database::new().await;
                let options = table("orders").archive();
                let by_hand = $outbox::ddl_for(&options).unwrap();
                let quoted = format!("{0}orders{0}", $quote);
                assert!(by_hand.contains(&quoted), "{by_hand}");
                for _ in 0..2 {
                    execute(&database, &by_hand).await;
                }
                let outbox = $outbox::from_pool(database.pool().await).options(options);
                use_outbox(&outbox.await.unwrap()).await;
            }
        }
    };
}

tests_of_tables!(sqlite, super::Sqlite, SqliteOutbox, SqliteInbox, '"');
tests_of_tables!(postgres, databases::Postgres, PostgresOutbox, PostgresInbox, '"');
tests_of_tables!(mysql, databases::MySql, MySqlOutbox, MySqlInbox, '`');

/// A pool of one connection whose `search_path` is this.
async fn on_path(path: &str) -> PgPool {
    let options: PgConnectOptions = databases::postgres_url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(1);
    pool.connect_with(options.options([("search_path", path)]))
        .await
        .unwrap()
}

/// A tenant looks through its own schema first, and through one that all have. Its messages went to the outbox of all, and
/// were never seen again when the tenant had tables of its own.
#[tokio::test]
async fn tables_elsewhere_on_the_search_path_need_a_named_schema() {
    let (tenant, all) = (databases::Postgres::new().await, databases::Postgres::new().await);
    PostgresOutbox::from_pool(all.pool().await).await.unwrap();
    PostgresInbox::from_pool(all.pool().await).await.unwrap();
    let path = format!("{}, {}", tenant.name, all.name);

    let refused = of_tables(PostgresOutbox::from_pool(on_path(&path).await).await);
    let TableError::Elsewhere { found, current, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((found, current), (&all.name, &tenant.name));
    let refused = of_inbox_tables(PostgresInbox::from_pool(on_path(&path).await).await);
    assert!(matches!(refused, TableError::Elsewhere { .. }), "{refused:?}");

    let named = || OutboxOptions::default().schema(&tenant.name);
    let outbox = PostgresOutbox::from_pool(on_path(&path).await)
        .options(named())
        .await
        .unwrap();
    let inbox = InboxOptions::default().schema(&tenant.name);
    let inbox = PostgresInbox::from_pool(outbox.pool().clone())
        .options(inbox)
        .await;
    use_inbox(&inbox.unwrap()).await;
    let mut tx = outbox.pool().begin().await.unwrap();
    tx.deposit(&outbox, &[some_message()]).await.unwrap();
    tx.commit().await.unwrap();
    outbox.pool().close().await;

    // The next start has another path, and sees it, whether it names the schema or begins with it.
    for (path, options) in [
        (all.name.clone(), named()),
        (path.clone(), OutboxOptions::default()),
        (tenant.name.clone(), OutboxOptions::default()),
    ] {
        let outbox = PostgresOutbox::from_pool(on_path(&path).await).options(options);
        let outbox = outbox.await.unwrap();
        assert_eq!(outbox.status().await.unwrap().outstanding, 1, "{path}");
    }
    let of_all = PostgresOutbox::from_pool(all.pool().await).await.unwrap();
    assert_eq!(of_all.status().await.unwrap().outstanding, 0);
}

#[tokio::test]
async fn a_path_that_changes_after_the_opening_changes_nothing() {
    let (tenant, other) = (databases::Postgres::new().await, databases::Postgres::new().await);
    let outbox = PostgresOutbox::from_pool(on_path(&tenant.name).await)
        .await
        .unwrap();
    PostgresOutbox::from_pool(on_path(&other.name).await)
        .await
        .unwrap();
    // A pool of one: this is its connection.
    let elsewhere = AssertSqlSafe(format!("SET search_path = {}", other.name));
    sqlx::raw_sql(elsewhere).execute(outbox.pool()).await.unwrap();
    let mut tx = outbox.pool().begin().await.unwrap();
    tx.deposit(&outbox, &[some_message()]).await.unwrap();
    tx.commit().await.unwrap();
    use_outbox_beside_one(&outbox).await;
    let rows = AssertSqlSafe(format!("SELECT count(*) FROM {}.brighter_outbox", other.name));
    let rows: i64 = sqlx::query_scalar(rows).fetch_one(outbox.pool()).await.unwrap();
    assert_eq!(rows, 0);
}

async fn use_outbox_beside_one(outbox: &PostgresOutbox) {
    assert_eq!(outbox.status().await.unwrap().outstanding, 1);
    let claimed = outbox
        .claim(Claim::oldest(1, Duration::ZERO), LONG)
        .await
        .unwrap();
    let ids: Vec<_> = claimed.iter().map(|it| it.message.header.id.clone()).collect();
    outbox.mark_dispatched(&ids).await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_said() {
    let database = databases::Postgres::new().await;
    let refused = PostgresOutbox::from_pool(on_path("no_such_schema").await).await;
    assert_eq!(of_tables(refused), TableError::NoCurrentSchema);
    let options = OutboxOptions::default().schema("no_such_schema");
    let refused = PostgresOutbox::from_pool(database.pool().await)
        .options(options)
        .await;
    assert!(matches!(of_tables(refused), TableError::NoSchema { schema } if schema == "no_such_schema"));
    let options = OutboxOptions::default().schema("a\"; DROP");
    let refused = PostgresOutbox::from_pool(database.pool().await)
        .options(options)
        .await;
    assert!(matches!(of_tables(refused), TableError::Name { .. }));

    let url = databases::mysql_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    let refused = MySqlOutbox::connect(server).await;
    assert_eq!(of_tables(refused), TableError::NoCurrentSchema);
    let options = OutboxOptions::default().schema("no_such_database");
    let refused = MySqlOutbox::connect(server).options(options).await;
    assert!(matches!(of_tables(refused), TableError::NoSchema { .. }));
}

#[tokio::test]
async fn mysql_tables_may_be_in_another_database() {
    let (mine, other) = (databases::MySql::new().await, databases::MySql::new().await);
    let named = OutboxOptions::default().schema(&other.name);
    let outbox = MySqlOutbox::from_pool(mine.pool().await)
        .options(named)
        .await
        .unwrap();
    use_outbox(&outbox).await;
    let mut tx = outbox.pool().begin().await.unwrap();
    tx.deposit(&outbox, &[some_message()]).await.unwrap();
    tx.commit().await.unwrap();
    let seen = MySqlOutbox::from_pool(other.pool().await).await.unwrap();
    assert_eq!(seen.status().await.unwrap().outstanding, 1);

    // What a connection is told later does not matter.
    let pool = MySqlPoolOptions::new().max_connections(1);
    let url = databases::mysql_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    let pool = pool.connect(&format!("{server}/{}", mine.name)).await.unwrap();
    let outbox = MySqlOutbox::from_pool(pool).await.unwrap();
    let elsewhere = AssertSqlSafe(format!("USE {}", other.name));
    sqlx::raw_sql(elsewhere).execute(outbox.pool()).await.unwrap();
    outbox
        .deposit(&[some_message(), some_message()], None)
        .await
        .unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);
    assert_eq!(seen.status().await.unwrap().outstanding, 1);
}

#[tokio::test]
async fn sqlite_ignores_temporary_tables_and_attached_files() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.db");
    SqliteOutbox::open(&other).await.unwrap().pool().close().await;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("app.db"))
        .create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await.unwrap();
    let attach = AssertSqlSafe(format!("ATTACH '{}' AS other", other.display()));
    sqlx::raw_sql(attach).execute(&pool).await.unwrap();
    let shadow = "CREATE TEMP TABLE brighter_outbox (x); CREATE TEMP TABLE brighter_schema (name, version)";
    sqlx::raw_sql(shadow).execute(&pool).await.unwrap();

    let named = OutboxOptions::default().schema("other");
    let refused = of_tables(SqliteOutbox::from_pool(pool.clone()).options(named).await);
    assert!(matches!(refused, TableError::OtherFile { .. }), "{refused:?}");
    assert!(refused.source().is_none());
    let outbox = SqliteOutbox::from_pool(pool.clone()).await.unwrap();
    use_outbox(&outbox).await;
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    tx.deposit(&outbox, &[some_message()]).await.unwrap();
    tx.commit().await.unwrap();
    pool.close().await;
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 1);
    let outbox = SqliteOutbox::open(&other)
        .options(OutboxOptions::default().schema("main"))
        .await
        .unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
}
