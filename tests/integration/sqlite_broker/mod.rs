//! The broker in a file, through its ports.

mod behaviours;
mod failing;
mod limits;
mod processes;
mod sharing;

use std::path::PathBuf;
use std::time::Duration;

use brighter::channel::{Broker, Channel, Consumer, Delivery, Producer};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::transport::sqlite::SqliteBrokerOptions;
use brighter::{Message, MessageId, SqliteBroker};
use brighter_tests::wait::deadline;
use tempfile::TempDir;
use tokio::time::timeout;

/// A file of its own, which goes with the test.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("broker.db")
    }

    async fn open(&self) -> SqliteBroker {
        SqliteBroker::open(self.path()).await.unwrap()
    }

    /// A broker that is taken for dead soon after it is.
    async fn open_with_lease(&self, millis: u64) -> SqliteBroker {
        let options = SqliteBrokerOptions::default().lease(Duration::from_millis(millis));
        SqliteBroker::open(self.path()).options(options).await.unwrap()
    }

    /// A pool of somebody else, to look at the file and to be in the way.
    async fn others(&self) -> sqlx::SqlitePool {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path());
        sqlx::SqlitePool::connect_with(options).await.unwrap()
    }
}

fn message(topic: &str) -> Message {
    let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}

fn numbered(number: usize) -> Message {
    let mut message = message("topic");
    message.header.id = number.to_string().as_str().into();
    message
}

/// A channel `c` of the topic `topic`, with something of it changed.
fn channel(change: impl FnOnce(&mut Channel)) -> Channel {
    let mut channel = Channel::new("c", "topic");
    change(&mut channel);
    channel
}

fn with_buffer(messages: u16) -> Channel {
    channel(|it| it.buffer = messages.try_into().unwrap())
}

async fn publish(broker: &SqliteBroker, numbers: impl IntoIterator<Item = usize>) {
    let messages: Vec<_> = numbers.into_iter().map(numbered).collect();
    for published in broker.publish_all(messages.iter().collect()).await {
        published.unwrap();
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = timeout(deadline(), consumer.receive()).await;
    next.expect("in time").expect("not closed").expect("not lost")
}

fn id(delivery: &Delivery) -> String {
    delivery.message().unwrap().header.id.to_string()
}

/// Waits until so many messages wait in the channel.
async fn until_depth(broker: &SqliteBroker, channel: &Channel, depth: u64) {
    let waited = timeout(deadline(), async {
        while broker.depth(channel).await.unwrap() != Some(depth) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{depth} messages in time");
}

/// What waits in the channel once something does.
async fn until_there(broker: &SqliteBroker, channel: &str) -> Vec<Message> {
    let waited = timeout(deadline(), async {
        loop {
            let messages = broker.messages(channel, 100).await.unwrap();
            if !messages.is_empty() {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("a message in time")
}
