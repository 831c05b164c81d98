//! The broker over a directory does what a transport must.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::num::NonZeroU16;
use std::time::Duration;

use brighter_conformance::transport::{Feature, Features, Harness};
use brighter_core::channel::{Broker, Channel, ChannelError, Producer};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};
use tempfile::TempDir;
use transport::DirectoryBroker;

/// A directory of its own for each case.
struct Directory(TempDir);

impl Harness for Directory {
    type Broker = DirectoryBroker;

    fn features(&self) -> Features {
        Features::all()
            .without(Feature::SingleActiveConsumer)
            .without(Feature::TimeToLive)
            .without(Feature::LengthLimit)
            .without(Feature::DeliveryLimit)
            .without(Feature::Priorities)
            // There is no server, and no connection to it.
            .without(Feature::Reconnect)
            .without(Feature::Restart)
            .without(Feature::Stalls)
            .without(Feature::DeafConsumer)
            .without(Feature::Listing)
    }

    async fn connect(&self) -> DirectoryBroker {
        DirectoryBroker::open(self.0.path()).await.unwrap()
    }

    /// A consumer looks every 10 ms.
    fn quiet(&self) -> Duration {
        Duration::from_millis(100)
    }
}

brighter_conformance::transport_conformance!(directory, async || (
    Directory(tempfile::tempdir().unwrap()),
    ()
));

#[test]
fn a_message_of_a_dead_process_comes_again() {
    brighter_conformance::run(async {
        let folder = tempfile::tempdir().unwrap();
        let channel = Channel::new("tasks", "Task.Added");
        let dead = DirectoryBroker::open(folder.path()).await.unwrap();
        let mut consumer = dead.consume(&channel).await.unwrap();
        let header = MessageHeader::new(MessageId::new(), "Task.Added", MessageType::Event);
        dead.publish(&Message::new(header, MessageBody::new("{}")))
            .await
            .unwrap();
        let held = consumer.receive().await.unwrap().unwrap();

        // A process that lives keeps what it has in hand.
        let other = DirectoryBroker::open(folder.path()).await.unwrap();
        assert_eq!(other.depth(&channel).await.unwrap(), Some(0));
        // As the end of a process does, this gives up the lock and settles nothing.
        std::mem::forget(held);
        drop((consumer, dead));
        let next = DirectoryBroker::open(folder.path()).await.unwrap();
        let mut consumer = next.consume(&channel).await.unwrap();
        let again = consumer.receive().await.unwrap().unwrap();
        assert_eq!(again.redeliveries(), 1);
        again.ack().await.unwrap();
    });
}

#[test]
fn limits_that_a_directory_does_not_keep_are_refused() {
    brighter_conformance::run(async {
        let folder = tempfile::tempdir().unwrap();
        let broker = DirectoryBroker::open(folder.path()).await.unwrap();
        let mut channel = Channel::new("tasks", "Task.Added");
        channel.buffer = NonZeroU16::MIN;
        channel.limits.length = Some(3);
        let refused = broker.declare(&channel).await;
        assert!(
            matches!(&refused, Err(ChannelError::Refused { reason }) if reason.contains("leave them out")),
            "{refused:?}"
        );
    });
}
