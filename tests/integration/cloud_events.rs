//! A request in the envelope of CloudEvents, from a post to its handler.

use std::sync::{Arc, Mutex};

use brighter::channel::{Broker, Channel, Producer};
use brighter::mapper::CloudEventsMapper;
use brighter::message::{MessageBody, MessageType};
use brighter::prelude::*;
use brighter::trace::TraceContext;
use brighter_tests::wait::until_eq;
use serde_json::{Value, json};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", type = "order.placed.v1", kind = "event", mapper = CloudEventsMapper)]
struct OrderPlaced {
    id: MessageId,
    amount: u32,
}

/// Notes what it handles, and what is told of it.
#[derive(Clone, Default)]
struct Clerk(Arc<Mutex<Vec<(OrderPlaced, MessageHeader)>>>);

#[handler]
impl Handler<OrderPlaced> for Clerk {
    async fn handle(&self, order: &OrderPlaced, cx: &Context) -> Result<(), BoxError> {
        let header = cx.get::<MessageHeader>().ok_or("no header")?;
        assert_eq!(cx.trace(), &header.trace);
        self.0.lock().unwrap().push((order.clone(), (*header).clone()));
        Ok(())
    }
}

impl Clerk {
    fn handled(&self) -> Vec<(OrderPlaced, MessageHeader)> {
        self.0.lock().unwrap().clone()
    }
}

async fn app(broker: &InMemoryBroker, clerk: &Clerk) -> Dispatcher {
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .publication(
            Publication::<OrderPlaced>::new()
                .source("urn:shop")
                .subject("seven"),
        )
        .handler(clerk.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<OrderPlaced>::new("orders"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    dispatcher
}

#[tokio::test(start_paused = true)]
async fn posted_requests_travel_in_envelopes_and_are_handled() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::default());
    broker
        .declare(&Channel::new("witness", "Order.Placed"))
        .await
        .unwrap();
    let dispatcher = app(&broker, &clerk).await;
    let order = OrderPlaced {
        id: MessageId::new(),
        amount: 7,
    };
    let cx = Context::new().with_trace(TraceContext::default().with_traceparent(PARENT));
    dispatcher
        .processor()
        .post(order.clone())
        .caused_by(&cx)
        .await
        .unwrap();

    until_eq("it is handled", 1, || clerk.handled().len()).await;
    let (handled, header) = &clerk.handled()[0];
    assert_eq!(*handled, order);
    assert_eq!(header.id, order.id);
    assert_eq!(header.event_type(), "order.placed.v1");
    assert_eq!(header.trace.traceparent(), Some(PARENT));

    let sent = &broker.messages("witness")[0];
    assert_eq!(sent.header.content_type, "application/cloudevents+json");
    let mut envelope: Value = serde_json::from_slice(sent.body.as_bytes()).unwrap();
    assert!(envelope["time"].take().is_string());
    let id = order.id.to_string();
    assert_eq!(
        envelope,
        json!({
            "id": id, "specversion": "1.0", "type": "order.placed.v1", "source": "urn:shop", "subject": "seven",
            "time": null, "datacontenttype": "application/json", "traceparent": PARENT,
            "data": { "id": id, "amount": 7 },
        })
    );
}

/// It comes through gateways that know nothing of headers.
#[tokio::test(start_paused = true)]
async fn a_foreign_envelope_fills_the_handlers_context() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::default());
    let dispatcher = app(&broker, &clerk).await;
    let envelope = |version: &str, amount: Value| {
        let envelope = json!({
            "specversion": version, "id": "theirs", "source": "urn:them", "type": "theirs.placed", "tenant": "north",
            "traceparent": PARENT, "data": { "id": "order-7", "amount": amount },
        });
        let header = MessageHeader::new(MessageId::new(), "Order.Placed", MessageType::Event)
            .with_content_type("application/cloudevents+json; charset=utf-8");
        Message::new(header, MessageBody::new(envelope.to_string()))
    };
    let unreadable = [envelope("0.3", json!(7)), envelope("1.0", json!("seven"))];
    for message in &unreadable {
        broker.publish(message).await.unwrap();
    }
    broker.publish(&envelope("1.0", json!(7))).await.unwrap();

    until_eq("it is handled", 1, || clerk.handled().len()).await;
    let (order, header) = &clerk.handled()[0];
    assert_eq!((order.id.to_string().as_str(), order.amount), ("order-7", 7));
    assert_eq!(header.id, "theirs".into());
    assert_eq!(header.source(), "urn:them");
    assert_eq!(header.event_type(), "theirs.placed");
    assert_eq!(header.trace.traceparent(), Some(PARENT));
    assert_eq!(
        header.bag.get("tenant").and_then(|tenant| tenant.as_str()),
        Some("north")
    );

    // What cannot be read keeps its bytes, and the id that it came with.
    until_eq("both are set aside", 2, || {
        broker.messages("orders.invalid").len()
    })
    .await;
    for (found, sent) in broker.messages("orders.invalid").iter().zip(&unreadable) {
        assert_eq!(found.body, sent.body);
        assert_eq!(found.header.id, sent.header.id);
    }
    dispatcher.end().await;
}
