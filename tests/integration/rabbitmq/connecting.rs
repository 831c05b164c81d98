//! Connecting, and failing to.

use std::time::{Duration, Instant};

use brighter::RabbitMq;
use brighter::channel::{Broker, ChannelError, Producer, PublishError};
use brighter::transport::rabbitmq::{ConnectError, ExchangeKind};
use brighter_tests::rabbitmq::{Corner, url};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::{message, received};

/// What stands behind the credentials.
fn place() -> String {
    url()
        .rsplit_once('@')
        .expect("the URL has credentials")
        .1
        .to_owned()
}

fn host() -> String {
    place().split('/').next().unwrap_or_default().to_owned()
}

fn assert_silent(error: &ConnectError) {
    let said = format!("{error} {error:?}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(error.is_fatal(), "{said}");
}

#[tokio::test]
async fn a_wrong_password_is_fatal_and_not_told() {
    let wrong = format!("amqp://guest:hunter2@{}", place());
    let error = RabbitMq::connect(&wrong).await.unwrap_err();
    assert!(matches!(error, ConnectError::Credentials { .. }), "{error:?}");
    assert_silent(&error);
}

#[tokio::test]
async fn a_virtual_host_that_is_not_there_is_fatal() {
    let (address, _) = url()
        .rsplit_once('/')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let error = RabbitMq::connect(&format!("{address}/hunter3"))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::VirtualHost { .. }), "{error:?}");
    assert!(error.to_string().contains("%2f"), "{error}");
}

#[tokio::test]
async fn nonsense_is_no_url() {
    for wrong in [
        "",
        "nonsense",
        "http://guest:hunter2@localhost",
        "amqp://guest:hunter2@host:port",
    ] {
        let error = RabbitMq::connect(wrong).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url { .. }), "{error:?}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn an_exchange_of_another_kind_is_told_apart() {
    let corner = Corner::new();
    let _first = corner.connect().await;
    let error = corner
        .builder()
        .exchange(corner.exchange(), ExchangeKind::Direct)
        .connect()
        .await
        .unwrap_err();
    let ConnectError::Exchange { reason, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        reason.contains("'direct'") && reason.contains("'topic'"),
        "{reason}"
    );
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_broker_that_stays_away_is_given_up() {
    let begun = Instant::now();
    let error = RabbitMq::builder(&format!("amqp://guest:hunter2@127.0.0.1:{}/", free_port().await))
        .wait_for_broker(Duration::from_millis(300))
        .connect()
        .await
        .unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(!error.is_fatal());
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_broker_that_comes_later_is_waited_for() {
    let corner = Corner::new();
    let port = free_port().await;
    let (credentials, _) = url()
        .rsplit_once('@')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let at = format!(
        "{credentials}@127.0.0.1:{port}/{}",
        place().split_once('/').unwrap().1
    );
    let connecting = tokio::spawn(corner.builder_at(&at).wait_for_broker_forever().connect());

    tokio::time::sleep(Duration::from_millis(300)).await; // A few attempts fail meanwhile.
    assert!(!connecting.is_finished());
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(host()).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let broker = connecting.await.unwrap().unwrap();
    broker.close().await;
}

#[tokio::test]
async fn once_closed_nothing_more_is_taken() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("closing", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let messages: Vec<_> = (0..20).map(|_| message("topic")).collect();
    let publishing = futures_util::future::join_all(messages.iter().map(|message| broker.publish(message)));
    let (published, ()) = futures_util::future::join(publishing, broker.close()).await;
    for result in published {
        assert!(matches!(result, Ok(()) | Err(PublishError::Closed)), "{result:?}");
    }
    assert!(matches!(
        broker.publish(&message("topic")).await,
        Err(PublishError::Closed)
    ));
    assert!(matches!(
        broker.consume(&channel).await,
        Err(ChannelError::Closed)
    ));
    // What had come before is still given out; then it is over, and no error.
    while let Some(delivery) = received(&mut consumer).await {
        drop(delivery.unwrap());
    }
    broker.close().await;
}
