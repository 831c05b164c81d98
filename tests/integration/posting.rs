//! Out of process: `post`, `deposit_post`, `clear_outbox`, `repost`, and the sweeper.

use std::time::Duration;

use brighter::channel::{Broker, Channel, PublishError};
use brighter::message::{MessageBody, MessageType};
use brighter::outbox::{Inspection, MessageState, Outbox, OutboxError};
use brighter::prelude::*;
use brighter::processor::{BuildError, NotSent, PostError};
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{MessageId, Sweeper};
use brighter_tests::wait::until_eq;
use futures_util::FutureExt;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Task.Added", kind = "event")]
struct TaskAdded {
    id: MessageId,
    name: String,
}

fn added(name: &str) -> TaskAdded {
    TaskAdded {
        id: MessageId::new(),
        name: name.into(),
    }
}

fn broker() -> FaultyBroker {
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("tasks", "Task.*"))
        .now_or_never()
        .unwrap()
        .unwrap();
    FaultyBroker::new(broker)
}

fn processor(broker: &FaultyBroker, outbox: &InMemoryOutbox) -> CommandProcessor {
    CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .sweeper(Sweeper::default().interval(Duration::from_millis(5)))
        .build()
        .unwrap()
}

/// Nothing is sent but by the call itself.
fn unswept(broker: &FaultyBroker, outbox: &InMemoryOutbox) -> CommandProcessor {
    CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .without_sweeper()
        .build()
        .unwrap()
}

async fn outstanding(outbox: &InMemoryOutbox) -> u64 {
    outbox.status().await.unwrap().outstanding
}

#[tokio::test]
async fn posting_a_message_to_the_command_processor() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    let task = added("write");
    let id = processor.post(task.clone()).await.unwrap();
    let [message] = &broker.inner().messages("tasks")[..] else {
        panic!("one message")
    };
    assert_eq!((&id, &id), (&task.id, &message.header.id));
    assert_eq!(message.header.message_type, MessageType::Event);
    assert_eq!(message.header.topic, "Task.Added");
    assert_eq!(
        serde_json::from_slice::<TaskAdded>(message.body.as_bytes()).unwrap(),
        task
    );
    assert_eq!(outstanding(&outbox).await, 0);
}

#[tokio::test]
async fn posting_without_broker_or_outbox_says_what_to_add() {
    let bare = CommandProcessor::builder().build().unwrap();
    assert!(matches!(bare.post(added("x")).await, Err(PostError::NoOutbox)));
    let no_broker = CommandProcessor::builder()
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let error = no_broker.post(added("x")).await.unwrap_err();
    assert!(error.to_string().contains(".broker("), "{error}");
}

#[tokio::test]
async fn build_finds_everything_that_is_wrong_with_what_is_posted() {
    let errors = CommandProcessor::builder()
        .publication(Publication::<TaskAdded>::new().topic(""))
        .publication(Publication::<TaskAdded>::new())
        .build()
        .unwrap_err();
    let found: Vec<_> = errors.iter().collect();
    assert!(
        matches!(
            found[..],
            [
                BuildError::NoBrokerToPublish { .. },
                BuildError::NoOutbox { .. },
                BuildError::Publication { .. },
                BuildError::SeveralPublications { .. },
            ]
        ),
        "{errors}"
    );
}

#[tokio::test]
async fn a_publication_changes_the_topic() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = CommandProcessor::builder()
        .publication(Publication::<TaskAdded>::new().topic("Task.Staging"))
        .broker(broker.clone())
        .outbox(outbox)
        .build()
        .unwrap();
    processor.post(added("write")).await.unwrap();
    assert_eq!(broker.inner().messages("tasks")[0].header.topic, "Task.Staging");
}

#[tokio::test]
async fn a_post_during_an_outage_is_sent_later() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    broker.every_publish(Some(PublishFault::Away));
    let processor = processor(&broker, &outbox);
    for name in ["a", "b", "c"] {
        processor.post(added(name)).await.unwrap();
    }
    assert_eq!(outstanding(&outbox).await, 3);
    broker.every_publish(None);
    until_eq("the messages sent", 3, || broker.inner().messages("tasks").len()).await;
    let names: Vec<_> = broker.inner().messages("tasks").iter().map(name).collect();
    assert_eq!(names, ["a", "b", "c"], "oldest first");
}

fn name(message: &Message) -> String {
    serde_json::from_slice::<TaskAdded>(message.body.as_bytes())
        .unwrap()
        .name
}

#[tokio::test]
async fn an_unroutable_post_is_an_error_and_kept() {
    let (broker, outbox) = (FaultyBroker::new(InMemoryBroker::new()), InMemoryOutbox::new());
    let processor = processor(&broker, &outbox);
    let task = added("write");
    let error = processor.post(task.clone()).await.unwrap_err();
    let PostError::NotSent(NotSent {
        id,
        error: PublishError::Unroutable { topic },
        ..
    }) = &error
    else {
        panic!("{error}")
    };
    assert_eq!((id, topic.as_str()), (&task.id, "Task.Added"));
    assert!(
        error.report().contains("no channel is bound to `Task.Added`"),
        "{}",
        error.report()
    );
    assert_eq!(outstanding(&outbox).await, 1);
    let state = processor.outbox().state(&task.id).await.unwrap();
    let Some(MessageState::Outstanding {
        last_error: Some(reason),
        ..
    }) = state
    else {
        panic!("{state:?}")
    };
    assert!(
        reason.starts_with("no channel is bound to `Task.Added`"),
        "{reason}"
    );

    broker
        .inner()
        .declare(&Channel::new("tasks", "Task.Added"))
        .await
        .unwrap();
    until_eq("the message sent", 1, || broker.inner().messages("tasks").len()).await;
    // Sent, and a moment later noted as sent.
    until_eq("the outbox", 0, || outstanding(&outbox).now_or_never().unwrap()).await;
    assert_eq!(
        processor.outbox().state(&task.id).await.unwrap(),
        Some(MessageState::Dispatched)
    );
}

#[tokio::test]
async fn many_deposits_of_one_call_keep_their_order() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    let tasks: Vec<_> = (0..100).map(|number| added(&number.to_string())).collect();
    let mut tx = outbox.begin();
    let ids = processor.deposit_posts(&mut tx, tasks.clone()).await.unwrap();
    assert_eq!(ids, tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>());
    assert_eq!(outstanding(&outbox).await, 0);
    tx.commit().unwrap();
    assert_eq!(processor.clear_outbox(&ids).await.unwrap().sent, 100);
    let sent = broker.inner().messages("tasks");
    let sent: Vec<_> = sent.iter().map(|message| message.header.id.clone()).collect();
    assert_eq!(sent, ids);
}

#[tokio::test]
async fn messages_refused_too_often_are_dead_until_revived() {
    let broker = FaultyBroker::new(InMemoryBroker::new());
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .sweeper(Sweeper::default().interval(Duration::from_millis(5)).attempts(1))
        .build()
        .unwrap();
    let task = added("write");
    processor.post(task.clone()).await.unwrap_err();
    let dead = processor.outbox().dead(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].id, dead[0].topic.as_str()), (&task.id, "Task.Added"));
    assert!(
        dead[0]
            .last_error
            .starts_with("no channel is bound to `Task.Added`"),
        "{dead:?}"
    );
    assert_eq!(
        processor
            .clear_outbox(std::slice::from_ref(&task.id))
            .await
            .unwrap()
            .sent,
        0
    );

    let channel = Channel::new("tasks", "Task.Added");
    broker.inner().declare(&channel).await.unwrap();
    assert_eq!(
        processor
            .outbox()
            .revive(std::slice::from_ref(&task.id))
            .await
            .unwrap(),
        1
    );
    until_eq("the message sent", 1, || broker.inner().messages("tasks").len()).await;
    assert!(processor.outbox().dead(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_confirm_resends_with_the_same_id() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    broker.next_publishes([PublishFault::ConfirmLost]);
    let processor = processor(&broker, &outbox);
    let id = processor.post(added("write")).await.unwrap();
    until_eq("the copies", 2, || broker.inner().messages("tasks").len()).await;
    assert!(
        broker
            .inner()
            .messages("tasks")
            .iter()
            .all(|message| message.header.id == id)
    );
    assert_eq!(outstanding(&outbox).await, 0);
}

#[tokio::test]
async fn deposits_send_nothing_before_commit_or_after_rollback() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = processor(&broker, &outbox);
    let mut rolled_back = outbox.begin();
    processor
        .deposit_post(&mut rolled_back, added("never"))
        .await
        .unwrap();
    drop(rolled_back);

    let mut committed = outbox.begin();
    processor
        .deposit_post(&mut committed, added("first"))
        .await
        .unwrap();
    processor
        .deposit_post(&mut committed, added("second"))
        .await
        .unwrap();
    assert_eq!(outstanding(&outbox).await, 0);
    assert!(broker.inner().messages("tasks").is_empty());
    committed.commit().unwrap();
    until_eq("the messages sent", 2, || broker.inner().messages("tasks").len()).await;
    assert_eq!(
        broker
            .inner()
            .messages("tasks")
            .iter()
            .map(name)
            .collect::<Vec<_>>(),
        ["first", "second"]
    );
}

#[tokio::test]
async fn clearing_sends_named_messages_and_reports_the_kept() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    let mut tx = outbox.begin();
    let mut ids = Vec::new();
    for name in ["sent", "kept", "not named"] {
        ids.push(processor.deposit_post(&mut tx, added(name)).await.unwrap());
    }
    tx.commit().unwrap();
    let cleared = processor.clear_outbox(&ids[..1]).await.unwrap();
    assert_eq!((cleared.sent, cleared.kept.len()), (1, 0));
    broker.every_publish(Some(PublishFault::Refuse));
    let cleared = processor.clear_outbox(&ids[..2]).await.unwrap();
    assert_eq!(cleared.sent, 0, "the first was sent already");
    assert!(matches!(&cleared.kept[..], [(id, PublishError::Refused { .. })] if *id == ids[1]));
    assert_eq!(outstanding(&outbox).await, 2);
}

#[tokio::test]
async fn reposting_sends_again_what_was_sent() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    let id = processor.post(added("write")).await.unwrap();
    processor.outbox().repost(&id).await.unwrap();
    let messages = broker.inner().messages("tasks");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], messages[1]);
    assert!(matches!(
        processor.outbox().repost(&MessageId::new()).await,
        Err(PostError::NotFound { .. })
    ));
    broker.every_publish(Some(PublishFault::Away));
    assert!(matches!(
        processor.outbox().repost(&id).await,
        Err(PostError::NotReposted { .. })
    ));
}

#[tokio::test]
async fn a_request_without_an_id_gets_one() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Task.Anonymous")]
    struct Anonymous;
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let id = unswept(&broker, &outbox).post(Anonymous).await.unwrap();
    let [message] = &broker.inner().messages("tasks")[..] else {
        panic!("one message")
    };
    assert_eq!(
        (&message.header.id, message.header.message_type),
        (&id, MessageType::Command)
    );
}

#[tokio::test]
async fn a_request_may_have_a_mapper_of_its_own() {
    use brighter::mapper::{MapError, MessageMapper};
    #[derive(Default)]
    struct Shout;
    impl MessageMapper<Note> for Shout {
        fn to_message(&self, note: &Note, header: MessageHeader) -> Result<Message, MapError> {
            if note.0.is_empty() {
                return Err(MapError::new("nothing to shout"));
            }
            let body = MessageBody::new(note.0.to_uppercase());
            Ok(Message::new(header.with_content_type("text/plain"), body))
        }
        fn to_request(&self, _: &Message) -> Result<Note, MapError> {
            Err(MapError::new("write only"))
        }
    }
    #[derive(Message)]
    #[message(topic = "Task.Note", mapper = Shout)]
    struct Note(String);

    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    processor.post(Note("fire".into())).await.unwrap();
    let messages = broker.inner().messages("tasks");
    assert_eq!(
        (messages[0].body.as_bytes(), &*messages[0].header.content_type),
        (&b"FIRE"[..], "text/plain")
    );
    let error = processor.post(Note(String::new())).await.unwrap_err();
    assert!(matches!(error, PostError::Map { .. }), "{error}");
    assert_eq!(outstanding(&outbox).await, 0, "nothing was stored");
}

#[tokio::test]
async fn a_transaction_of_another_outbox_is_refused() {
    let sqlite = SqliteOutbox::open(tempfile::tempdir().unwrap().path().join("a.db")).await;
    drop(sqlite);
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteOutbox::open(folder.path().join("tasks.db")).await.unwrap();
    let processor = CommandProcessor::builder().outbox(sqlite).build().unwrap();
    let mut tx = InMemoryOutbox::new().begin();
    let error = processor.deposit_post(&mut tx, added("x")).await.unwrap_err();
    assert!(matches!(error, PostError::WrongTransaction { wanted } if wanted.ends_with("InMemoryOutbox")));
}

#[tokio::test]
async fn the_sweeper_outlives_an_outage_and_ends_with_its_processor() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    broker.every_publish(Some(PublishFault::Away));
    let sweeping = processor(&broker, &outbox);
    sweeping.post(added("one")).await.unwrap();
    broker.every_publish(None);
    until_eq("the message sent", 1, || broker.inner().messages("tasks").len()).await;
    drop(sweeping);

    let unswept = CommandProcessor::builder()
        .outbox(outbox.clone())
        .build()
        .unwrap();
    let mut tx = outbox.begin();
    unswept.deposit_post(&mut tx, added("two")).await.unwrap();
    tx.commit().unwrap();
    // The sweeper of the processor that was dropped would have taken it within these sweeps of another.
    let other = InMemoryOutbox::new();
    let witness = processor(&broker, &other);
    for name in ["w1", "w2", "w3"] {
        let mut tx = other.begin();
        witness.deposit_post(&mut tx, added(name)).await.unwrap();
        tx.commit().unwrap();
        until_eq("the witness swept", 0, || {
            outstanding(&other).now_or_never().unwrap()
        })
        .await;
    }
    assert_eq!(outstanding(&outbox).await, 1);
}

#[tokio::test]
async fn a_repeated_request_is_sent_once_and_collisions_refused() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    let task = added("write");
    broker.next_publishes([PublishFault::Refuse]);
    processor.post(task.clone()).await.unwrap_err();
    let other = TaskAdded {
        name: "another".into(),
        ..task.clone()
    };
    for _ in 0..2 {
        let error = processor.post(other.clone()).await.unwrap_err();
        assert!(
            matches!(&error, PostError::Outbox(OutboxError::IdInUse { id }) if *id == task.id),
            "{error}"
        );
        // The second time, the first message was sent.
        processor
            .clear_outbox(std::slice::from_ref(&task.id))
            .await
            .unwrap();
    }
    processor.post(task.clone()).await.unwrap();
    assert_eq!(
        broker
            .inner()
            .messages("tasks")
            .iter()
            .map(name)
            .collect::<Vec<_>>(),
        ["write"]
    );
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_a_pending_post_with_a_limit() {
    const SECOND: Duration = Duration::from_secs(1);
    for (takes, waited, is_sent) in [(5 * SECOND, 5 * SECOND, true), (60 * SECOND, 10 * SECOND, false)] {
        let (broker, outbox) = (broker(), InMemoryOutbox::new());
        let processor = unswept(&broker, &outbox);
        broker.every_publish(Some(PublishFault::Delay(takes)));
        let task = added("write");
        let id = task.id.clone();
        let posting = tokio::spawn({
            let processor = processor.clone();
            async move { processor.post(task).await }
        });
        while outstanding(&outbox).await == 0 {
            tokio::task::yield_now().await;
        }
        let begun = tokio::time::Instant::now();
        processor.close().await;
        assert_eq!(begun.elapsed().as_secs(), waited.as_secs());
        let state = outbox.state(&id).await.unwrap();
        assert_eq!(state == Some(MessageState::Dispatched), is_sent, "{state:?}");
        posting.abort();
    }
}

/// Without a sweeper nobody else would: the process that posted it first has died before it could.
#[tokio::test]
async fn a_repeated_post_sends_the_unsent_without_a_sweeper() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, &outbox);
    let request = added("milk");
    let mut tx = outbox.begin();
    processor.deposit_post(&mut tx, request.clone()).await.unwrap();
    tx.commit().unwrap();
    assert_eq!(broker.inner().messages("tasks").len(), 0);
    for _ in 0..2 {
        assert_eq!(processor.post(request.clone()).await.unwrap(), request.id);
        assert_eq!(broker.inner().messages("tasks").len(), 1);
    }
    assert_eq!(outstanding(&outbox).await, 0);
}
