//! An application in this process whose effects are rows: for faults that are done to its database.

use brighter::channel::Broker;
use brighter::inbox::{Inbox, complete_in};
use brighter::prelude::*;
use brighter::{MySqlInbox, PostgresInbox, SqliteInbox};
use sqlx::{MySqlPool, PgPool, SqlitePool};

/// Something to be paid.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Desk.Pay")]
pub struct Pay {
    /// Which.
    pub id: MessageId,
    /// How much.
    pub amount: i64,
}

impl Pay {
    /// Something new to be paid.
    #[must_use]
    pub fn new(amount: i64) -> Self {
        Self {
            id: MessageId::new(),
            amount,
        }
    }
}

/// The table of the effects. Nothing in it keeps one from being there twice.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS paid (amount BIGINT NOT NULL)";
/// One effect.
pub const INSERT: &str = "INSERT INTO paid (amount) VALUES ($1)";
/// All effects.
pub const SELECT: &str = "SELECT amount FROM paid ORDER BY amount";

/// Pays in PostgreSQL.
pub struct PostgresDesk(pub PgPool);

#[handler]
impl Handler<Pay> for PostgresDesk {
    #[use_inbox(lease = "2s", step = 1)]
    async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
        let mut tx = self.0.begin().await?;
        sqlx::query(INSERT).bind(pay.amount).execute(&mut *tx).await?;
        complete_in(&mut tx, cx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Pays in SQLite.
pub struct SqliteDesk(pub SqlitePool);

#[handler]
impl Handler<Pay> for SqliteDesk {
    #[use_inbox(lease = "2s", step = 1)]
    async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
        let mut tx = self.0.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(INSERT).bind(pay.amount).execute(&mut *tx).await?;
        complete_in(&mut tx, cx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A dispatcher over a broker, started, whose handler pays in PostgreSQL.
///
/// # Panics
/// Its tables cannot be made.
pub async fn in_postgres(broker: impl Broker, pool: &PgPool) -> Dispatcher {
    sqlx::raw_sql(TABLE)
        .execute(pool)
        .await
        .expect("a table can be made");
    let inbox = PostgresInbox::from_pool(pool.clone()).await;
    start(broker, inbox.expect("tables can be made"), |processor| {
        processor.handler(PostgresDesk(pool.clone()))
    })
    .await
}

/// Pays in MariaDB.
pub struct MariaDbDesk(pub MySqlPool);

#[handler]
impl Handler<Pay> for MariaDbDesk {
    #[use_inbox(lease = "2s", step = 1)]
    async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
        let mut tx = self.0.begin().await?;
        sqlx::query("INSERT INTO paid (amount) VALUES (?)")
            .bind(pay.amount)
            .execute(&mut *tx)
            .await?;
        complete_in(&mut tx, cx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A dispatcher over a broker, started, whose handler pays in MariaDB.
///
/// # Panics
/// Its tables cannot be made.
pub async fn in_mariadb(broker: impl Broker, pool: &MySqlPool) -> Dispatcher {
    sqlx::raw_sql(TABLE)
        .execute(pool)
        .await
        .expect("a table can be made");
    let inbox = MySqlInbox::from_pool(pool.clone()).await;
    start(broker, inbox.expect("tables can be made"), |processor| {
        processor.handler(MariaDbDesk(pool.clone()))
    })
    .await
}

/// A dispatcher over a broker, started, whose handler pays in SQLite.
///
/// # Panics
/// Its tables cannot be made.
pub async fn in_sqlite(broker: impl Broker, pool: &SqlitePool) -> Dispatcher {
    sqlx::raw_sql(TABLE)
        .execute(pool)
        .await
        .expect("a table can be made");
    let inbox = SqliteInbox::from_pool(pool.clone()).await;
    start(broker, inbox.expect("tables can be made"), |processor| {
        processor.handler(SqliteDesk(pool.clone()))
    })
    .await
}

/// The channel of a desk.
pub const CHANNEL: &str = "desk";

async fn start(
    broker: impl Broker,
    inbox: impl Inbox,
    handler: impl FnOnce(
        brighter::processor::CommandProcessorBuilder,
    ) -> brighter::processor::CommandProcessorBuilder,
) -> Dispatcher {
    let builder = CommandProcessor::builder()
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .inbox(inbox);
    let processor = handler(builder)
        .build()
        .expect("the processor is put together well");
    let subscription = Subscription::<Pay>::new(CHANNEL)
        .delays([std::time::Duration::from_millis(50)])
        .attempts(20);
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .expect("the dispatcher is put together well");
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    dispatcher
}
