//! The broker says no: A10, A12.

use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::{Broker as _, ChannelError, DeclareMode, Producer, PublishError};
use brighter::outbox::{Inspection, MessageState};
use brighter::prelude::*;
use brighter::processor::PostError;
use brighter::transport::rabbitmq::ConnectError;
use brighter_faults::app::{App, Deed, Doer, What, order};
use brighter_faults::capture;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, PASSWORD};
use brighter_faults::place::{Place, message};
use brighter_faults::proxy::{Direction, Proxy};
use brighter_faults::scale::report;
use brighter_faults::traffic::Traffic;
use brighter_faults::wait::until_answer;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a10_a_nack_is_an_error_and_keeps_the_message() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    // A queue that has room for one, and refuses the others.
    let raw = Connection::connect(place.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = raw.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments
        .insert("x-max-length".into(), AMQPValue::LongInt(1))
        .insert(
            "x-overflow".into(),
            AMQPValue::LongString("reject-publish".into()),
        );
    let (queue, exchange) = (place.queue("full"), place.exchange());
    let options = QueueDeclareOptions::default();
    channel
        .queue_declare(queue.as_str().into(), options, arguments)
        .await
        .unwrap();
    channel
        .queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            "Deed".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    broker.publish(&message("Deed", "first")).await.unwrap();
    let error = broker.publish(&message("Deed", "second")).await.unwrap_err();
    assert!(matches!(error, PublishError::Refused { .. }), "{error:?}");

    let outbox = InMemoryOutbox::new();
    let processor = CommandProcessor::builder()
        .handler(Doer::new(&Ledger::new()))
        .broker(broker)
        .outbox(outbox.clone())
        .build()
        .unwrap();
    let deed = Deed::new(What::Note);
    let id = deed.id.clone();
    let error = processor.post(deed).await.unwrap_err();
    assert!(matches!(error, PostError::NotSent(_)), "{error:?}");
    let state = outbox.state(&id).await.unwrap();
    let Some(MessageState::Outstanding {
        attempts, last_error, ..
    }) = state
    else {
        panic!("{state:?}");
    };
    assert!(attempts >= 1 && last_error.is_some(), "{attempts} {last_error:?}");
    processor.close().await;
    raw.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn a12_configuration_errors_are_fatal_at_start_with_advice() {
    let node = node::shared().await;
    capture::begin();
    let wrong = node.url().replace(PASSWORD, "hunter3");
    let error = RabbitMq::connect(&wrong).await.unwrap_err();
    assert!(matches!(error, ConnectError::Credentials { .. }), "{error:?}");
    assert!(error.is_fatal());
    let told = format!("{error} {error:?}");
    assert!(
        told.contains("correct them in the URL") && !told.contains("hunter"),
        "{told}"
    );

    let elsewhere = node.url().replace("%2f", "elsewhere");
    let error = RabbitMq::connect(&elsewhere).await.unwrap_err();
    assert!(matches!(error, ConnectError::VirtualHost { .. }), "{error:?}");
    assert!(
        error.is_fatal() && error.to_string().contains("create it or grant"),
        "{error}"
    );
    assert!(capture::lines(&["hunter3"]).is_empty());
    capture::assert_no_password();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_a_missing_permission_is_named_by_its_request() {
    let node = node::shared().await;
    let vhost = format!("a12-{}", MessageId::new());
    node.eval(&format!(
        "rabbit_vhost:add(<<\"{vhost}\">>, <<\"a test\">>), done."
    ))
    .await;
    // What was allowed once is remembered by an AMQP channel, and each request here opens one of its own.
    let grant = async |configure: &str, write: &str, read: &str| {
        node.eval(&format!(
            "rabbit_auth_backend_internal:set_permissions(<<\"tester\">>, <<\"{vhost}\">>, <<\"{configure}\">>, \
             <<\"{write}\">>, <<\"{read}\">>, <<\"a test\">>), done."
        ))
        .await;
    };
    let place = Place::at(&node, node.address()).in_virtual_host(&vhost);
    grant(".*", ".*", ".*").await;
    let broker = place
        .builder()
        .declare_exchange(DeclareMode::Assume)
        .connect()
        .await;
    let broker = broker.unwrap();
    let exchange = place.exchange();
    let refusal = |refused: Result<(), ChannelError>, queue: &str| match refused {
        Err(ChannelError::Refused { reason }) => {
            assert!(reason.contains("ACCESS_REFUSED"), "{reason}");
            assert!(!reason.contains(PASSWORD), "{reason}");
            reason
        }
        other => panic!("{queue}: {other:?}"),
    };
    // With which permissions, what is refused, and what it says is missing.
    for (queue, [configure, write, read], missing) in [
        ("x", ["^nothing$", ".*", ".*"], "`configure` on the exchange"),
        ("q", [&exchange, ".*", ".*"], "`configure` on the queue"),
        (
            "d",
            [".*", ".*", "^nothing$"],
            "`read` on the queue and `write` on that exchange",
        ),
        ("w", [".*", "^amq.default$", ".*"], "`write` on the queue"),
        ("r", [".*", ".*", "[.]r"], "`read` on the exchange"),
    ] {
        grant(configure, write, read).await;
        let channel = place.channel(queue, "a12");
        let reason = refusal(broker.declare(&channel).await, queue);
        assert!(reason.contains(missing), "{queue}: {reason}");
        assert!(reason.contains("DeclareMode::Assume"), "{queue}: {reason}");
    }
    let channel = place.channel("c", "a12");
    grant(".*", ".*", ".*").await;
    broker.declare(&channel).await.unwrap();
    grant(".*", ".*", "^nothing$").await;
    let mut as_it_is = channel.clone();
    as_it_is.declare = DeclareMode::Assume;
    let consumed = broker.consume(&as_it_is).await.map(drop);
    let reason = refusal(consumed, "c");
    assert!(reason.contains("`read` on the queue"), "{reason}");
    grant("^nothing$", ".*", ".*").await;
    let reason = refusal(broker.remove(&channel.name).await, "c");
    assert!(reason.contains("`configure` on the queue"), "{reason}");
    capture::assert_no_password();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a12_a_revoked_permission_is_retried_slowly_and_heals() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let vhost = format!("a12-{}", MessageId::new());
    let grant = format!(
        "rabbit_auth_backend_internal:set_permissions(<<\"tester\">>, <<\"{vhost}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"a test\">>), done."
    );
    let revoke = format!(
        "rabbit_auth_backend_internal:clear_permissions(<<\"tester\">>, <<\"{vhost}\">>, <<\"a test\">>), done."
    );
    node.eval(&format!(
        "rabbit_vhost:add(<<\"{vhost}\">>, <<\"a test\">>), done."
    ))
    .await;
    node.eval(&grant).await;
    let place = Place::at(&node, proxy.address()).in_virtual_host(&vhost);
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a12")).routing_key("a12")],
    );
    app.wait_until_consuming().await;

    ledger.fault();
    node.eval(&revoke).await;
    node.close_connections(&format!("{} consumer", place.id())).await;
    app.not_ready().await;
    let attempts = || {
        (
            proxy.attempts(),
            proxy.seen(Direction::ToBroker, Kind::QUEUE_DECLARE),
        )
    };
    let before = attempts();
    let watched = Duration::from_secs(3);
    // What is measured is what is not done in this time.
    tokio::time::sleep(watched).await;
    let after = attempts();
    let (connections, declares) = (after.0 - before.0, after.1 - before.1);
    report(
        "A12",
        format_args!("{connections} connections, {declares} declarations in {watched:?}"),
    );
    assert!(connections + declares <= 30, "a tight loop: {before:?} {after:?}");
    assert!(!app.is_ready());
    node.eval(&grant).await;
    ledger.cleared();
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, Duration::from_secs(30));
    order(&traffic, "a12", [What::Note]).await;
    until_answer("handled", 1, async || ledger.distinct(Entry::Handled)).await;
    ledger.verdict().check("A12");
    capture::assert_no_password();
    app.end().await;
}
