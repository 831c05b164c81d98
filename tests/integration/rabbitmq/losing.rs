//! Losing connections and queues, and going on.

use brighter::channel::{Broker, Channel, ChannelError, Consumer, Producer, PublishError, SettleError};
use brighter::{Message, RabbitMq};
use brighter_tests::rabbitmq::{Corner, Raw, ctl};
use brighter_tests::wait::deadline;
use tokio::time::timeout;

use super::{id, message, next, received};

/// As a dispatcher does, but without its pauses.
async fn consume(broker: &RabbitMq, channel: &Channel) -> Consumer {
    let consuming = async {
        loop {
            match broker.consume(channel).await {
                Ok(consumer) => return consumer,
                Err(ChannelError::Disconnected(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(deadline(), consuming)
        .await
        .expect("consuming again in time")
}

async fn publish(broker: &RabbitMq, message: &Message) {
    let publishing = async {
        loop {
            match broker.publish(message).await {
                Ok(()) => return,
                Err(PublishError::Disconnected(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(deadline(), publishing).await.expect("published in time");
}

#[tokio::test]
async fn a_consumer_connection_that_is_closed_gives_everything_back() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("lost", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent = [message("topic"), message("topic")];
    for message in &sent {
        broker.publish(message).await.unwrap();
    }
    let first = next(&mut consumer).await;
    let second = next(&mut consumer).await;
    let live = broker.consumers();
    assert!(live.len() == 1 && live[0].channel == channel.name && live[0].connection == 1);

    corner.close_connection("consumer").await;
    let end = received(&mut consumer).await;
    assert!(matches!(end, Some(Err(ChannelError::Disconnected(_)))), "{end:?}");
    assert!(received(&mut consumer).await.is_none());
    // What it had brought is the broker's again: no acknowledgement goes to another channel.
    assert!(matches!(first.ack().await, Err(SettleError::Stale)));
    let stale = second.requeue(std::time::Duration::ZERO, true).await;
    assert!(matches!(stale, Err(SettleError::Stale)), "{stale:?}");

    // Nobody is served until somebody consumes again.
    assert_eq!(broker.consumers(), []);
    let mut again = consume(&broker, &channel).await;
    let live = broker.consumers();
    assert!(live.len() == 1 && live[0].connection == 2, "{live:?}");
    for message in &sent {
        let delivery = next(&mut again).await;
        assert_eq!(id(&delivery), message.header.id);
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_publisher_connection_that_is_closed_is_opened_again() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut consumer = broker
        .consume(&corner.channel("reopened", "topic"))
        .await
        .unwrap();
    broker.publish(&message("topic")).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();

    corner.close_connection("publisher").await;
    let sent = message("topic");
    publish(&broker, &sent).await;
    // The consumer has not noticed.
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn a_deleted_queue_is_lost_and_declared_again() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("deleted", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    raw.channel
        .queue_delete(channel.name.as_str().into(), Default::default())
        .await
        .unwrap();
    let end = received(&mut consumer).await;
    assert!(
        matches!(&end, Some(Err(ChannelError::Lost { reason })) if reason.contains(channel.name.as_str())),
        "{end:?}"
    );
    assert!(received(&mut consumer).await.is_none());

    let mut again = broker.consume(&channel).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let delivery = next(&mut again).await;
    assert_eq!(id(&delivery), sent.header.id);
    delivery.ack().await.unwrap();
}

/// lapin ends the connection over it before we see it, so it cannot be set aside: it is told, and nothing is lost.
#[tokio::test]
async fn an_unreadable_message_is_no_lost_connection() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("unreadable", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    // The name of a header that is not UTF-8, which no library in Rust would write.
    // RabbitMQ 4.3 has no `rabbit_basic:publish` any more.
    let publishing = format!(
        "X = rabbit_misc:r(<<\"/\">>, exchange, <<\"\">>), Key = <<\"{}\">>, \
         Properties = [{{headers, [{{<<255, 254>>, longstr, <<\"x\">>}}]}}], \
         code:ensure_loaded(rabbit_basic), \
         case erlang:function_exported(rabbit_basic, publish, 4) of \
             true -> rabbit_basic:publish(X, Key, Properties, <<\"{{}}\">>); \
             false -> \
                 Content = rabbit_basic:build_content(rabbit_basic:properties(Properties), [<<\"{{}}\">>]), \
                 {{ok, Message}} = mc_amqpl:message(X, Key, Content), \
                 rabbit_queue_type:publish_at_most_once(X, Message) end.",
        channel.name
    );
    ctl(&["eval", &publishing]).await;
    let end = received(&mut consumer).await;
    let Some(Err(ChannelError::Lost { reason })) = end else {
        panic!("{end:?}");
    };
    assert!(reason.contains(channel.name.as_str()), "{reason}");
    assert!(reason.contains("remove it from the queue"), "{reason}");
    Raw::connect().await.until_depth(channel.name.as_str(), 1).await;
}
