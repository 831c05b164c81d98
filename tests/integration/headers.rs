//! What the header of a posted message says: by the request, by its publication, by what it was posted from.

use brighter::channel::{Broker, Channel};
use brighter::mapper::Postable;
use brighter::message::{BagValue, DEFAULT_SOURCE};
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::processor::{BuildError, PostError};
use brighter::trace::TraceContext;
use futures_util::FutureExt;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", type = "com.example.order.placed.v2", kind = "event")]
struct OrderPlaced {
    id: MessageId,
}

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Order.Plain", kind = "event")]
struct Plain;

fn placed(id: impl Into<MessageId>) -> OrderPlaced {
    OrderPlaced { id: id.into() }
}

fn broker() -> InMemoryBroker {
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("orders", "#"))
        .now_or_never()
        .unwrap()
        .unwrap();
    broker
}

fn posting(broker: &InMemoryBroker, publication: Publication<OrderPlaced>) -> CommandProcessor {
    CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .publication(publication)
        .without_sweeper()
        .build()
        .unwrap()
}

#[tokio::test]
async fn an_event_type_defaults_to_the_topic() {
    let broker = broker();
    let processor = posting(&broker, Publication::new());
    processor.post(placed("one")).await.unwrap();
    processor.post(Plain).await.unwrap();
    let sent = broker.messages("orders");
    assert_eq!(sent[0].header.event_type(), OrderPlaced::EVENT_TYPE);
    assert_eq!(sent[1].header.event_type(), "Order.Plain");
    for message in sent {
        assert_eq!(message.header.source(), DEFAULT_SOURCE);
        assert_eq!(message.header.reply_to, None);
        assert!(message.header.trace.is_empty());
    }
}

#[tokio::test]
async fn a_publication_says_what_every_message_of_it_says() {
    let broker = broker();
    let publication = Publication::new()
        .topic("Staging.Order.Placed")
        .source("https://shop.example/orders")
        .subject("orders")
        .data_schema("https://shop.example/schema")
        .reply_to("Order.Answers")
        .default_header("tenant", "north");
    posting(&broker, publication).post(placed("one")).await.unwrap();
    let [message] = &broker.messages("orders")[..] else {
        panic!("one message")
    };
    let header = &message.header;
    assert_eq!(header.topic, "Staging.Order.Placed");
    assert_eq!(header.event_type(), OrderPlaced::EVENT_TYPE);
    assert_eq!(header.source(), "https://shop.example/orders");
    assert_eq!(header.event.subject.as_deref(), Some("orders"));
    assert_eq!(
        header.event.data_schema.as_deref(),
        Some("https://shop.example/schema")
    );
    assert_eq!(header.reply_to, Some("Order.Answers".into()));
    assert_eq!(header.bag.get("tenant"), Some(&BagValue::from("north")));
}

#[tokio::test]
async fn a_post_from_a_handler_continues_its_trace() {
    let broker = broker();
    let processor = posting(&broker, Publication::new());
    let trace = TraceContext::default()
        .with_traceparent(PARENT)
        .with_tracestate("vendor=1")
        .with_baggage("tenant=north");
    let cx = Context::new()
        .with_message_id("cause".into())
        .with_trace(trace.clone());
    processor.post(placed("one")).caused_by(&cx).await.unwrap();
    let header = &broker.messages("orders")[0].header;
    assert_eq!(header.trace, trace);
    assert_eq!(header.causation_id, Some("cause".into()));
}

#[tokio::test]
async fn messages_no_broker_can_carry_are_not_stored() {
    let broker = broker();
    let outbox = InMemoryOutbox::new();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .build()
        .unwrap();
    for id in ["", "a\nb", &"x".repeat(256)] {
        let refused = processor.post(placed(id)).await.unwrap_err();
        assert!(matches!(refused, PostError::Name { .. }), "{refused}");
    }
    let status = outbox.status().await.unwrap();
    assert_eq!(status.outstanding, 0);
    assert!(broker.messages("orders").is_empty());

    let wrong = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox)
        .publication(Publication::<OrderPlaced>::new().subject("a\u{7}"))
        .build()
        .unwrap_err();
    let found: Vec<_> = wrong.iter().collect();
    assert!(matches!(found[..], [BuildError::Publication { .. }]), "{wrong}");
}
