//! `#[use_inbox(on_duplicate = replay)]`: what the first handling posted is sent again.

use brighter::channel::{Broker, Channel};
use brighter::outbox::{Inspection, Outbox, Resending};
use brighter::testing::{FaultyBroker, PublishFault, eventually};
use brighter::{SqliteOutbox, Sweeper};
use brighter_tests::wait::until_eq;
use futures_util::FutureExt;

use super::*;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Made", kind = "event")]
struct Made {
    how: String,
}

/// Posts what follows from a payment, and something that does not.
struct Teller {
    till: Till,
}

#[handler]
impl Handler<Pay> for Teller {
    #[use_inbox(on_duplicate = replay, step = 1)]
    async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
        self.till.pay(pay).await?;
        cx.post(Made { how: pay.how.clone() }).await?;
        let other = Made {
            how: "by itself".into(),
        };
        cx.processor()?.post(other).await?;
        Ok(())
    }
}

/// A processor, with the channel of what it posts.
fn bank(outbox: impl Outbox) -> (CommandProcessor, InMemoryBroker, Till) {
    let broker = InMemoryBroker::new();
    let (processor, till) = bank_over(&FaultyBroker::new(broker.clone()), outbox);
    (processor, broker, till)
}

fn bank_over(broker: &FaultyBroker, outbox: impl Outbox) -> (CommandProcessor, Till) {
    let till = Till::default();
    broker
        .inner()
        .declare(&Channel::new("made", "Payment.Made"))
        .now_or_never()
        .unwrap()
        .unwrap();
    let processor = CommandProcessor::builder()
        .handler(Teller { till: till.clone() })
        .broker(broker.clone())
        .outbox(outbox)
        .inbox(InMemoryInbox::new())
        .sweeper(Sweeper::default().interval(Duration::from_millis(5)))
        .build()
        .unwrap();
    (processor, till)
}

fn made(broker: &InMemoryBroker) -> Vec<String> {
    let how = |message: &Message| {
        serde_json::from_slice::<Made>(message.body.as_bytes())
            .unwrap()
            .how
    };
    broker.messages("made").iter().map(how).collect()
}

async fn a_duplicate_sends_again_what_its_handling_posted(outbox: impl Outbox) {
    let (processor, broker, till) = bank(outbox);
    let subscription = Subscription::<Pay>::new("payments");
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    let payment = pay("cash");
    processor.post(payment.clone()).await.unwrap();
    until_eq(
        "the posts",
        vec!["cash".to_owned(), "by itself".to_owned()],
        || made(&broker),
    )
    .await;
    assert!(dispatcher.stop("payments").await.unwrap().interrupted.is_empty());
    processor.outbox().repost(&payment.id).await.unwrap();
    dispatcher.start("payments").unwrap();
    let again = ["cash", "by itself", "cash"].map(str::to_owned);
    until_eq("the post again", again.to_vec(), || made(&broker)).await;
    assert_eq!(till.asked(), 1);

    let sent = broker.messages("made");
    assert_eq!(sent[0], sent[2], "with the same id");
    let header = &sent[0].header;
    assert_eq!(
        (&header.causation_id, &header.correlation_id),
        (&Some(payment.id.clone()), &Some(payment.id))
    );
    assert_eq!(sent[1].header.causation_id, None);
    dispatcher.end().await;
    assert!(broker.messages("payments.dlq").is_empty());
}

#[tokio::test]
async fn a_duplicate_sends_again_what_its_handling_posted_in_memory() {
    a_duplicate_sends_again_what_its_handling_posted(InMemoryOutbox::new()).await;
}

#[tokio::test]
async fn a_duplicate_sends_again_what_its_handling_posted_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    a_duplicate_sends_again_what_its_handling_posted(outbox).await;
}

#[tokio::test]
async fn in_process_the_cause_is_the_id_of_the_request() {
    let (processor, broker, till) = bank(InMemoryOutbox::new());
    let payment = pay("cash");
    processor.send(payment.clone()).await.unwrap();
    assert_eq!(
        broker.messages("made")[0].header.causation_id.as_ref(),
        Some(&payment.id)
    );
    processor.send(payment).await.unwrap();
    until_eq("the post again", 3, || made(&broker).len()).await;
    assert_eq!(till.asked(), 1);
}

/// It waits for the sweeper, which sends it in any case.
#[tokio::test]
async fn a_duplicate_sends_unsent_messages_once() {
    let broker = FaultyBroker::new(InMemoryBroker::new());
    let (processor, till) = bank_over(&broker, InMemoryOutbox::new());
    broker.every_publish(Some(PublishFault::Away));
    let payment = pay("cash");
    for _ in 0..2 {
        processor.send(payment.clone()).await.unwrap();
    }
    assert_eq!(till.asked(), 1);
    assert_eq!(processor.outbox().status().await.unwrap().outstanding, 2);
    broker.every_publish(None);
    eventually("nothing to be left", async || {
        let left = processor.outbox().status().await.unwrap().outstanding;
        (left == 0).then_some(())
    })
    .await;
    processor.close().await;
    let mut made = made(broker.inner());
    made.sort_unstable();
    assert_eq!(made, ["by itself", "cash"]);
}

#[tokio::test]
async fn a_deposit_in_a_transaction_notes_its_cause_too() {
    let outbox = InMemoryOutbox::new();
    let processor = CommandProcessor::builder()
        .outbox(outbox.clone())
        .build()
        .unwrap();
    let (cause, conversation) = (MessageId::new(), MessageId::new());
    let cx = Context::new()
        .with_message_id(cause.clone())
        .with_correlation_id(conversation.clone());
    let mut tx = outbox.begin();
    let id = processor
        .deposit_post(
            &mut tx,
            Made {
                how: "by card".into(),
            },
        )
        .caused_by(&cx)
        .await
        .unwrap();
    tx.commit().unwrap();
    let stored = &outbox.get(std::slice::from_ref(&id)).await.unwrap()[0].header;
    assert_eq!(
        (&stored.causation_id, &stored.correlation_id),
        (&Some(cause.clone()), &Some(conversation))
    );
    outbox.mark_dispatched(&[id]).await.unwrap();
    assert_eq!(outbox.replay(&cause).await.unwrap(), 1);
}
