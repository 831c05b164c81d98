//! Steps around a batch handler: each is around one message, but for `#[timeout]`.

use brighter_tests::wait::until_eq;

use super::*;

#[derive(Clone)]
struct Once(Store);

#[handler(batch(max = 10, within = "50ms"))]
impl Handler<Row> for Once {
    #[use_inbox(step = 1)]
    #[use_policy(Retry::attempts(2).fixed(Duration::from_millis(10)), step = 2)]
    async fn handle(&self, batch: Batch<'_, Row>) -> Result<(), BoxError> {
        self.0.call(batch).await
    }
}

#[derive(Clone)]
struct Limited(Store);

#[handler(batch(max = 10, within = "50ms"))]
impl Handler<Row> for Limited {
    #[request_logging(step = 1)]
    #[timeout("1s", step = 2)]
    async fn handle(&self, batch: Batch<'_, Row>) -> Result<(), BoxError> {
        let hangs = batch.iter().any(|row| row.number == 3);
        self.0.call(batch).await?;
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn built<H>(broker: &InMemoryBroker, handler: H, subscription: Subscription<Row>) -> Dispatcher
where
    H: brighter::pipeline::HandlerPipeline<Row>,
{
    let processor = CommandProcessor::builder()
        .handler(handler)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .inbox(InMemoryInbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher
}

#[tokio::test(start_paused = true)]
async fn duplicates_leave_the_batch_before_the_call() {
    use brighter::channel::Producer;
    let store = Store::new(|_| Ok(()));
    let broker = InMemoryBroker::new();
    let dispatcher = built(&broker, Once(store.clone()), table());
    dispatcher.wait_until_consuming().await;
    let message = |row: &Row| {
        let header = MessageHeader::new(MessageId::new(), "Row", brighter::message::MessageType::Event);
        let body = serde_json::to_vec(row).unwrap();
        Message::new(header, brighter::message::MessageBody::new(body))
    };
    let messages: Vec<_> = rows(5).map(|row| message(&row)).collect();
    for message in messages.iter().chain(&messages[..3]) {
        broker.publish(message).await.unwrap();
    }
    until_eq("one call", vec![vec![0, 1, 2, 3, 4]], || store.calls()).await;
    for message in &messages {
        broker.publish(message).await.unwrap();
    }
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(store.calls().len(), 1);
    assert!(broker.messages("rows").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_of_the_message_that_failed() {
    let tried = Arc::new(Mutex::new(0));
    let store = Store::new(move |batch| {
        for (index, row) in batch.iter().enumerate() {
            let mut tried = tried.lock().unwrap();
            if row.number == 2 && *tried == 0 {
                *tried += 1;
                batch.fail(index, "not yet");
            }
        }
        Ok(())
    });
    let broker = InMemoryBroker::new();
    let dispatcher = built(&broker, Once(store.clone()), table());
    dispatcher.wait_until_consuming().await;
    post(&dispatcher, rows(4)).await;
    until_eq("it again, alone", vec![vec![0, 1, 2, 3], vec![2]], || {
        store.calls()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_limits_one_call_and_its_culprit_is_found() {
    let store = Store::new(|_| Ok(()));
    let broker = InMemoryBroker::new();
    let dispatcher = built(&broker, Limited(store.clone()), table().attempts(1));
    dispatcher.wait_until_consuming().await;
    let steps: Vec<_> = dispatcher.processor().describe().collect();
    assert_eq!(steps[0].steps[1].detail, "1s a call");
    assert_eq!(steps[0].batch.unwrap().timeout, Some(SECOND));
    post(&dispatcher, rows(10)).await;
    until_eq("three is dead", 1, || broker.messages("rows.dlq").len()).await;
    let dead = broker.messages("rows.dlq");
    let row: Row = serde_json::from_slice(dead[0].body.as_bytes()).unwrap();
    assert_eq!(row.number, 3);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(broker.messages("rows.dlq").len(), 1);
}
