//! Later: `.at`, `.after`, and what may be done until then.

use std::time::{Duration, SystemTime};

use brighter::channel::{Broker, Channel};
use brighter::outbox::{MessageState, Outbox};
use brighter::prelude::*;
use brighter::processor::PostError;
use brighter::trace::TraceContext;
use brighter::{MessageId, SqliteOutbox, Sweeper};
use brighter_tests::wait::until_eq;
use futures_util::FutureExt;

/// How often the sweeper looks: where hours pass in no time, not all too often.
const SELDOM: Duration = Duration::from_secs(10);
const OFTEN: Duration = Duration::from_millis(5);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Due", kind = "event")]
struct TaskDue {
    id: MessageId,
}

fn due() -> TaskDue {
    TaskDue { id: MessageId::new() }
}

fn broker() -> InMemoryBroker {
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("due", "Task.Due"))
        .now_or_never()
        .unwrap()
        .unwrap();
    broker
}

fn processor(broker: &InMemoryBroker, outbox: impl Outbox, interval: Duration) -> CommandProcessor {
    CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox)
        .publication(Publication::<TaskDue>::new().in_order())
        .sweeper(Sweeper::default().interval(interval))
        .build()
        .unwrap()
}

fn sent(broker: &InMemoryBroker) -> Vec<MessageId> {
    let messages = broker.messages("due").into_iter();
    messages.map(|message| message.header.id).collect()
}

async fn is_scheduled(processor: &CommandProcessor, id: &MessageId) -> bool {
    let state = processor.outbox().state(id).await.unwrap();
    matches!(state, Some(MessageState::Scheduled { .. }))
}

#[tokio::test(start_paused = true)]
async fn scheduling_a_message_to_the_command_processor() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = processor(&broker, outbox.clone(), SELDOM);
    let late = processor.post(due()).after(2 * HOUR).await.unwrap();
    let early = processor.post(due()).at(SystemTime::now() + HOUR).await.unwrap();
    // What waits holds up nothing, in a topic whose order is kept.
    let now = processor.post(due()).await.unwrap();
    assert_eq!(sent(&broker), std::slice::from_ref(&now));

    // Never before its time, and soon after it.
    tokio::time::sleep(HOUR - Duration::from_secs(60)).await;
    assert_eq!(sent(&broker).len(), 1);
    assert!(is_scheduled(&processor, &early).await);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let expected = vec![now.clone(), early.clone()];
    until_eq("what is sent", expected, || sent(&broker)).await;
    assert!(is_scheduled(&processor, &late).await);
    tokio::time::sleep(HOUR).await;
    let expected = vec![now, early, late];
    until_eq("what is sent", expected, || sent(&broker)).await;
}

#[tokio::test]
async fn scheduling_with_an_invalid_time() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = processor(&broker, outbox.clone(), OFTEN);
    let past = SystemTime::now() - Duration::from_secs(1);
    for refused in [
        processor.post(due()).at(past).await,
        processor.post(due()).at(SystemTime::UNIX_EPOCH).await,
        processor.deposit_post(&mut outbox.begin(), due()).at(past).await,
        processor
            .outbox()
            .reschedule(&MessageId::new())
            .at(past)
            .await
            .map(|_| MessageId::new()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, PostError::NotInFuture { .. }), "{error}");
    }
    for refused in [
        processor.post(due()).after(Duration::MAX).await,
        processor.post(due()).after(101 * 365 * 24 * HOUR).await,
        processor
            .deposit_post(&mut outbox.begin(), due())
            .after(Duration::MAX)
            .await,
        processor
            .outbox()
            .reschedule(&MessageId::new())
            .after(Duration::MAX)
            .await
            .map(|_| MessageId::new()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, PostError::TooFar { .. }), "{error}");
    }
    assert_eq!(outbox.status().await.unwrap().scheduled, 0);
    // No time at all is no mistake.
    let id = processor.post(due()).after(Duration::ZERO).await.unwrap();
    until_eq("what is sent", vec![id], || sent(&broker)).await;
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_post_can_be_cancelled_or_rescheduled() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = processor(&broker, outbox, SELDOM);
    let [gone, later, sooner] = [
        processor.post(due()).after(HOUR).await.unwrap(),
        processor.post(due()).after(HOUR).await.unwrap(),
        processor.post(due()).after(10 * HOUR).await.unwrap(),
    ];
    assert!(processor.outbox().cancel(&gone).await.unwrap());
    assert!(!processor.outbox().cancel(&gone).await.unwrap());
    assert!(
        processor
            .outbox()
            .reschedule(&later)
            .after(3 * HOUR)
            .await
            .unwrap()
    );
    let at = SystemTime::now() + 2 * HOUR;
    assert!(processor.outbox().reschedule(&sooner).at(at).await.unwrap());

    tokio::time::sleep(2 * HOUR).await;
    until_eq("what is sent", vec![sooner.clone()], || sent(&broker)).await;
    assert!(!processor.outbox().cancel(&sooner).await.unwrap());
    assert!(!processor.outbox().reschedule(&sooner).after(HOUR).await.unwrap());
    tokio::time::sleep(HOUR).await;
    until_eq("what is sent", vec![sooner, later], || sent(&broker)).await;
    assert_eq!(processor.outbox().state(&gone).await.unwrap(), None);
}

/// [Brighter for .NET forgets it](https://github.com/BrighterCommand/Brighter/issues/4404).
#[tokio::test]
async fn a_scheduled_post_keeps_its_cause() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = processor(&broker, outbox, OFTEN);
    let (cause, conversation) = (MessageId::new(), MessageId::new());
    let trace = TraceContext::default().with_baggage("tenant=north");
    let cx = Context::new()
        .with_message_id(cause.clone())
        .with_correlation_id(conversation.clone())
        .with_trace(trace.clone());
    let soon = Duration::from_millis(1);
    let id = processor.post(due()).after(soon).caused_by(&cx).await.unwrap();
    until_eq("what is sent", vec![id], || sent(&broker)).await;
    let header = &broker.messages("due")[0].header;
    assert_eq!(header.causation_id, Some(cause));
    assert_eq!(header.correlation_id, Some(conversation));
    assert_eq!(header.trace.baggage(), trace.baggage());
}

#[tokio::test]
async fn scheduling_in_a_transaction_follows_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let delay = Duration::from_millis(200);
    let kept = {
        // Nobody sweeps: as good as a process that died.
        let outbox = SqliteOutbox::open(&path).await.unwrap();
        let processor = CommandProcessor::builder()
            .broker(broker())
            .outbox(outbox.clone())
            .without_sweeper()
            .build()
            .unwrap();
        let mut tx = outbox.pool().begin().await.unwrap();
        processor.deposit_post(&mut tx, due()).after(delay).await.unwrap();
        tx.rollback().await.unwrap();
        let mut tx = outbox.pool().begin().await.unwrap();
        let kept = processor.deposit_post(&mut tx, due()).after(delay).await.unwrap();
        tx.commit().await.unwrap();
        outbox.pool().close().await;
        kept
    };
    let (broker, outbox) = (broker(), SqliteOutbox::open(&path).await.unwrap());
    let processor = processor(&broker, outbox.clone(), OFTEN);
    until_eq("what is sent", vec![kept], || sent(&broker)).await;
    assert_eq!(outbox.status().await.unwrap().scheduled, 0);
    processor.close().await;
}
