//! What is made of the broker's confirms.

use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::outbox::{MessageState, Outbox};
use brighter::prelude::*;
use brighter::processor::{NotSent, PostError};
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{MessageId, SqliteOutbox, Sweeper};
use brighter_tests::wait::until;
use futures_util::FutureExt;

use crate::log::Log;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Confirmed", kind = "event")]
struct TaskConfirmed {
    number: usize,
}

fn broker() -> FaultyBroker {
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("confirmed", "Task.Confirmed"))
        .now_or_never()
        .unwrap()
        .unwrap();
    FaultyBroker::new(broker)
}

fn sent(broker: &FaultyBroker) -> Vec<MessageId> {
    let messages = broker.inner().messages("confirmed").into_iter();
    messages.map(|message| message.header.id).collect()
}

#[tokio::test]
async fn a_confirmation_fails_should_log_warning_with_id_and_topic() {
    let log = Log::default();
    let _here = log.here();
    let broker = broker();
    broker.next_publishes([PublishFault::Refuse]);
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .without_sweeper()
        .build()
        .unwrap();
    let refused = processor.post(TaskConfirmed { number: 1 }).await;
    let Err(PostError::NotSent(NotSent { id, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        log.has_line(&["WARN", &id.to_string(), "Task.Confirmed"]),
        "{log:?}"
    );
}

/// The database takes no mark: that is told, disturbs nobody, and the message is sent once more when its claim ends.
#[tokio::test]
async fn confirmation_dispatch_throws_should_isolate_and_log() {
    let log = Log::default();
    let _here = log.here();
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let execute = async |statement: &'static str| {
        sqlx::query(statement).execute(outbox.pool()).await.unwrap();
    };
    execute(
        "CREATE TRIGGER no_mark BEFORE UPDATE OF outstanding ON brighter_outbox WHEN new.outstanding = 0 \
         BEGIN SELECT RAISE(ABORT, 'no marks today'); END",
    )
    .await;
    let broker = broker();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .sweeper(
            Sweeper::default()
                .interval(Duration::from_millis(10))
                .lease(Duration::from_millis(50)),
        )
        .build()
        .unwrap();
    // The broker has it, which is what was asked.
    let id = processor.post(TaskConfirmed { number: 1 }).await.unwrap();
    assert!(
        log.has_line(&["WARN", "could not record outcomes", "no marks today"]),
        "{log:?}"
    );
    assert_eq!(sent(&broker).first(), Some(&id));

    execute("DROP TRIGGER no_mark").await;
    until("it is sent once more", || sent(&broker).len() > 1).await;
    assert!(sent(&broker).iter().all(|sent| *sent == id));
    let deadline = tokio::time::Instant::now() + brighter_tests::wait::deadline();
    while processor.outbox().state(&id).await.unwrap() != Some(MessageState::Dispatched) {
        assert!(tokio::time::Instant::now() < deadline, "it is never marked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    processor.close().await;
}

/// Confirms that are to come are waited for, and noted, before closing is over.
#[tokio::test]
async fn closing_should_drain_all_confirmations_before_returning() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    broker.every_publish(Some(PublishFault::Delay(Duration::from_millis(100))));
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .without_sweeper()
        .build()
        .unwrap();
    let posts = (0..20).map(|number| {
        let processor = processor.clone();
        tokio::spawn(async move { processor.post(TaskConfirmed { number }).await })
    });
    let posts: Vec<_> = posts.collect();
    let deadline = tokio::time::Instant::now() + brighter_tests::wait::deadline();
    while outbox.status().await.unwrap().outstanding < 20 {
        assert!(tokio::time::Instant::now() < deadline, "they are not under way");
        tokio::task::yield_now().await;
    }
    assert_eq!(sent(&broker).len(), 0);
    processor.close().await;
    // Not a moment later.
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
    assert_eq!(sent(&broker).len(), 20);
    for post in posts {
        post.await.unwrap().unwrap();
    }
}
