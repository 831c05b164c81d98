//! Deposits in transactions that are not those of sqlx, as `docs/book/src/how-to/other-database-libraries.md` shows.

use std::time::Duration;

use brighter::message::Message;
use brighter::outbox::{Claim, Outbox};
use brighter::testing::outbox::some_message;
use brighter::{BoxError, PostgresOutbox};
use brighter_tests::databases;
use tokio_postgres::{NoTls, Transaction};

/// As in the documentation.
async fn deposit(tx: &Transaction<'_>, outbox: &PostgresOutbox, message: &Message) -> Result<(), BoxError> {
    let deposit = outbox.deposit_statement(message)?;
    tx.execute(
        &deposit.sql,
        &[
            &deposit.message_id,
            &deposit.topic,
            &deposit.message_type,
            &deposit.header,
            &deposit.body,
            &deposit.lease,
            &deposit.causation_id,
        ],
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_tokio_postgres_deposit_commits_with_its_transaction() {
    let database = databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let (mut client, connection) = tokio_postgres::connect(&databases::postgres_url(), NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let search_path = format!("SET search_path TO {}", database.name);
    client.batch_execute(&search_path).await.unwrap();

    let mut message = some_message();
    message.header.topic = "with \0 and \u{1}".into();
    message.header.causation_id = Some("its cause".into());
    for commit in [false, true] {
        let tx = client.transaction().await.unwrap();
        deposit(&tx, &outbox, &message).await.unwrap();
        // Twice is once.
        deposit(&tx, &outbox, &message).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let expected = u64::from(commit);
        assert_eq!(outbox.status().await.unwrap().outstanding, expected);
    }
    let claimed = outbox
        .claim(Claim::oldest(10, Duration::ZERO), Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message, message);
    drop(client);
    connection.await.unwrap().unwrap();
}
