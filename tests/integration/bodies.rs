//! What a body says, from a post to its handler: numbers, depth, encodings, and the same content in other bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use brighter::channel::{Broker, Channel, Producer, Rejection};
use brighter::inbox::InMemoryInbox;
use brighter::mapper::{CloudEventsMapper, JsonError, JsonMapper, MapError, MessageMapper};
use brighter::message::{MessageBody, MessageType, NameError};
use brighter::outbox::OutboxError;
use brighter::prelude::*;
use brighter::processor::PostError;
use brighter::trace::TraceContext;
use brighter_tests::wait::until_eq;

/// A tree, and a map whose order is another one each time.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", kind = "event")]
struct Order {
    id: MessageId,
    amount: f64,
    labels: HashMap<String, u32>,
    #[serde(default)]
    within: Vec<Order>,
}

impl Order {
    fn of(amount: f64) -> Self {
        let labels = (0..20).map(|number| (format!("label {number}"), number));
        Self {
            id: MessageId::new(),
            amount,
            labels: labels.collect(),
            within: Vec::new(),
        }
    }

    /// Two levels of JSON a time.
    fn within(self, times: usize) -> Self {
        (0..times).fold(self, |inner, _| Self {
            id: inner.id.clone(),
            amount: 0.0,
            labels: HashMap::new(),
            within: vec![inner],
        })
    }
}

#[derive(Clone, Default)]
struct Clerk(Arc<Mutex<Vec<f64>>>);

#[handler]
impl Handler<Order> for Clerk {
    #[use_inbox(step = 1)]
    async fn handle(&self, order: &Order) -> Result<(), BoxError> {
        self.0.lock().unwrap().push(order.amount);
        Ok(())
    }
}

struct Shop {
    broker: InMemoryBroker,
    clerk: Clerk,
    dispatcher: Dispatcher,
}

impl Shop {
    async fn new() -> Self {
        let (broker, clerk) = (InMemoryBroker::new(), Clerk::default());
        let processor = CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(InMemoryOutbox::new())
            .inbox(InMemoryInbox::new())
            .handler(clerk.clone())
            .build()
            .unwrap();
        let dispatcher = Dispatcher::builder(processor)
            .subscription(Subscription::<Order>::new("orders"))
            .build()
            .unwrap();
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        Self {
            broker,
            clerk,
            dispatcher,
        }
    }

    async fn post(&self, order: Order) -> Result<MessageId, PostError> {
        self.dispatcher.processor().post(order).await
    }

    async fn deliver(&self, id: &str, content_type: &'static str, body: impl Into<Vec<u8>>) {
        let header = MessageHeader::new(id.into(), "Order.Placed", MessageType::Event);
        let body = MessageBody::new(body.into());
        let message = Message::new(header.with_content_type(content_type), body);
        self.broker.publish(&message).await.unwrap();
    }

    fn handled(&self) -> usize {
        self.clerk.0.lock().unwrap().len()
    }

    /// The reasons of what is set aside.
    fn set_aside(&self, channel: &str) -> Vec<String> {
        let messages = self.broker.messages(channel);
        let reasons = messages
            .iter()
            .map(|message| Rejection::read(&message.header).unwrap());
        reasons.map(|rejected| rejected.rejection.reason).collect()
    }
}

fn json_error(error: &PostError) -> &JsonError {
    let PostError::Map { source, .. } = error else {
        panic!("{error:?}")
    };
    std::error::Error::source(source).unwrap().downcast_ref().unwrap()
}

#[tokio::test(start_paused = true)]
async fn bodies_consumers_cannot_read_are_refused_on_post() {
    let shop = Shop::new().await;
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = shop.post(Order::of(number)).await.unwrap_err();
        assert!(matches!(json_error(&error), JsonError::NotFinite { field, .. } if field == "amount"));
        let post = shop.dispatcher.processor().post(Order::of(1.0));
        let error = post.header("share", number).await.unwrap_err();
        assert!(
            matches!(&error, PostError::NotFinite { name, .. } if name == "share"),
            "{error:?}"
        );
    }
    let error = shop.post(Order::of(1.0).within(65)).await.unwrap_err();
    assert_eq!(json_error(&error), &JsonError::TooDeep { limit: 127 });
    // The last has 126 levels: 62 around it, with a list each, itself and its labels.
    for (handled, depth) in [0, 30, 62].into_iter().enumerate() {
        shop.post(Order::of(1.0).within(depth)).await.unwrap();
        until_eq("handled", handled + 1, || shop.handled()).await;
    }
    assert!(
        shop.post(Order::of(1.0).within(63)).await.is_err(),
        "it has 128 levels"
    );
    let status = shop.dispatcher.processor().outbox().status().await.unwrap();
    assert_eq!(status.outstanding, 0);
    assert!(shop.set_aside("orders.invalid").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_byte_order_mark_is_skipped_and_other_encodings_refused() {
    let shop = Shop::new().await;
    let body = |id: &str| format!("{{\"id\":\"{id}\",\"amount\":1.5,\"labels\":{{}}}}\r\n");
    for (id, content_type) in [
        ("1", "application/json; charset=utf-8"),
        ("2", "text/json"),
        ("3", "application/vnd.shop+json"),
    ] {
        shop.deliver(id, content_type, format!("\u{feff}{}", body(id)))
            .await;
    }
    until_eq("handled", 3, || shop.handled()).await;
    for wide in [
        body("5")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>(),
        "\u{feff}{}".encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ] {
        shop.deliver("5", "application/json; charset=utf-16", wide).await;
    }
    until_eq("set aside", 2, || shop.set_aside("orders.invalid").len()).await;
    for reason in shop.set_aside("orders.invalid") {
        assert!(reason.contains("UTF-16"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reposted_request_with_a_map_is_recognised() {
    let shop = Shop::new().await;
    let order = Order::of(1.0);
    for _ in 0..50 {
        // A new map, in another order.
        let again = Order {
            labels: order.labels.clone().into_iter().collect(),
            ..order.clone()
        };
        assert_eq!(shop.post(again).await.unwrap(), order.id);
    }
    until_eq("handled", 1, || shop.handled()).await;
    let other = Order { amount: 2.0, ..order };
    let error = shop.post(other).await.unwrap_err();
    assert!(
        matches!(error, PostError::Outbox(OutboxError::IdInUse { .. })),
        "{error:?}"
    );
    assert_eq!(shop.handled(), 1);
}

#[tokio::test(start_paused = true)]
async fn equal_content_is_a_duplicate_and_other_is_dead_lettered() {
    let shop = Shop::new().await;
    for body in [
        r#"{"id":"x","amount":1.0,"labels":{"a":1,"b":2}}"#,
        "{ \"labels\" : { \"b\": 2, \"a\": 1 },\n\"amount\": 1, \"id\": \"x\" }",
        "\u{feff}{\"id\":\"x\",\"amount\":10e-1,\"labels\":{\"a\":1,\"b\":2}}",
        // Of a release that has a field more, which this request does not use.
        r#"{"id":"x","amount":1.0,"currency":null,"labels":{"a":1,"b":2}}"#,
    ] {
        shop.deliver("x", "application/json", body).await;
    }
    shop.deliver("y", "application/json", r#"{"id":"y","amount":7,"labels":{}}"#)
        .await;
    until_eq("handled", 2, || shop.handled()).await;
    until_eq("left", 0, || shop.broker.messages("orders").len()).await;
    assert!(shop.set_aside("orders.dlq").is_empty());
    shop.deliver(
        "x",
        "application/json",
        r#"{"id":"x","amount":1.0,"currency":"EUR","labels":{"a":1,"b":2}}"#,
    )
    .await;
    until_eq("set aside", 1, || shop.set_aside("orders.dlq").len()).await;
    assert_eq!(shop.handled(), 2);
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Order.Shipped", kind = "event", mapper = CloudEventsMapper)]
struct Shipped {
    id: MessageId,
    parcels: u32,
}

/// An envelope says when it was made and in which trace, which is another one each time.
#[tokio::test(start_paused = true)]
async fn a_reposted_request_in_an_envelope_is_recognised() {
    let shop = Shop::new().await;
    let processor = shop.dispatcher.processor();
    shop.broker
        .declare(&Channel::new("witness", "Order.Shipped"))
        .await
        .unwrap();
    let shipped = Shipped {
        id: MessageId::new(),
        parcels: 2,
    };
    for trace in 1..4 {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b{trace}-01");
        let cx = Context::new().with_trace(TraceContext::default().with_traceparent(&parent));
        processor.post(shipped.clone()).caused_by(&cx).await.unwrap();
    }
    assert_eq!(shop.broker.messages("witness").len(), 1);
    let other = Shipped {
        parcels: 3,
        ..shipped
    };
    let error = processor.post(other).await.unwrap_err();
    assert!(
        matches!(error, PostError::Outbox(OutboxError::IdInUse { .. })),
        "{error:?}"
    );
}

/// Writes JSON and calls it what the request says.
#[derive(Default)]
struct CalledAnything;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Called.Anything", kind = "event", mapper = CalledAnything)]
struct Called {
    id: MessageId,
    content_type: String,
}

impl MessageMapper<Called> for CalledAnything {
    fn to_message(&self, request: &Called, header: MessageHeader) -> Result<Message, MapError> {
        let message = JsonMapper.to_message(request, header)?;
        let header = message.header.with_content_type(request.content_type.clone());
        Ok(Message::new(header, message.body))
    }

    fn to_request(&self, message: &Message) -> Result<Called, MapError> {
        JsonMapper.to_request(message)
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_content_type_is_refused_on_post() {
    let shop = Shop::new().await;
    let processor = shop.dispatcher.processor();
    for wrong in [
        "nonsense",
        "json",
        "text /plain",
        " text/plain",
        "text/plain;charset=",
        "text/plain;;a=b",
    ] {
        let called = Called {
            id: MessageId::new(),
            content_type: wrong.to_owned(),
        };
        let error = processor.post(called).await.unwrap_err();
        let PostError::Name { source, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(
            matches!(source, NameError::ContentType { content_type, .. } if content_type == wrong),
            "{wrong}"
        );
    }
    assert_eq!(processor.outbox().status().await.unwrap().outstanding, 0);
}

/// A mapper that says in its error what a stranger wrote.
#[tokio::test(start_paused = true)]
async fn foreign_line_breaks_do_not_end_a_reason() {
    let shop = Shop::new().await;
    let processor = CommandProcessor::builder()
        .broker(shop.broker.clone())
        .outbox(InMemoryOutbox::new())
        .handler(Quiet)
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Shipped>::new("shipped"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let bodies = [
        (
            r#"{"specversion":"1\r\nX-Forged: yes\u001b[2J\u202e"}"#,
            "cannot be read",
        ),
        (
            r#"{"specversion":"1.0","id":"a\nb","data":{"id":"1","parcels":1}}"#,
            "control",
        ),
        (
            r#"{"specversion":"1.0","data":{"id":"1","parcels":"1\n2"}}"#,
            "invalid type",
        ),
    ];
    for (body, _) in bodies {
        let header = MessageHeader::new(MessageId::new(), "Order.Shipped", MessageType::Event);
        let header = header.with_content_type("application/cloudevents+json");
        shop.broker
            .publish(&Message::new(header, MessageBody::new(body)))
            .await
            .unwrap();
    }
    until_eq("set aside", bodies.len(), || {
        shop.set_aside("shipped.invalid").len()
    })
    .await;
    for (reason, (_, said)) in shop.set_aside("shipped.invalid").iter().zip(bodies) {
        assert!(reason.contains(said), "{reason}");
        assert!(
            !reason.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{reason:?}"
        );
    }
    dispatcher.end().await;
}

struct Quiet;

#[handler]
impl Handler<Shipped> for Quiet {
    async fn handle(&self, _: &Shipped) -> Result<(), BoxError> {
        Ok(())
    }
}
