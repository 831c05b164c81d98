//! Leases go by one clock, that of the database in UTC, whatever time zone a process or a session is in.

use std::path::Path;
use std::slice::from_ref;
use std::str::FromStr;
use std::time::Duration;

use brighter::inbox::{Begun, Inbox, InboxKey};
use brighter::outbox::{Claim, Outbox, Scheduling};
use brighter::testing::outbox::some_message;
use brighter::{
    MessageId, MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox,
};
use brighter_tests::databases;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool};

const HOUR: Duration = Duration::from_secs(3600);
const ALL: Claim<'static> = Claim::oldest(usize::MAX, Duration::ZERO);

fn key() -> InboxKey {
    InboxKey::new(MessageId::from("leases"), "handler")
}

/// What one has claimed, the other must not have; and what is new to one is neither too young for the other nor due too
/// early.
async fn share_one_clock<O, I>((outbox, inbox): (&O, &I), (other, other_inbox): (&O, &I))
where
    O: Outbox + Scheduling,
    I: Inbox,
{
    let (message, scheduled) = (some_message(), some_message());
    outbox.deposit(from_ref(&message), None).await.unwrap();
    outbox.schedule(&scheduled, HOUR).await.unwrap();
    assert_eq!(other.make_due(10).await.unwrap(), 0, "due too early");
    assert_eq!(other.claim(ALL, HOUR).await.unwrap().len(), 1, "too young");
    assert_eq!(outbox.claim(ALL, HOUR).await.unwrap().len(), 0, "claimed twice");
    other.release(from_ref(&message.header.id)).await.unwrap();
    assert_eq!(outbox.claim(ALL, HOUR).await.unwrap().len(), 1, "released");
    assert_eq!(other.claim(ALL, HOUR).await.unwrap().len(), 0, "claimed twice");
    outbox
        .mark_dispatched(from_ref(&message.header.id))
        .await
        .unwrap();
    assert!(outbox.cancel(&scheduled.header.id).await.unwrap());

    let begun = inbox.begin(&key(), None, HOUR).await.unwrap();
    let Begun::First(claim) = begun else {
        panic!("{begun:?}")
    };
    is_running(other_inbox).await;
    inbox.abandon(&key(), claim).await.unwrap();
}

/// The request of [`key`] is claimed by another, for most of an hour.
async fn is_running(inbox: &impl Inbox) {
    let begun = inbox.begin(&key(), None, HOUR).await.unwrap();
    let Begun::Running { left } = begun else {
        panic!("{begun:?}")
    };
    assert!(left <= HOUR && left > HOUR / 2, "{left:?}");
}

async fn mysql_in(database: &databases::MySql, zone: &'static str) -> (MySqlOutbox, MySqlInbox) {
    let options = MySqlConnectOptions::from_str(&databases::mysql_url()).unwrap();
    let options = options.database(&database.name).timezone(Some(zone.to_owned()));
    let pool: MySqlPool = MySqlPoolOptions::new().connect_with(options).await.unwrap();
    let inbox = MySqlInbox::from_pool(pool.clone()).await.unwrap();
    (MySqlOutbox::from_pool(pool).await.unwrap(), inbox)
}

#[tokio::test]
async fn sessions_of_mysql_in_other_time_zones_share_one_clock() {
    let database = databases::MySql::new().await;
    let (east, west) = (
        mysql_in(&database, "+09:00").await,
        mysql_in(&database, "-09:00").await,
    );
    share_one_clock((&east.0, &east.1), (&west.0, &west.1)).await;
    share_one_clock((&west.0, &west.1), (&east.0, &east.1)).await;
}

async fn postgres_in(database: &databases::Postgres, zone: &'static str) -> (PostgresOutbox, PostgresInbox) {
    let options = PgConnectOptions::from_str(&databases::postgres_url()).unwrap();
    // sqlx asks for UTC itself, whatever the options say.
    let pool = PgPoolOptions::new().after_connect(move |connection, _| {
        let set = AssertSqlSafe(format!("SET timezone = '{zone}'"));
        Box::pin(async move { sqlx::raw_sql(set).execute(connection).await.map(drop) })
    });
    let options = options.options([("search_path", database.name.as_str())]);
    let pool: PgPool = pool.connect_with(options).await.unwrap();
    let inbox = PostgresInbox::from_pool(pool.clone()).await.unwrap();
    (PostgresOutbox::from_pool(pool).await.unwrap(), inbox)
}

#[tokio::test]
async fn sessions_of_postgres_in_other_time_zones_share_one_clock() {
    let database = databases::Postgres::new().await;
    let (east, west) = (
        postgres_in(&database, "EAST-9").await,
        postgres_in(&database, "WEST9").await,
    );
    share_one_clock((&east.0, &east.1), (&west.0, &west.1)).await;
    share_one_clock((&west.0, &west.1), (&east.0, &east.1)).await;
}

/// A pool of one connection to MySQL, whose clock is what it is told.
async fn with_a_clock_of_its_own(database: &databases::MySql) -> MySqlPool {
    let options = MySqlConnectOptions::from_str(&databases::mysql_url()).unwrap();
    let pool = MySqlPoolOptions::new().max_connections(1);
    pool.connect_with(options.database(&database.name)).await.unwrap()
}

async fn set_clock(pool: &MySqlPool, seconds: i64) {
    let set = format!("SET timestamp = 1893456000 + {seconds}");
    sqlx::raw_sql(AssertSqlSafe(set)).execute(pool).await.unwrap();
}

/// What the catalogue of faults has for PostgreSQL as D05. The clock is years from that of this process.
#[tokio::test]
async fn leases_use_the_clock_of_mysql() {
    let database = databases::MySql::new().await;
    let pool = with_a_clock_of_its_own(&database).await;
    let outbox = MySqlOutbox::from_pool(pool.clone()).await.unwrap();
    let inbox = MySqlInbox::from_pool(pool.clone()).await.unwrap();
    let minute = Duration::from_secs(60);
    let claim = async || outbox.claim(ALL, minute).await.unwrap().len();
    let is_first = async || matches!(inbox.begin(&key(), None, minute).await, Ok(Begun::First(_)));
    for (start, after) in [(0, 61), (-7_000, 600)] {
        set_clock(&pool, start).await;
        let message = some_message();
        outbox.deposit(from_ref(&message), None).await.unwrap();
        assert_eq!(claim().await, 1);
        assert!(is_first().await);
        set_clock(&pool, start + 59).await;
        assert_eq!(claim().await, 0, "another's lease holds");
        assert!(!is_first().await, "another's lease holds");
        set_clock(&pool, start + after).await;
        assert_eq!(claim().await, 1, "it has ended");
        assert!(is_first().await, "it has ended");
        // It steps back: nothing is early.
        set_clock(&pool, start).await;
        assert_eq!(claim().await, 0);
        assert!(!is_first().await);
        outbox
            .mark_dispatched(from_ref(&message.header.id))
            .await
            .unwrap();
        inbox.complete(&key()).await.unwrap();
        sqlx::raw_sql("DELETE FROM brighter_inbox")
            .execute(&pool)
            .await
            .unwrap();
    }
}

const ELSEWHERE: &str = "BRIGHTER_TEST_ELSEWHERE";

async fn sqlite_at(path: &Path) -> (SqliteOutbox, SqliteInbox) {
    let inbox = SqliteInbox::open(path).await.unwrap();
    (SqliteOutbox::open(path).await.unwrap(), inbox)
}

/// What the next test starts in another time zone. Nothing, when run by itself.
#[tokio::test]
async fn shares_a_file_with_another_zone() {
    let Ok(path) = std::env::var(ELSEWHERE) else {
        return;
    };
    let (outbox, inbox) = sqlite_at(Path::new(&path)).await;
    assert_eq!(outbox.claim(ALL, HOUR).await.unwrap().len(), 0, "claimed twice");
    assert_eq!(outbox.make_due(10).await.unwrap(), 0, "due too early");
    is_running(&inbox).await;
    let key = InboxKey::new(MessageId::from("elsewhere"), "handler");
    inbox.begin(&key, None, HOUR).await.unwrap();
    outbox.deposit(&[some_message()], None).await.unwrap();
    assert_eq!(outbox.claim(ALL, HOUR).await.unwrap().len(), 1);
}

#[tokio::test]
async fn processes_in_other_time_zones_share_one_clock_over_sqlite() {
    let this = std::thread::current().name().unwrap().to_owned();
    let other = this.replace(
        "processes_in_other_time_zones_share_one_clock_over_sqlite",
        "shares_a_file_with_another_zone",
    );
    for zone in ["EAST-9", "WEST9"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let (outbox, inbox) = sqlite_at(&path).await;
        outbox.deposit(&[some_message()], None).await.unwrap();
        outbox.schedule(&some_message(), HOUR).await.unwrap();
        assert_eq!(outbox.claim(ALL, HOUR).await.unwrap().len(), 1);
        assert!(matches!(
            inbox.begin(&key(), None, HOUR).await,
            Ok(Begun::First(_))
        ));
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([&other, "--exact", "--nocapture"])
            .env(ELSEWHERE, &path)
            .env("TZ", zone)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{zone}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(outbox.status().await.unwrap().outstanding, 2, "it was there");
        assert_eq!(
            outbox.claim(ALL, HOUR).await.unwrap().len(),
            0,
            "{zone}: claimed twice"
        );
        let key = InboxKey::new(MessageId::from("elsewhere"), "handler");
        let begun = inbox.begin(&key, None, HOUR).await.unwrap();
        assert!(matches!(begun, Begun::Running { .. }), "{zone}: {begun:?}");
    }
}
