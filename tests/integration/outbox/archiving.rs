//! What becomes of what was sent, when nobody says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::message::Message;
use brighter::outbox::{
    Archive, Archiving, Arrivals, Claim, Claimed, Failure, Outbox, OutboxError, OutboxStatus,
};
use brighter::processor::CommandProcessorBuilder;
use brighter::store::InboxOptions;
use brighter::{
    Archiver, CommandProcessor, InMemoryBroker, InMemoryInbox, InMemoryOutbox, MessageId, SqliteInbox,
};
use futures_util::future::BoxFuture;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

/// An outbox that notes what it is asked to take out.
#[derive(Default)]
struct Asked {
    outbox: InMemoryOutbox,
    archives: Arc<Mutex<Vec<Archive>>>,
}

impl Outbox for Asked {
    fn deposit<'a>(&'a self, messages: &'a [Message], lease: Option<Duration>) -> Done<'a, Vec<MessageId>> {
        self.outbox.deposit(messages, lease)
    }

    fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
        self.outbox.claim(which, lease)
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.outbox.mark_dispatched(ids)
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
        self.outbox.mark_failed(failures)
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.outbox.release(ids)
    }

    fn status(&self) -> Done<'_, OutboxStatus> {
        self.outbox.status()
    }

    fn archiving(&self) -> Option<&dyn Archiving> {
        Some(self)
    }

    fn arrivals(&self) -> Option<Arrivals> {
        self.outbox.arrivals()
    }
}

impl Archiving for Asked {
    fn archive<'a>(&'a self, what: &'a Archive) -> Done<'a, u64> {
        self.archives.lock().unwrap().push(*what);
        Box::pin(async { Ok(0) })
    }
}

/// What a processor takes out within ten minutes of a clock that is wound.
async fn taken_out(choose: impl FnOnce(CommandProcessorBuilder) -> CommandProcessorBuilder) -> Vec<Archive> {
    let outbox = Asked::default();
    let archives = Arc::clone(&outbox.archives);
    let builder = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .outbox(outbox);
    let processor = choose(builder).build().unwrap();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(600)).await;
    tokio::time::resume();
    processor.close().await;
    let archives = archives.lock().unwrap();
    archives.clone()
}

#[tokio::test]
async fn sent_messages_are_deleted_after_inbox_retention() {
    for (archives, days) in [
        (taken_out(|builder| builder).await, 8),
        (taken_out(|builder| builder.inbox(InMemoryInbox::new())).await, 8),
    ] {
        assert!(archives.len() > 1, "it looks again: {archives:?}");
        assert_eq!(archives[0], Archive::dispatched(days * DAY, 1_000));
    }
    let folder = tempfile::tempdir().unwrap();
    let remembers = InboxOptions::default().retention(30 * DAY);
    let inbox = SqliteInbox::open(folder.path().join("inbox.db")).options(remembers);
    let inbox = inbox.await.unwrap();
    let archives = taken_out(|builder| builder.inbox(inbox)).await;
    assert_eq!(archives[0], Archive::dispatched(31 * DAY, 1_000));
}

#[tokio::test]
async fn sent_messages_stay_without_sweeper_or_by_setting() {
    assert_eq!(taken_out(CommandProcessorBuilder::without_archiver).await, []);
    assert_eq!(taken_out(CommandProcessorBuilder::without_sweeper).await, []);
    let own = Archiver::move_after(DAY).interval(DAY);
    let archives = taken_out(|builder| builder.archiver(own).without_archiver()).await;
    assert_eq!(archives, [Archive::dispatched(DAY, 1_000).keep()]);
    let never = brighter::config::loader().set("test", "archiver.after", "never");
    let never = never.load().unwrap();
    assert_eq!(taken_out(|builder| builder.configure(&never)).await, []);
}
