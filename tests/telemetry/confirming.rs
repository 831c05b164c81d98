//! What is seen of the broker's confirms: a message's span of publishing lasts until its confirm, says how that went,
//! and is linked to whatever sent the message.

use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::prelude::*;
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{MessageId, Sweeper};
use brighter_tests::wait::until;
use tracing::Instrument;

use crate::collector::{attribute, collect, server, spans, trace_of, tree};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Confirming")]
struct TaskConfirming {
    id: MessageId,
}

#[tokio::test]
async fn a_confirmation_is_received_should_emit_linked_span() {
    collect();
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("confirming", "Task.Confirming"))
        .await
        .unwrap();
    let broker = FaultyBroker::new(broker);
    broker.next_publishes([PublishFault::Refuse]);
    let outbox = InMemoryOutbox::new();
    let processor = CommandProcessor::builder()
        .broker(broker)
        .outbox(outbox.clone())
        .sweeper(Sweeper::default().interval(Duration::from_millis(10)))
        .build()
        .unwrap();
    let request = server("POST /confirming");
    let trace = trace_of(&request);
    let id = async {
        let mut transaction = outbox.begin();
        let confirming = TaskConfirming { id: MessageId::new() };
        let id = processor
            .deposit_post(&mut transaction, confirming)
            .await
            .unwrap();
        transaction.commit().unwrap();
        id
    }
    .instrument(request)
    .await;
    until("both confirms", || spans(trace).len() == 4).await;
    let expected = "POST /confirming (server)
  deposit Task.Confirming (producer)
    publish Task.Confirming (client) failed: refused -> sweep
    publish Task.Confirming (client) -> sweep
";
    assert_eq!(tree(trace), expected);
    for span in spans(trace)
        .iter()
        .filter(|span| span.name.starts_with("publish"))
    {
        assert_eq!(attribute(span, "messaging.message.id"), Some(id.to_string()));
    }
    processor.close().await;
}
