//! What the log says of a handler that forgets its transaction.

use std::io;
use std::sync::{Arc, Mutex};

use brighter::prelude::*;
use brighter_tests::subscriber::subscribe;

use crate::desk::{Book, DeskError, book, sqlite, sqlite_pool};

const FORGOTTEN: &str = "the handler ended without `complete_in`";

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// How many lines contain this.
    fn lines_with(&self, text: &str) -> usize {
        let log = self.0.lock().unwrap();
        let log = String::from_utf8_lossy(&log);
        log.lines().filter(|line| line.contains(text)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Forgetful;

#[handler]
impl Handler<Book> for Forgetful {
    #[use_inbox(lease = "1m", step = 1)]
    async fn handle(&self, _: &Book) -> Result<(), DeskError> {
        Ok(())
    }
}

struct Careful(sqlx::SqlitePool);

#[handler]
impl Handler<Book> for Careful {
    #[use_inbox(lease = "1m", step = 1)]
    async fn handle(&self, _: &Book, cx: &Context) -> Result<(), BoxError> {
        let mut tx = self.0.begin().await?;
        brighter::inbox::complete_in(&mut tx, cx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Books twice, and returns how often the log tells of a forgotten `complete_in`.
async fn told_of(pool: &sqlx::SqlitePool, inbox: impl brighter::inbox::Inbox, is_careful: bool) -> usize {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let _subscribed = subscribe(subscriber);
    let builder = CommandProcessor::builder().inbox(inbox);
    let processor = match is_careful {
        true => builder.handler(Careful(pool.clone())).build(),
        false => builder.handler(Forgetful).build(),
    };
    let processor = processor.unwrap();
    for name in ["milk", "bread"] {
        processor.send(book(name)).await.unwrap();
    }
    log.lines_with(FORGOTTEN)
}

#[tokio::test]
async fn a_forgotten_complete_in_is_logged_once() {
    let folder = sqlite().await;
    let pool = sqlite_pool(&folder).await;
    let inbox = || async { brighter::SqliteInbox::from_pool(pool.clone()).await.unwrap() };
    assert_eq!(told_of(&pool, inbox().await, false).await, 1);
    assert_eq!(told_of(&pool, inbox().await, true).await, 0);
    // Without a transaction to be had there is nothing to forget.
    assert_eq!(told_of(&pool, brighter::InMemoryInbox::new(), false).await, 0);
}
