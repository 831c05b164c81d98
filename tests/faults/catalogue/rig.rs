//! The rig itself: each kind of harm does what it says.

use std::time::Duration;

use brighter_faults::certificates::{Authority, Flaw};
use brighter_faults::frames::Kind;
use brighter_faults::node::{self, Node};
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::wait::{in_time, until_answer};
use brighter_test_servers::{Settings, Tls};
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const QUEUE: &str = "rig";

async fn open(url: &str) -> (Connection, Channel) {
    let properties = ConnectionProperties::default().with_connection_name("rig".into());
    let connection = Connection::connect(url, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel, queue: &str, arguments: FieldTable) -> u32 {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue.into(), options, arguments);
    declared.await.unwrap().message_count()
}

async fn publish(channel: &Channel, queue: &str) -> lapin::Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, b"rig", properties);
    sent.await?.await.map(drop)
}

#[tokio::test]
async fn a_killed_or_stopped_node_keeps_its_data() {
    let node = node::to_harm().await;
    let (_connection, channel) = open(node.url()).await;
    declare(&channel, QUEUE, FieldTable::default()).await;
    node.write_queues().await;
    publish(&channel, QUEUE).await.unwrap();
    node.kill().await;
    assert!(TcpStream::connect(node.address()).await.is_err());
    node.start_again().await;
    node.stop().await;
    node.start_again().await;
    let (_connection, channel) = open(node.url()).await;
    // The queue may still be reading its files.
    until_answer("the message", 1, async || {
        declare(&channel, QUEUE, FieldTable::default()).await
    })
    .await;
    node.delete_queue(QUEUE).await;
    assert_eq!(declare(&channel, QUEUE, FieldTable::default()).await, 0);
    node.delete_queue(QUEUE).await;
    // A node counts a connection a moment after it is open.
    until_answer("connections", 1, async || node.connections("rig").await).await;
    assert_eq!(node.close_connections("rig").await, 1);
    until_answer("connections", 0, async || node.connections("rig").await).await;
}

#[tokio::test]
async fn queue_lengths_are_known_at_once() {
    let node = node::shared().await;
    let (_connection, channel) = open(node.url()).await;
    for queue_type in ["classic", "quorum"] {
        let queue = format!("rig.depth.{queue_type}");
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(queue_type.into()));
        declare(&channel, &queue, arguments).await;
        for _ in 0..2 {
            publish(&channel, &queue).await.unwrap();
        }
        assert_eq!(node.depth(&queue).await, (2, 2), "{queue_type}");
        let taken = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        let taken = taken.await.unwrap().unwrap();
        assert_eq!(node.depth(&queue).await, (2, 1), "{queue_type}");
        taken.acker.ack(BasicAckOptions::default()).await.unwrap();
        until_answer("acked", (1, 1), async || node.depth(&queue).await).await;
        node.delete_queue(&queue).await;
    }
}

#[tokio::test]
async fn alarms_are_raised_and_cleared() {
    let node = node::to_harm().await;
    let alarms = "length([A || {{resource_limit, _, _} = A, _} <- rabbit_alarm:get_alarms()]).";
    node.memory_alarm(true).await;
    node.disk_alarm(true).await;
    until_answer("alarms", "2".to_owned(), async || node.eval(alarms).await).await;
    node.memory_alarm(false).await;
    node.disk_alarm(false).await;
    until_answer("alarms", "0".to_owned(), async || node.eval(alarms).await).await;
}

#[tokio::test]
async fn a_proxy_harms_the_chosen_frame() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let url = node.url_at(proxy.address());
    let (_connection, channel) = open(&url).await;
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare("".into(), options, FieldTable::default())
        .await
        .unwrap();
    let publish = async || {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let sent = channel.basic_publish("".into(), queue.name().clone(), options, b"rig", properties);
        sent.await?.await
    };
    publish().await.unwrap();
    assert_eq!(proxy.seen(Direction::ToBroker, Kind::PUBLISH), 1);
    // The second confirm from here on is lost, and the next one speaks for itself alone.
    proxy.add(Rule::next(Direction::ToClient, Kind::ACK, Act::Drop).after(1));
    publish().await.unwrap();
    let unconfirmed = tokio::time::timeout(Duration::from_millis(300), publish()).await;
    assert!(unconfirmed.is_err() && proxy.followed() == 1);
    // Between the header and the body.
    proxy.add(Rule::next(Direction::ToBroker, Kind::Body, Act::Reset));
    in_time("the reset", publish()).await.unwrap_err();
    assert_eq!(proxy.followed(), 2);
    until_answer("connections", 0, async || proxy.open()).await;

    proxy.refuse(true);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    refused.read_u8().await.unwrap_err();
    proxy.refuse(false);
    proxy.black_hole(true);
    let mut silent = TcpStream::connect(proxy.address()).await.unwrap();
    silent.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
    until_answer("connections", 1, async || proxy.open()).await;
    proxy.reset();
    silent.read_u8().await.unwrap_err();
}

#[tokio::test]
async fn a_node_listens_for_tls_with_its_certificate() {
    let authority = Authority::new("rig");
    let identity = authority.broker(Flaw::None);
    let node = Node::start(Settings {
        tls: Some(Tls {
            authority: authority.certificate().to_owned(),
            certificate: identity.certificate,
            key: identity.key,
            client_certificate: false,
        }),
        ..Node::settings()
    })
    .await;
    let host = node.tls_address();
    let url = node.url_at(host).replace("amqp:", "amqps:");
    let connect = async |cert_chain| {
        let tls = lapin::tcp::OwnedTLSConfig {
            identity: None,
            cert_chain,
        };
        lapin::ConnectionBuilder::new()
            .unwrap()
            .with_uri_str(url.clone())
            .with_tls_config(tls)
            .connect()
            .await
    };
    connect(None).await.unwrap_err();
    let connection = connect(Some(authority.certificate().to_owned())).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}
