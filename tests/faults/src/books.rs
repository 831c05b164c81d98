//! An application with a database, in processes of its own, to be killed at any step: a producer that stores orders
//! with their messages, a sweeper that sends these, a consumer that has effects exactly once and says so with a receipt.
//!
//! The program is `faults-books`; here is what it shares with the tests that start it and look at its books.

use std::path::PathBuf;

use brighter::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;

use crate::place::Place;
use crate::{mariadb, postgres, server, wait};

/// Something is to be delivered.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Books.Order")]
pub struct Order {
    /// Which.
    pub id: MessageId,
    /// Its number in the books.
    pub number: i64,
}

/// It was delivered.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Books.Receipt")]
pub struct Receipt {
    /// Which.
    pub id: MessageId,
    /// The number of the order.
    pub number: i64,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Stores orders, and their messages.
    Producer,
    /// Sends what is stored.
    Sweeper,
    /// Handles what was sent.
    Consumer,
    /// All of it.
    All,
}

impl Role {
    /// Whether it does what this one does.
    #[must_use]
    pub fn is(self, role: Self) -> bool {
        self == role || self == Self::All
    }
}

/// Where the books are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Where {
    /// In this file.
    Sqlite(PathBuf),
    /// In the database of this URL.
    Postgres(String),
    /// In the database of this URL.
    MariaDb(String),
}

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Of the node.
    pub url: String,
    /// The name of its place on the node, and of its connections.
    pub name: String,
    /// Of that place.
    pub exchange: String,
    /// The queue of the orders.
    pub orders: String,
    /// The queue of the receipts.
    pub receipts: String,
    /// Where the books are.
    pub books: Where,
    /// What it does.
    pub role: Role,
    /// How many orders are stored in all.
    pub total: i64,
    /// How many milliseconds the producer rests after each.
    pub rest: u64,
}

impl Orders {
    /// To do all, with one order, in these books, at this place.
    #[must_use]
    pub fn new(place: &Place, books: &Books) -> Self {
        Self {
            url: place.url().to_owned(),
            name: place.id().to_owned(),
            exchange: place.exchange(),
            orders: place.queue("orders"),
            receipts: place.queue("receipts"),
            books: books.place.clone(),
            role: Role::All,
            total: 1,
            rest: 0,
        }
    }
}

/// The books, for those who look at them.
pub struct Books {
    place: Where,
    pool: Pool,
    _folder: Option<TempDir>,
}

enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MariaDb(MySqlPool),
}

/// The tables of the application itself. Nothing in them keeps an effect from being there twice.
pub const TABLES: [&str; 3] = [
    "CREATE TABLE orders (number BIGINT NOT NULL PRIMARY KEY)",
    "CREATE TABLE effects (number BIGINT NOT NULL)",
    "CREATE TABLE receipts (number BIGINT NOT NULL)",
];

impl Books {
    /// New ones, in a file.
    ///
    /// # Panics
    /// They cannot be made.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("books.db");
        let outbox = brighter::SqliteOutbox::open(&path)
            .await
            .expect("a file can be made");
        brighter::SqliteInbox::open(&path)
            .await
            .expect("a file can be opened");
        for table in TABLES {
            let made = sqlx::raw_sql(table).execute(outbox.pool()).await;
            made.expect("a table can be made");
        }
        Self {
            place: Where::Sqlite(path),
            pool: Pool::Sqlite(outbox.pool().clone()),
            _folder: Some(folder),
        }
    }

    /// New ones, in a database of this server.
    ///
    /// # Panics
    /// They cannot be made.
    pub async fn postgres(server: &postgres::Postgres) -> Self {
        let url = server.url(&server.database().await);
        let pool = server::pool(&url).await;
        let outbox = brighter::PostgresOutbox::from_pool(pool.clone()).await;
        outbox.expect("tables can be made");
        let inbox = brighter::PostgresInbox::from_pool(pool.clone()).await;
        inbox.expect("tables can be made");
        for table in TABLES {
            let made = sqlx::raw_sql(table).execute(&pool).await;
            made.expect("a table can be made");
        }
        Self {
            place: Where::Postgres(url),
            pool: Pool::Postgres(pool),
            _folder: None,
        }
    }

    /// New ones, in a database of this server.
    ///
    /// # Panics
    /// They cannot be made.
    pub async fn mariadb(server: &mariadb::MariaDb) -> Self {
        let url = server.url(&server.database().await);
        let pool = server::pool(&url).await;
        let outbox = brighter::MySqlOutbox::from_pool(pool.clone()).await;
        outbox.expect("tables can be made");
        let inbox = brighter::MySqlInbox::from_pool(pool.clone()).await;
        inbox.expect("tables can be made");
        for table in TABLES {
            let made = sqlx::raw_sql(table).execute(&pool).await;
            made.expect("a table can be made");
        }
        Self {
            place: Where::MariaDb(url),
            pool: Pool::MariaDb(pool),
            _folder: None,
        }
    }

    /// The numbers in a table, in their order.
    ///
    /// # Panics
    /// They cannot be read.
    pub async fn numbers(&self, table: &str) -> Vec<i64> {
        let select = AssertSqlSafe(format!("SELECT number FROM {table} ORDER BY number"));
        let numbers = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(select).fetch_all(pool).await,
            Pool::Postgres(pool) => sqlx::query_scalar(select).fetch_all(pool).await,
            Pool::MariaDb(pool) => sqlx::query_scalar(select).fetch_all(pool).await,
        };
        numbers.expect("the books can be read")
    }

    /// How many messages the outbox has still to send.
    ///
    /// # Panics
    /// They cannot be counted.
    pub async fn unsent(&self) -> i64 {
        let count = "SELECT count(*) FROM brighter_outbox WHERE outstanding <> 0";
        let count = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(count).fetch_one(pool).await,
            Pool::Postgres(pool) => sqlx::query_scalar(count).fetch_one(pool).await,
            Pool::MariaDb(pool) => sqlx::query_scalar(count).fetch_one(pool).await,
        };
        count.expect("the books can be read")
    }

    /// Whether every order is stored and has its effect and its receipt, and nothing is left to send.
    pub async fn are_done(&self, total: i64) -> bool {
        let mut left = false;
        for table in ["orders", "effects", "receipts"] {
            let mut numbers = self.numbers(table).await;
            numbers.dedup();
            left |= i64::try_from(numbers.len()) != Ok(total);
        }
        // Last: what leads to a receipt is in the outbox before, and a receipt may be there before it is marked.
        !left && self.unsent().await == 0
    }

    /// Waits until they [are](Self::are_done).
    ///
    /// # Panics
    /// That does not happen.
    pub async fn done(&self, total: i64) {
        wait::until_answer("the books to be done", true, async || self.are_done(total).await).await;
    }

    /// Checks that every order is there with one effect and one receipt, and nothing else is.
    ///
    /// # Panics
    /// It is not so.
    pub async fn check(&self, fault: &str, total: i64) {
        let expected: Vec<i64> = (1..=total).collect();
        for table in ["orders", "effects", "receipts"] {
            assert_eq!(self.numbers(table).await, expected, "{fault}: {table}");
        }
        assert_eq!(self.unsent().await, 0, "{fault}: unsent");
    }
}
