//! The server of the outbox becomes one to read from, and another takes over: D08.

use brighter::PostgresOutbox;
use brighter::outbox::OutboxError;
use brighter::processor::PostError;
use brighter_faults::desk::Pay;
use brighter_faults::postgres::{self, Postgres};
use brighter_faults::scale::report;
use brighter_faults::server;
use brighter_faults::wait::until_answer;
use brighter_faults::way::Way;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::d_posting::PostingApp;

type App = PostingApp<sqlx::Postgres, PostgresOutbox>;

async fn tell(server: &Postgres, statement: &'static str) {
    let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
}

async fn ask(server: &Postgres, question: String) -> bool {
    let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let answer = sqlx::query_scalar(AssertSqlSafe(question));
    answer.fetch_one(&mut connection).await.unwrap()
}

/// Posts so many, half of them in transactions, all at once. Returns how many were accepted, and the errors of the others.
async fn post(app: &App, posts: i64) -> (usize, Vec<OutboxError>) {
    let all = (0..posts).map(|number| {
        let (processor, depositing, pool) = (app.processor.clone(), app.depositing.clone(), app.pool.clone());
        tokio::spawn(async move {
            if number % 2 == 0 {
                return match processor.post(Pay::new(number)).await {
                    Err(PostError::Outbox(error)) => Err(error),
                    other => {
                        other.unwrap();
                        Ok(())
                    }
                };
            }
            let mut tx = pool.begin().await.unwrap();
            match depositing.deposit_post(&mut tx, Pay::new(number)).await {
                Err(PostError::Outbox(error)) => Err(error),
                other => {
                    other.unwrap();
                    tx.commit().await.unwrap();
                    Ok(())
                }
            }
        })
    });
    let (mut accepted, mut errors) = (0, Vec::new());
    for post in futures_util::future::join_all(all).await {
        match post.unwrap() {
            Ok(()) => accepted += 1,
            Err(error) => errors.push(error),
        }
    }
    (accepted, errors)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d08_a_failover_to_a_standby_loses_nothing() {
    let primary = Postgres::start().await;
    let name = primary.database().await;
    let standby = postgres::standby_of(&primary).await;
    let way = Way::to(primary.address()).await;
    // Of four connections, and patient: a login takes long where the machine has much to do.
    let pool = server::pool::<sqlx::Postgres>(&primary.url_at(way.address(), &name)).await;
    let outbox = PostgresOutbox::from_pool(pool).await.unwrap();
    let pool = server::pool::<sqlx::Postgres>(&primary.url_at(way.address(), &name)).await;
    let depositing = PostgresOutbox::from_pool(pool.clone()).await.unwrap();
    let app = App::start(outbox, pool, depositing).await;
    let (before, errors) = post(&app, 200).await;
    assert!(errors.is_empty(), "{errors:?}");
    app.until_sent(before).await;

    // The old one is fenced, and every connection to it stays.
    tell(&primary, "ALTER SYSTEM SET default_transaction_read_only = on").await;
    tell(&primary, "SELECT pg_reload_conf()").await;
    until_answer("posts to be refused", true, async || {
        let (_, errors) = post(&app, 8).await;
        let is_standby = |error: &OutboxError| matches!(error, OutboxError::Standby(_));
        assert!(errors.iter().all(is_standby), "{errors:?}");
        errors.len() == 8
    })
    .await;
    let end = "SELECT CAST(pg_current_wal_lsn() AS text)";
    let mut connection = PgConnection::connect(&primary.url("postgres")).await.unwrap();
    let end: String = sqlx::query_scalar(end).fetch_one(&mut connection).await.unwrap();
    let followed = format!("SELECT pg_last_wal_replay_lsn() >= CAST('{end}' AS pg_lsn)");
    until_answer("the standby to have all", true, async || {
        ask(&standby, followed.clone()).await
    })
    .await;
    let accepted = outbox_rows(&primary, &name).await;

    assert!(ask(&standby, "SELECT pg_promote()".into()).await);
    way.turn_to(standby.address());
    let (mut after, mut refused) = (0, 0);
    until_answer("a post to reach the new server", true, async || {
        let (accepted, errors) = post(&app, 2).await;
        after += accepted;
        refused += errors.len();
        errors.is_empty()
    })
    .await;
    until_answer("no connection to the old one to be left", true, async || {
        let (accepted, errors) = post(&app, 50).await;
        after += accepted;
        refused += errors.len();
        errors.is_empty()
    })
    .await;
    let (more, errors) = post(&app, 200).await;
    assert!(errors.is_empty(), "{errors:?}");
    after += more;
    let all = accepted + after;
    app.until_sent(all).await;
    app.until_marked().await;
    assert_eq!(outbox_rows(&standby, &name).await, all);
    report(
        "D08",
        format_args!("{accepted} posted before, {refused} refused after the mend, {all} deposited and sent"),
    );
    app.processor.close().await;
}

async fn outbox_rows(server: &Postgres, database: &str) -> usize {
    let mut connection = PgConnection::connect(&server.url(database)).await.unwrap();
    let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM brighter_outbox");
    usize::try_from(rows.fetch_one(&mut connection).await.unwrap()).unwrap()
}
