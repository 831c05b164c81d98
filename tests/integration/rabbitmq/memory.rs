//! What the buffers of many connections take.

use std::process::Command;

use brighter::channel::{Broker, Producer};
use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter::{MessageId, RabbitMq};
use brighter_tests::rabbitmq::Corner;

/// Set in the process that is measured, which does nothing else.
const MEASURED: &str = "BRIGHTER_TEST_MEASURED";
const BROKERS: usize = 50;
/// A broker has two connections, and lapin 4 MiB for each direction of each. They may not be filled in advance.
const MOST_EACH: usize = 1024 * 1024;

/// How many bytes of memory this process really has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn one(corner: &Corner) -> RabbitMq {
    let broker = corner.connect().await;
    let name = MessageId::new().to_string();
    let mut consumer = broker.consume(&corner.channel(&name, &name)).await.unwrap();
    let header = MessageHeader::new(MessageId::new(), name.as_str(), MessageType::Event);
    let message = Message::new(header, MessageBody::new(vec![b'x'; 1000]));
    broker.publish(&message).await.unwrap();
    consumer.receive().await.unwrap().unwrap().ack().await.unwrap();
    broker
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn fifty_brokers_do_not_fill_their_buffers_in_advance() {
    if std::env::var_os(MEASURED).is_none() {
        let name = "rabbitmq::memory::fifty_brokers_do_not_fill_their_buffers_in_advance";
        let measured = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(MEASURED, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&measured.stdout);
        assert!(
            measured.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&measured.stderr)
        );
        println!("{said}");
        return;
    }
    let corner = Corner::new();
    let warm = one(&corner).await;
    let before = resident();
    let mut brokers = Vec::new();
    for _ in 0..BROKERS {
        brokers.push(one(&corner).await);
    }
    let each = resident().saturating_sub(before) / BROKERS;
    println!("each of {BROKERS} brokers takes {each} bytes");
    assert!(each < MOST_EACH, "each of {BROKERS} brokers takes {each} bytes");
    for broker in brokers.iter().chain([&warm]) {
        broker.close().await;
    }
    drop(brokers);
}
