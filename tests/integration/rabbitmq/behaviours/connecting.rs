//! Consuming over a connection that is closed, interrupted or asked for what the queue cannot do.

use brighter::channel::{Broker, ChannelError, Producer};
use brighter_tests::rabbitmq::url;
use brighter_tests::wait::deadline;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Ground;
use crate::rabbitmq::{id, message, next};

on_both_queue_types!(
    a_message_consumer_throws_an_already_closed_exception_when_connecting,
    a_message_consumer_throws_an_operation_interrupted_exception_when_connecting,
    a_message_consumer_throws_a_not_supported_exception_when_connecting,
);

async fn a_message_consumer_throws_an_already_closed_exception_when_connecting(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("closed", "topic");
    drop(broker.consume(&channel).await.unwrap());
    broker.close().await;
    let error = broker.consume(&channel).await.unwrap_err();
    assert!(matches!(error, ChannelError::Closed), "{error:?}");
}

/// A way to the broker that breaks.
struct Passage {
    port: u16,
    broken: watch::Sender<bool>,
}

impl Passage {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (broken, state) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if !*state.borrow() {
                    tokio::spawn(pass(near, state.clone()));
                }
            }
        });
        Self { port, broken }
    }

    /// The URL of the broker by this way.
    fn url(&self) -> String {
        let url = url();
        let (credentials, place) = url.rsplit_once('@').unwrap();
        let (_, host) = place.split_once('/').unwrap();
        format!("{credentials}@127.0.0.1:{}/{host}", self.port)
    }
}

/// Once it is broken, the next words to the broker end the connection.
async fn pass(near: TcpStream, broken: watch::Receiver<bool>) {
    let url = url();
    let place = url.rsplit_once('@').unwrap().1;
    let far = TcpStream::connect(place.split('/').next().unwrap())
        .await
        .unwrap();
    let (mut from_us, mut to_us) = near.into_split();
    let (mut from_broker, mut to_broker) = far.into_split();
    let there = async {
        let mut words = [0; 4096];
        while let Ok(count @ 1..) = from_us.read(&mut words).await {
            if *broken.borrow() || to_broker.write_all(&words[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        _ = copy(&mut from_broker, &mut to_us) => {}
    }
}

async fn a_message_consumer_throws_an_operation_interrupted_exception_when_connecting(ground: Ground) {
    let passage = Passage::open().await;
    let broker = ground.corner.builder_at(&passage.url()).connect().await.unwrap();
    let channel = ground.channel("interrupted", "topic");
    passage.broken.send_replace(true);
    let error = broker.consume(&channel).await.unwrap_err();
    assert!(matches!(error, ChannelError::Disconnected(_)), "{error:?}");

    // It is worth trying again, and so it works when the way is free again.
    passage.broken.send_replace(false);
    let again = async {
        loop {
            match broker.consume(&channel).await {
                Ok(consumer) => return consumer,
                Err(ChannelError::Disconnected(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let mut consumer = timeout(deadline(), again).await.expect("consuming in time");
    let sent = message("topic");
    let publishing = async { while broker.publish(&sent).await.is_err() {} };
    timeout(deadline(), publishing).await.expect("published in time");
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    delivery.ack().await.unwrap();
}

async fn a_message_consumer_throws_a_not_supported_exception_when_connecting(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = ground.channel("unsupported", "topic");
    let fix = if ground.is_quorum() {
        channel.limits.priorities = Some(5);
        "make it a classic queue"
    } else {
        channel.limits.deliveries = Some(5);
        "queue_type(QueueType::Quorum)"
    };
    let error = broker.consume(&channel).await.unwrap_err();
    assert!(matches!(error, ChannelError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(fix), "{error}");
}
