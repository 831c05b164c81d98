//! What is special to the outbox in SQLite.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::log::Log;
use brighter::inbox::InboxError;
use brighter::message::{Message, MessageBody};
use brighter::outbox::{
    Claim, Claimed, DeadMessages, Failure, Inspection, MessageState, Outbox, OutboxError, OutboxTransaction,
};
use brighter::store::OutboxOptions;
use brighter::testing::eventually;
use brighter::testing::outbox::some_message;
use brighter::{MessageId, SqliteBroker, SqliteInbox, SqliteOutbox};
use brighter_tests::databases::make_read_only;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, SqlitePool};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

const LONG: Duration = Duration::from_secs(3600);
const ALL: Claim<'static> = oldest(usize::MAX);

const fn oldest(limit: usize) -> Claim<'static> {
    let min_age = Duration::ZERO;
    Claim::oldest(limit, min_age)
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
}

/// A pool of one connection, so that every statement meets it.
async fn pool(options: SqliteConnectOptions) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect_with(options).await.unwrap()
}

async fn execute(pool: &SqlitePool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement)).execute(pool).await.unwrap();
}

async fn count(pool: &SqlitePool, table: &str) -> i64 {
    let statement = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

fn ids(claimed: &[Claimed]) -> Vec<MessageId> {
    claimed.iter().map(|it| it.message.header.id.clone()).collect()
}

#[tokio::test]
async fn a_message_and_its_row_are_stored_together() {
    let folder = folder();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    execute(outbox.pool(), "CREATE TABLE tasks (name TEXT)").await;
    for (commit, expected) in [(false, 0), (true, 1)] {
        let mut tx = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("INSERT INTO tasks VALUES ('milk')")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.deposit(&outbox, &[some_message()]).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        assert_eq!(count(outbox.pool(), "tasks").await, expected);
        assert_eq!(count(outbox.pool(), "brighter_outbox").await, expected);
    }
}

fn messages_of(size: usize) -> Vec<Message> {
    let mut message = some_message();
    message.body = MessageBody::new(vec![b'x'; size]);
    vec![some_message(), message]
}

/// 200 kB fit in the file and 800 kB do not.
#[tokio::test]
async fn a_full_disk_stores_nothing_and_says_so() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let app = pool(options(&path).pragma("max_page_count", "100")).await;
    let outbox = SqliteOutbox::from_pool(app.clone()).await.unwrap();
    outbox.deposit(&messages_of(200_000), None).await.unwrap();

    let full = outbox.deposit(&messages_of(800_000), None).await;
    assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);

    let mut tx = app.begin().await.unwrap();
    let full = tx.deposit(&outbox, &messages_of(800_000)).await;
    assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
    drop(tx);
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);

    // The outbox goes on: what is there can be published, and what is small still fits.
    let claimed = outbox.claim(ALL, LONG).await.unwrap();
    assert_eq!(claimed.len(), 2);
    outbox.deposit(&[some_message()], None).await.unwrap();
    outbox.mark_dispatched(&ids(&claimed)).await.unwrap();
    execute(&app, "PRAGMA max_page_count = 10000").await;
    outbox.deposit(&messages_of(800_000), None).await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 3);
}

/// SQLite rolls back by itself when the disk is full at the commit, and sqlx goes on believing that the
/// connection is in a transaction.
#[tokio::test]
async fn a_transaction_ended_by_sqlite_spares_the_next() {
    let folder = folder();
    let app = pool(options(&folder.path().join("outbox.db"))).await;
    let outbox = SqliteOutbox::from_pool(app.clone()).await.unwrap();
    let mut tx = app.begin().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
    drop(tx);
    outbox.deposit(&[some_message()], None).await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 1);
}

#[tokio::test]
async fn a_file_that_may_not_be_written_can_be_read() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let message = some_message();
    let writable = SqliteOutbox::open(&path).await.unwrap();
    writable
        .deposit(std::slice::from_ref(&message), None)
        .await
        .unwrap();

    let read_only = SqliteConnectOptions::new().filename(&path).read_only(true);
    let outbox = SqliteOutbox::from_pool(pool(read_only).await).await.unwrap();
    let id = message.header.id.clone();
    assert_eq!(outbox.get(&[id]).await.unwrap(), [message]);
    let refused = outbox.deposit(&[some_message()], None).await;
    assert!(matches!(refused, Err(OutboxError::ReadOnly(_))), "{refused:?}");
    let refused = outbox.claim(ALL, LONG).await;
    assert!(matches!(refused, Err(OutboxError::ReadOnly(_))), "{refused:?}");

    let empty = folder.path().join("empty.db");
    pool(options(&empty)).await.close().await;
    let read_only = SqliteConnectOptions::new().filename(&empty).read_only(true);
    let refused = SqliteOutbox::from_pool(pool(read_only).await).await;
    assert!(matches!(refused, Err(OutboxError::ReadOnly(_))), "{refused:?}");
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error
        .source()
        .map_or_else(String::new, |source| format!(": {}", chain(source)));
    format!("{error}{source}")
}

/// Of each way in which a file may only be read, the error says what it is.
#[tokio::test]
async fn a_read_only_file_is_a_clear_error() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    SqliteOutbox::open(&path).await.unwrap().pool().close().await;
    let asking = options(&path).pragma("query_only", "true");
    for options in [
        SqliteConnectOptions::new().filename(&path).read_only(true),
        asking,
    ] {
        let outbox = SqliteOutbox::from_pool(pool(options).await).await.unwrap();
        let refused = outbox.deposit(&[some_message()], None).await.unwrap_err();
        assert!(matches!(refused, OutboxError::ReadOnly(_)), "{refused:?}");
        let text = chain(&refused);
        assert!(
            text.contains("may only be read") && text.contains("query_only"),
            "{text}"
        );
        outbox.pool().close().await;
    }
    make_read_only(&path);
    let refused = SqliteOutbox::open(&path).await.unwrap_err();
    assert!(chain(&refused).contains("may only be read"), "{refused:?}");
}

/// As a restore from a backup does under a program that runs. Where SQLite notices, which it does without a write-ahead log,
/// no connection to the old file stays.
#[tokio::test]
async fn no_connection_writes_to_a_replaced_file() {
    let folder = folder();
    let (path, new) = (folder.path().join("app.db"), folder.path().join("new.db"));
    let in_file = async |path: &Path| {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Delete);
        let pool = SqlitePoolOptions::new().min_connections(4).max_connections(4);
        let pool = pool.connect_with(options).await.unwrap();
        SqliteOutbox::from_pool(pool).await.unwrap()
    };
    in_file(&new).await.pool().close().await;
    let outbox = in_file(&path).await;
    // All four are open.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(outbox.pool().acquire().await.unwrap());
    }
    drop(held);
    outbox.deposit(&[some_message()], None).await.unwrap();
    // Connections go back to the pool a little after they are dropped.
    eventually("all are idle", async || {
        (outbox.pool().num_idle() == 4).then_some(())
    })
    .await;
    std::fs::rename(&path, folder.path().join("old.db")).unwrap();
    std::fs::rename(&new, &path).unwrap();

    let refused = outbox.deposit(&[some_message()], None).await.unwrap_err();
    assert!(matches!(refused, OutboxError::Standby(_)), "{refused:?}");
    assert!(chain(&refused).contains("replaced"), "{refused:?}");
    for _ in 0..8 {
        outbox.deposit(&[some_message()], None).await.unwrap();
    }
    assert_eq!(in_file(&path).await.status().await.unwrap().outstanding, 8);
}

/// SQLite opens it, and reads it, so that only the first deposit would fail, or the first request.
#[tokio::test]
async fn an_unwritable_file_is_refused_on_open() {
    let folder = folder();
    let path = folder.path().join("app.db");
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    SqliteInbox::open(&path).await.unwrap().pool().close().await;
    execute(outbox.pool(), "PRAGMA user_version = 7").await;
    outbox.pool().close().await;
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    let version = sqlx::query_scalar::<_, i64>("PRAGMA user_version");
    let version = version.fetch_one(outbox.pool()).await.unwrap();
    assert_eq!(version, 7, "nothing is written to find out");
    outbox.pool().close().await;

    make_read_only(&path);
    let refused = SqliteOutbox::open(&path).await;
    assert!(matches!(refused, Err(OutboxError::ReadOnly(_))), "{refused:?}");
    let refused = SqliteInbox::open(&path).await;
    assert!(matches!(refused, Err(InboxError::ReadOnly(_))), "{refused:?}");
}

/// The files of the database in this folder, by their names, with who may do what with them.
#[cfg(unix)]
fn modes(folder: &Path) -> Vec<(String, u32)> {
    use std::os::unix::fs::PermissionsExt;

    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut modes: Vec<_> = entries
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    modes.sort();
    modes
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_are_made_are_for_their_user_alone() {
    let folder = folder();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    outbox.deposit(&[some_message()], None).await.unwrap();
    let inbox = SqliteInbox::open(folder.path().join("inbox.db")).await.unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    let modes = modes(folder.path());
    for name in ["app.db", "app.db-shm", "app.db-wal", "broker.db", "inbox.db"] {
        assert!(modes.iter().any(|(found, _)| found == name), "{name}: {modes:?}");
    }
    assert!(modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
    drop((inbox, broker));
}

#[cfg(unix)]
#[tokio::test]
async fn permissions_of_an_existing_file_stay_and_are_reported_once() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let path = folder.path().join("app.db");
    pool(options(&path)).await.close().await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let log = Log::default();
    let _heard = log.here();
    for _ in 0..2 {
        let outbox = SqliteOutbox::open(&path).await.unwrap();
        outbox.deposit(&[some_message()], None).await.unwrap();
        assert!(modes(folder.path()).contains(&("app.db".to_owned(), 0o644)));
    }
    let told = log.lines_with("every user of this machine may read");
    assert!(told.len() == 1 && told[0].contains("mode=644"), "{log:?}");
}

#[tokio::test]
async fn a_commit_is_on_the_disk_before_it_is_confirmed() {
    let folder = folder();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    let inbox = SqliteInbox::open(folder.path().join("app.db")).await.unwrap();
    for pool in [outbox.pool(), inbox.pool()] {
        // Also of a connection that is made later.
        let (mut one, mut other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        for connection in [&mut one, &mut other] {
            let synchronous = sqlx::query_scalar::<_, i64>("PRAGMA synchronous");
            let full = 2;
            assert_eq!(synchronous.fetch_one(&mut **connection).await.unwrap(), full);
        }
    }
}

#[tokio::test]
async fn a_foreign_lock_is_awaited_and_then_reported() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let patient = options(&path).busy_timeout(Duration::from_millis(100));
    let outbox = SqliteOutbox::from_pool(pool(patient).await).await.unwrap();
    let other = pool(options(&path)).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();

    let busy = outbox.deposit(&[some_message()], None).await;
    assert!(matches!(busy, Err(OutboxError::Unavailable(_))), "{busy:?}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 0, "reading goes on");
    lock.rollback().await.unwrap();
    outbox.deposit(&[some_message()], None).await.unwrap();
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_said_at_once() {
    let folder = folder();
    let nowhere = SqliteOutbox::open(folder.path().join("missing/outbox.db")).await;
    assert!(matches!(nowhere, Err(OutboxError::Unavailable(_))), "{nowhere:?}");
    let no_database = folder.path().join("letter.txt");
    std::fs::write(&no_database, "Dear Sirs, ".repeat(1_000)).unwrap();
    let no_database = SqliteOutbox::open(no_database).await;
    assert!(
        matches!(no_database, Err(OutboxError::Other(_))),
        "{no_database:?}"
    );
    let memory = SqliteOutbox::open(":memory:").await;
    assert!(matches!(memory, Err(OutboxError::Other(_))), "{memory:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    execute(outbox.pool(), "UPDATE brighter_schema SET version = 99").await;
    let refused = SqliteOutbox::open(&path).await;
    assert!(
        matches!(refused, Err(OutboxError::NewerSchema { found: 99, known: 5 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn tables_of_the_first_version_are_migrated() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let message = some_message();
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    outbox
        .deposit(std::slice::from_ref(&message), None)
        .await
        .unwrap();
    execute(outbox.pool(), "DROP INDEX brighter_outbox_dead").await;
    execute(outbox.pool(), "UPDATE brighter_schema SET version = 1").await;
    drop(outbox);

    let outbox = SqliteOutbox::open(&path).await.unwrap();
    let version: i64 = sqlx::query_scalar("SELECT version FROM brighter_schema WHERE name = 'outbox'")
        .fetch_one(outbox.pool())
        .await
        .unwrap();
    assert_eq!(version, 5);
    let id = message.header.id.clone();
    let failure = Failure::new(id.clone(), "no", LONG).last();
    outbox.mark_failed(&[failure]).await.unwrap();
    assert_eq!(outbox.dead(10).await.unwrap()[0].id, id);
}

#[tokio::test]
async fn beyond_the_limit_nothing_is_stored() {
    let folder = folder();
    let pool = pool(options(&folder.path().join("outbox.db"))).await;
    let limited = OutboxOptions::default().limit(3);
    let outbox = SqliteOutbox::from_pool(pool).options(limited).await.unwrap();
    super::servers::beyond_the_limit_nothing_is_stored(&outbox).await;
}

#[tokio::test]
async fn tables_made_by_hand_are_used_as_they_are() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let by_hand = pool(options(&path)).await;
    for _ in 0..2 {
        sqlx::raw_sql(AssertSqlSafe(SqliteOutbox::ddl()))
            .execute(&by_hand)
            .await
            .unwrap();
    }
    let tables = "SELECT group_concat(sql) FROM sqlite_schema ORDER BY name";
    let before: String = sqlx::query_scalar(tables).fetch_one(&by_hand).await.unwrap();
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    let after: String = sqlx::query_scalar(tables).fetch_one(&by_hand).await.unwrap();
    assert_eq!(before, after);
    outbox.deposit(&[some_message()], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_fresh_file_at_once() {
    let folder = folder();
    for round in 0..10 {
        let path = folder.path().join(format!("{round}.db"));
        let opening: Vec<_> = (0..8)
            .map(|_| tokio::spawn(SqliteOutbox::open(path.clone()).into_future()))
            .collect();
        for opened in opening {
            let outbox = opened.await.unwrap().unwrap();
            outbox.deposit(&[some_message()], None).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pools_share_and_never_overlap() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    let messages: Vec<Message> = (0..1_000).map(|_| some_message()).collect();
    outbox.deposit(&messages, None).await.unwrap();
    let claimer = |outbox: SqliteOutbox| async move {
        let mut mine = Vec::new();
        loop {
            let claimed = outbox.claim(oldest(10), LONG).await.unwrap();
            if claimed.is_empty() {
                return mine;
            }
            mine.extend(ids(&claimed));
            // Room for the other, who polls for the lock.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let other = SqliteOutbox::open(&path).await.unwrap();
    let (first, second) = (tokio::spawn(claimer(outbox)), tokio::spawn(claimer(other)));
    let (mut all, second) = (first.await.unwrap(), second.await.unwrap());
    all.extend(second);
    all.sort();
    let mut expected: Vec<MessageId> = messages.into_iter().map(|message| message.header.id).collect();
    expected.sort();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn everything_is_there_after_it_was_opened_again() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let messages: Vec<Message> = (0..3).map(|_| some_message()).collect();
    let all: Vec<MessageId> = messages.iter().map(|message| message.header.id.clone()).collect();
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    outbox.deposit(&messages, None).await.unwrap();
    outbox.claim(ALL, LONG).await.unwrap();
    outbox.mark_dispatched(&all[..1]).await.unwrap();
    let failure = Failure::new(all[1].clone(), "é".repeat(5_000), LONG);
    outbox.mark_failed(&[failure]).await.unwrap();
    drop(outbox);

    let outbox = SqliteOutbox::open(&path).await.unwrap();
    assert_eq!(outbox.get(&all).await.unwrap(), messages);
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);
    assert!(outbox.claim(ALL, LONG).await.unwrap().is_empty());
    // The error is kept, but not all of it.
    let failed = MessageState::outstanding(1, Some("é".repeat(2_000)));
    assert_eq!(outbox.state(&all[1]).await.unwrap(), Some(failed));
    assert_eq!(
        outbox.state(&all[2]).await.unwrap(),
        Some(MessageState::outstanding(0, None))
    );
}

#[tokio::test]
async fn an_unreadable_row_is_rejected_and_blocks_nothing() {
    let folder = folder();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let messages: Vec<Message> = (0..4).map(|_| some_message()).collect();
    let all: Vec<MessageId> = messages.iter().map(|message| message.header.id.clone()).collect();
    outbox.deposit(&messages, None).await.unwrap();
    for (seq, header) in [
        (1, "'no JSON'"),
        (2, "CAST(x'ff' AS TEXT)"),
        (3, "(SELECT header FROM brighter_outbox WHERE seq = 4)"),
    ] {
        let statement = format!("UPDATE brighter_outbox SET header = {header} WHERE seq = {seq}");
        execute(outbox.pool(), &statement).await;
    }

    assert_eq!(ids(&outbox.claim(ALL, Duration::ZERO).await.unwrap()), all[3..]);
    assert_eq!(ids(&outbox.claim(ALL, Duration::ZERO).await.unwrap()), all[3..]);
    let status = outbox.status().await.unwrap();
    assert_eq!((status.outstanding, status.dead), (1, 3), "they are still there");
    let dead = outbox.dead(10).await.unwrap();
    let dead: Vec<_> = dead.into_iter().map(|dead| dead.id).collect();
    assert_eq!(dead, all[..3]);
    for id in &all[..3] {
        let state = outbox.state(id).await.unwrap();
        let Some(MessageState::Dead {
            last_error: Some(reason),
            ..
        }) = state
        else {
            panic!("{state:?}");
        };
        assert!(reason.contains(&id.to_string()), "{reason}");
        match outbox.get(std::slice::from_ref(id)).await {
            Err(OutboxError::Corrupt { id: corrupt, .. }) => assert_eq!(corrupt, id.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_header_that_json_cannot_hold_is_refused() {
    let folder = folder();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let mut message = some_message();
    message.header.bag.insert("ratio", f64::NAN);
    let refused = outbox.deposit(&[some_message(), message], None).await;
    assert!(matches!(refused, Err(OutboxError::Other(_))), "{refused:?}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
}

const KILLED: &str = "BRIGHTER_TEST_CLAIMER";
const LEASE: Duration = Duration::from_millis(500);

/// What the next test kills. Nothing, when run by itself.
#[tokio::test]
async fn claims_and_waits_to_be_killed() {
    let Ok(path) = std::env::var(KILLED) else { return };
    let outbox = SqliteOutbox::open(path).await.unwrap();
    assert_eq!(outbox.claim(ALL, LEASE).await.unwrap().len(), 3);
    println!("\nclaimed");
    std::future::pending().await
}

#[tokio::test]
async fn claims_of_a_killed_process_come_back() {
    let folder = folder();
    let path = folder.path().join("outbox.db");
    let outbox = SqliteOutbox::open(&path).await.unwrap();
    let messages = [some_message(), some_message(), some_message()];
    outbox.deposit(&messages, None).await.unwrap();

    let this = std::thread::current().name().unwrap().to_owned();
    let killed = this.replace(
        "claims_of_a_killed_process_come_back",
        "claims_and_waits_to_be_killed",
    );
    let mut claimer = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([&killed, "--exact", "--nocapture"])
        .env(KILLED, &path)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(claimer.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("it claims") != "claimed" {}
    claimer.kill().await.unwrap();

    let claimed = eventually("the lease ends", async || {
        let claimed = outbox.claim(ALL, LONG).await.unwrap();
        (!claimed.is_empty()).then_some(claimed)
    })
    .await;
    let claimed: Vec<Message> = claimed.into_iter().map(|it| it.message).collect();
    assert_eq!(claimed, messages);
}
