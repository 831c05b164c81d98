//! Every number arrives as it was, over each broker and each outbox, whatever features serde_json is built with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use brighter::channel::Broker;
use brighter::mapper::JsonError;
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::processor::PostError;
use brighter::{MySqlOutbox, PostgresOutbox, SqliteBroker};
use brighter_numbers::{NUMBERS, Numbers, numbers};
use brighter_tests::databases::{MySql, Postgres};
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::until_eq;

/// The bits of what was handled, and of the numbers in its bag.
type Bits = HashMap<MessageId, (Vec<u64>, Vec<u64>)>;

#[derive(Clone, Default)]
struct Clerk(Arc<Mutex<Bits>>);

#[handler]
impl Handler<Numbers> for Clerk {
    async fn handle(&self, request: &Numbers, cx: &Context) -> Result<(), BoxError> {
        let header = cx.get::<MessageHeader>().ok_or("no header")?;
        let bag = header.bag.iter().filter_map(|(_, value)| value.as_f64());
        let bits = (request.bits(), bag.map(f64::to_bits).collect());
        self.0.lock().unwrap().insert(request.id.clone(), bits);
        Ok(())
    }
}

/// Posts all numbers and compares each with what is handled; returns how many there were.
async fn all_arrive(channel: &brighter::channel::Channel, broker: impl Broker, outbox: impl Outbox) -> usize {
    let clerk = Clerk::default();
    let processor = CommandProcessor::builder()
        .handler(clerk.clone())
        .broker(broker)
        .outbox(outbox)
        .build()
        .unwrap();
    let subscription = Subscription::<Numbers>::new("numbers").channel(channel.name.clone());
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let mut posted = Bits::new();
    for some in numbers().chunks(NUMBERS) {
        let request = Numbers::of(some);
        let mut post = processor.post(request.clone());
        for (index, number) in some.iter().enumerate() {
            post = post.header(format!("number-{index:02}"), *number);
        }
        post.await.unwrap();
        let bag = some.iter().map(|number| number.to_bits()).collect();
        posted.insert(request.id.clone(), (request.bits(), bag));
    }
    until_eq("handled", posted.len(), || clerk.0.lock().unwrap().len()).await;
    let handled = clerk.0.lock().unwrap().clone();
    let (mut all, mut differ) = (0, 0);
    for (id, (body, bag)) in &posted {
        let (found_body, found_bag) = &handled[id];
        assert_eq!((body.len(), bag.len()), (found_body.len(), found_bag.len()));
        let pairs = body.iter().zip(found_body).chain(bag.iter().zip(found_bag));
        for (posted, handled) in pairs {
            all += 1;
            differ += usize::from(posted != handled);
        }
    }
    assert_eq!(differ, 0, "of {all} numbers");
    dispatcher.end().await;
    processor.close().await;
    all
}

/// Over one broker and each outbox.
macro_rules! over {
    ($name:literal, $corner:ident, $broker:expr) => {{
        let folder = tempfile::tempdir().unwrap();
        let (postgres, mysql) = (Postgres::new().await, MySql::new().await);
        let channel = |store: &str| $corner.channel(&format!("{}-{store}", $name), "Numbers.Sent");
        let outbox = InMemoryOutbox::new();
        told(
            $name,
            "memory",
            all_arrive(&channel("memory"), $broker(folder.path(), 0).await, outbox).await,
        );
        let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
        told(
            $name,
            "SQLite",
            all_arrive(&channel("sqlite"), $broker(folder.path(), 1).await, outbox).await,
        );
        let outbox = PostgresOutbox::from_pool(postgres.pool().await).await.unwrap();
        told(
            $name,
            "PostgreSQL",
            all_arrive(&channel("postgres"), $broker(folder.path(), 2).await, outbox).await,
        );
        let outbox = MySqlOutbox::from_pool(mysql.pool().await).await.unwrap();
        told(
            $name,
            "MySQL",
            all_arrive(&channel("mysql"), $broker(folder.path(), 3).await, outbox).await,
        );
    }};
}

fn told(broker: &str, store: &str, numbers: usize) {
    println!("{broker} broker, {store} outbox: {numbers} numbers, 0 differ");
}

#[tokio::test]
async fn every_number_arrives_over_the_broker_in_memory() {
    let corner = Corner::new();
    over!("in-memory", corner, async |_: &std::path::Path, _: u8| {
        InMemoryBroker::new()
    });
}

#[tokio::test]
async fn every_number_arrives_over_the_broker_in_a_file() {
    let corner = Corner::new();
    over!("file", corner, async |folder: &std::path::Path, number: u8| {
        SqliteBroker::open(folder.join(format!("broker-{number}.db")))
            .await
            .unwrap()
    });
}

#[tokio::test]
async fn every_number_arrives_over_rabbitmq() {
    let corner = Corner::new();
    // A exchange for each, or each would get a copy of the others.
    over!("rabbitmq", corner, async |_: &std::path::Path, number: u8| {
        let exchange = format!("{}-{number}", corner.exchange());
        let kind = brighter::transport::rabbitmq::ExchangeKind::Topic;
        corner.builder().exchange(exchange, kind).connect().await.unwrap()
    });
}

#[tokio::test]
async fn a_number_that_json_has_not_is_refused() {
    let processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let places: [fn(&mut Numbers, f64); 6] = [
            |request, wrong| request.list[0] = wrong,
            |request, wrong| request.maybe = Some(wrong),
            |request, wrong| request.single[0] = wrong as f32,
            |request, wrong| request.shapes = vec![brighter_numbers::Shape::Circle { radius: wrong }],
            |request, wrong| request.either = vec![brighter_numbers::Either::Number(wrong)],
            |request, wrong| request.flat.ratio = wrong,
        ];
        for put in places {
            let mut request = Numbers::of(&[1.0]);
            put(&mut request, wrong);
            let PostError::Map { source, .. } = processor.post(request).await.unwrap_err() else {
                panic!("another error")
            };
            let source = source.source().and_then(|source| source.downcast_ref());
            assert!(matches!(source, Some(JsonError::NotFinite { .. })), "{source:?}");
        }
        let post = processor.post(Numbers::of(&[1.0])).header("share", wrong);
        assert!(matches!(post.await, Err(PostError::NotFinite { .. })));
    }
}

/// JSON that is put into a request as it is.
#[cfg(feature = "raw_value")]
#[test]
fn raw_json_counts_its_levels() {
    use brighter::mapper::{JsonMapper, MessageMapper};
    use brighter::message::MessageType;
    use serde_json::value::RawValue;

    for levels in [120, 126, 127, 140] {
        let json = "[".repeat(levels) + "1e1" + &"]".repeat(levels);
        let raw: Vec<&RawValue> = vec![serde_json::from_str(&json).unwrap()];
        let raw: Vec<Box<RawValue>> = raw.into_iter().map(ToOwned::to_owned).collect();
        let header = || MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        let written = JsonMapper.to_message(&raw, header());
        assert_eq!(written.is_ok(), levels < 127, "{levels}");
        if let Ok(message) = written {
            assert_eq!(message.body.as_bytes(), format!("[{json}]").as_bytes());
            let read: Result<serde_json::Value, _> = JsonMapper.to_request(&message);
            assert!(read.is_ok(), "{levels}");
        }
    }
}
