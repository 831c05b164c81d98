//! A long backlog is sent in its order, and in hand are never more than two batches of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::message::Message;
use brighter::outbox::{
    Archive, Arrivals, Claim, Claimed, DeadMessage, Failure, MessageState, Outbox, OutboxError, OutboxStatus,
    Selection,
};
use brighter::prelude::*;
use brighter::testing::outbox::some_message;
use brighter::{MessageId, MySqlOutbox, PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_tests::databases;
use futures_util::future::BoxFuture;

const BATCH: usize = 50;

/// How many rows: a few thousand, or as many as the environment says.
fn rows() -> usize {
    let rows = std::env::var("BRIGHTER_TEST_DRAIN_ROWS");
    rows.ok().and_then(|rows| rows.parse().ok()).unwrap_or(2_000)
}

type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

/// Counts what is claimed and not yet settled.
struct Counting<O> {
    outbox: O,
    in_hand: AtomicUsize,
    at_most: Arc<AtomicUsize>,
}

impl<O> Counting<O> {
    fn settled(&self, messages: usize) {
        self.in_hand.fetch_sub(messages, Ordering::Relaxed);
    }
}

impl<O: Outbox> Outbox for Counting<O> {
    fn deposit<'a>(&'a self, messages: &'a [Message], lease: Option<Duration>) -> Done<'a, Vec<MessageId>> {
        self.outbox.deposit(messages, lease)
    }

    fn schedule<'a>(&'a self, message: &'a Message, delay: Duration) -> Done<'a, bool> {
        self.outbox.schedule(message, delay)
    }

    fn reschedule<'a>(&'a self, id: &'a MessageId, delay: Duration) -> Done<'a, bool> {
        self.outbox.reschedule(id, delay)
    }

    fn cancel<'a>(&'a self, id: &'a MessageId) -> Done<'a, bool> {
        self.outbox.cancel(id)
    }

    fn make_due(&self, limit: usize) -> Done<'_, u64> {
        self.outbox.make_due(limit)
    }

    fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
        Box::pin(async move {
            let claimed = self.outbox.claim(which, lease).await?;
            let in_hand = self.in_hand.fetch_add(claimed.len(), Ordering::Relaxed) + claimed.len();
            self.at_most.fetch_max(in_hand, Ordering::Relaxed);
            Ok(claimed)
        })
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.settled(ids.len());
        self.outbox.mark_dispatched(ids)
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
        self.settled(failures.len());
        self.outbox.mark_failed(failures)
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.settled(ids.len());
        self.outbox.release(ids)
    }

    fn replay<'a>(&'a self, causation: &'a MessageId) -> Done<'a, u64> {
        self.outbox.replay(causation)
    }

    fn get<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, Vec<Message>> {
        self.outbox.get(ids)
    }

    fn state<'a>(&'a self, id: &'a MessageId) -> Done<'a, Option<MessageState>> {
        self.outbox.state(id)
    }

    fn status(&self) -> Done<'_, OutboxStatus> {
        self.outbox.status()
    }

    fn dead(&self, limit: usize) -> Done<'_, Vec<DeadMessage>> {
        self.outbox.dead(limit)
    }

    fn revive<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, u64> {
        self.outbox.revive(ids)
    }

    fn send_again<'a>(&'a self, which: &'a Selection) -> Done<'a, u64> {
        self.outbox.send_again(which)
    }

    fn archive<'a>(&'a self, what: &'a Archive) -> Done<'a, u64> {
        self.outbox.archive(what)
    }

    fn arrivals(&self) -> Option<Arrivals> {
        self.outbox.arrivals()
    }
}

async fn drain(outbox: impl Outbox) {
    let broker = InMemoryBroker::new();
    broker
        .declare(&brighter::channel::Channel::new("all", "Task.Reminder"))
        .unwrap();
    let messages: Vec<_> = (0..rows()).map(|_| some_message()).collect();
    for some in messages.chunks(1_000) {
        outbox.deposit(some, None).await.unwrap();
    }
    let at_most = Arc::new(AtomicUsize::new(0));
    let outbox = Counting {
        outbox,
        in_hand: AtomicUsize::new(0),
        at_most: Arc::clone(&at_most),
    };
    let processor = CommandProcessor::builder().broker(broker.clone()).outbox(outbox);
    let processor = processor
        .sweeper(Sweeper::default().batch(BATCH))
        .build()
        .unwrap();
    while processor.outbox_status().await.unwrap().outstanding > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    processor.close().await;
    let sent: Vec<_> = broker
        .messages("all")
        .iter()
        .map(|message| message.header.id.clone())
        .collect();
    assert!(
        sent == messages
            .iter()
            .map(|message| message.header.id.clone())
            .collect::<Vec<_>>()
    );
    let at_most = at_most.load(Ordering::Relaxed);
    assert!(at_most <= 2 * BATCH, "{at_most} were in hand");
}

#[tokio::test]
async fn in_memory() {
    drain(InMemoryOutbox::new()).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    drain(SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap()).await;
}

#[tokio::test]
async fn postgres() {
    let database = databases::Postgres::new().await;
    drain(PostgresOutbox::with_pool(database.pool().await).await.unwrap()).await;
}

#[tokio::test]
async fn mysql() {
    let database = databases::MySql::new().await;
    drain(MySqlOutbox::with_pool(database.pool().await).await.unwrap()).await;
}
