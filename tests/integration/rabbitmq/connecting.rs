//! Connecting, and failing to.

use std::time::{Duration, Instant};

use brighter::RabbitMq;
use brighter::channel::{Broker, BrokerStatus, ChannelError, Producer, PublishError};
use brighter::transport::rabbitmq::{ConnectError, ExchangeKind, Tls, TlsFault};
use brighter_tests::rabbitmq::{Corner, Raw, url};
use brighter_tests::wait::{deadline, until_eq};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{id, message, next, received};

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
        .connect_timeout(Duration::from_millis(300))
        .connect()
        .await
        .unwrap_err();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(!error.is_fatal());
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

/// The URL of the broker by another port.
fn at(port: u16) -> String {
    let url = url();
    let (credentials, place) = url.rsplit_once('@').unwrap();
    format!(
        "{credentials}@127.0.0.1:{port}/{}",
        place.split_once('/').unwrap().1
    )
}

/// Leads who connects to the port to the broker.
async fn lead(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(host()).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
}

#[tokio::test]
async fn a_broker_that_comes_later_is_waited_for() {
    let corner = Corner::new();
    let port = free_port().await;
    let at = at(port);
    let connecting = tokio::spawn(corner.builder_at(&at).without_connect_timeout().connect());

    tokio::time::sleep(Duration::from_millis(300)).await; // A few attempts fail meanwhile.
    assert!(!connecting.is_finished());
    lead(port).await;
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

#[tokio::test]
async fn an_application_may_start_before_its_broker() {
    let corner = Corner::new();
    let port = free_port().await;
    let broker = corner.builder_at(&at(port)).connect_lazily().unwrap();
    let away = broker.status();
    assert!(matches!(away, BrokerStatus::Disconnected { .. }), "{away:?}");
    // What is asked of it meanwhile is an outage, and no refusal.
    let error = broker.publish(&message("topic")).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");

    lead(port).await;
    until_eq("the status", BrokerStatus::Connected, || broker.status()).await;
    let mut consumer = broker.consume(&corner.channel("late", "topic")).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    delivery.ack().await.unwrap();
    broker.close().await;
    assert_eq!(broker.status(), BrokerStatus::Closed);
}

#[test]
fn connecting_lazily_needs_no_runtime_and_takes_no_nonsense() {
    let nonsense = RabbitMq::builder("nonsense").connect_lazily().unwrap_err();
    assert!(matches!(nonsense, ConnectError::Url { .. }), "{nonsense:?}");
    let broker = RabbitMq::builder(&url()).connect_lazily().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        until_eq("the status", BrokerStatus::Connected, || broker.status()).await;
        broker.close().await;
    });
}

#[tokio::test]
async fn of_several_nodes_one_that_answers_is_enough() {
    let corner = Corner::new();
    let dead = at(free_port().await);
    // Whichever is asked first.
    for _ in 0..4 {
        let broker = RabbitMq::cluster([dead.clone(), url()])
            .exchange(corner.exchange(), ExchangeKind::Topic)
            .connect()
            .await
            .unwrap();
        broker.close().await;
    }
    let in_one = format!("{dead}, {}", url());
    corner.builder_at(&in_one).connect().await.unwrap().close().await;
}

#[tokio::test]
async fn when_no_node_can_be_used_each_says_why() {
    let dead = format!("amqp://guest:hunter2@127.0.0.1:{}/", free_port().await);
    let wrong = format!("amqp://guest:hunter2@{}", place());
    // The broker that refuses the password needs time to answer, on a slow machine too.
    let error = RabbitMq::cluster([&dead, &wrong].map(String::as_str))
        .connect_timeout(Duration::from_secs(3))
        .connect()
        .await
        .unwrap_err();
    let ConnectError::Nodes { failures } = &error else {
        panic!("{error:?}");
    };
    assert!(
        failures
            .iter()
            .any(|f| matches!(f, ConnectError::Credentials { .. }))
            && failures
                .iter()
                .any(|f| matches!(f, ConnectError::Unreachable { .. })),
        "{failures:?}"
    );
    // One of them may come back.
    assert!(!error.is_fatal());
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    let error = RabbitMq::cluster([&wrong, &wrong].map(String::as_str))
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Nodes { .. }), "{error:?}");
    assert_silent(&error);
}

/// Each port says something else than what a broker says to AMQP.
#[tokio::test]
async fn wrong_protocols_at_a_url_are_distinct_errors() {
    let plain = format!("amqps://guest:hunter2@{}", place());
    let error = RabbitMq::connect(&plain).await.unwrap_err();
    let ConnectError::Tls { fault, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*fault, TlsFault::NotSpoken);
    assert_silent(&error);

    let error = RabbitMq::builder(&plain)
        .tls(Tls::new().authority("nothing"))
        .connect()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Tls { fault: TlsFault::Settings { reason }, .. } if reason.contains("PEM")),
        "{error:?}"
    );
    let error = RabbitMq::builder(&url())
        .tls(Tls::new())
        .connect()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::Url { reason } if reason.contains("amqps")),
        "{error:?}"
    );
}

/// It takes the connection, and says nothing: no attempt may stay behind.
#[tokio::test]
async fn a_silent_port_times_out_and_is_closed() {
    // It keeps the thread of all connections, with which the other one would end too.
    let _other = Corner::new().builder().connect().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = at(listener.local_addr().unwrap().port());
    let error = RabbitMq::builder(&silent)
        .connect_timeout(Duration::from_millis(100))
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut said = Vec::new();
    let ended = timeout(
        deadline(),
        tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut said),
    )
    .await;
    assert!(ended.is_ok(), "the connection is open still");
}

/// The handler's thread is the only one the application has, and is blocked for longer than a broker waits for
/// a heartbeat.
#[tokio::test]
async fn a_thread_that_is_blocked_costs_no_connection() {
    let corner = Corner::new();
    let broker = corner
        .builder()
        .heartbeat_interval(Duration::from_secs(1))
        .connect()
        .await
        .unwrap();
    let channel = corner.channel("blocked", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    broker.publish(&message("topic")).await.unwrap();
    let delivery = next(&mut consumer).await;

    // It blocks what it is about.
    std::thread::sleep(Duration::from_secs(5));
    // On the very connection that brought it: a stale acknowledgement would be an error.
    delivery.ack().await.unwrap();
    broker.publish(&message("topic")).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();
    drop(consumer);
    Raw::connect().await.until_depth(channel.name.as_str(), 0).await;
}
