//! From the request of a client to the last handler: one trace, whichever broker is between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::Broker;
use brighter::prelude::*;
use brighter::transport::sqlite::SqliteBroker;
use brighter::{MessageId, SqliteOutbox, Sweeper};
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::{until, until_eq};
use tracing::Instrument;

use crate::collector::{attribute, collect, everything, named, server, spans, trace_of, tree};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder")]
struct TaskReminder {
    id: MessageId,
    text: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Mailed", kind = "event")]
struct TaskMailed;

/// Fails the first time, and says when it has mailed.
struct Mails {
    tried: AtomicUsize,
}

#[handler]
impl Handler<TaskReminder> for Mails {
    #[request_logging(step = 1)]
    #[use_policy(retry, step = 2)]
    async fn handle(&self, _: &TaskReminder, cx: &Context) -> Result<(), BoxError> {
        if self.tried.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err("the mail server is away".into());
        }
        // What is spawned is another task, and still within the handling.
        let said = async {
            let _ = tracing::info_span!("connect").entered();
            cx.post(TaskMailed).await
        };
        said.instrument(cx.span()).await?;
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Files(Arc<AtomicUsize>);

#[handler]
impl Handler<TaskMailed> for Files {
    async fn handle(&self, _: &TaskMailed) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A user's own names for the channels of one test.
struct Channels {
    reminders: String,
    receipts: String,
}

/// The whole way, on any broker: the API stores a message with a row of its own, the sweeper finds it, the broker
/// brings it, a handler is tried twice and posts another, and that is handled.
async fn one_trace(broker: impl Broker, channels: Channels) {
    collect();
    let Channels { reminders, receipts } = channels;
    let system = broker.system();
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("tasks.db")).await.unwrap();
    let pool = outbox.pool().clone();
    let files = Files::default();
    let mails = Mails {
        tried: AtomicUsize::new(0),
    };
    let processor = CommandProcessor::builder()
        .handler(mails)
        .handler(files.clone())
        .broker(broker)
        .outbox(outbox)
        .sweeper(Sweeper::default().interval(Duration::from_millis(20)))
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<TaskReminder>::new("reminders").channel(reminders.as_str()))
        .subscription(Subscription::<TaskMailed>::new("receipts").channel(receipts.as_str()))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    let request = server("POST /tasks");
    let trace = trace_of(&request);
    let reminder = TaskReminder {
        id: MessageId::new(),
        text: "not to be seen".to_owned(),
    };
    let id = reminder.id.clone();
    async {
        let mut tx = pool.begin().await.unwrap();
        processor.deposit_post(&mut tx, reminder).await.unwrap();
        tx.commit().await.unwrap();
    }
    .instrument(request)
    .await;

    until_eq("the receipt filed", 1, || files.0.load(Ordering::Relaxed)).await;
    dispatcher.end().await;
    processor.close().await;
    // The last of them end when their tasks do.
    until("all spans over", || {
        spans(trace).len() == 19 && !named(&format!("pump {receipts}")).is_empty()
    })
    .await;
    let expected = format!(
        "POST /tasks (server)
  deposit Task.Reminder (producer)
    publish Task.Reminder (client) -> sweep
    receive {reminders} (consumer) -> pump {reminders}
    process {reminders} (consumer) -> pump {reminders}
      handle (internal)
        request_logging (internal)
          use_policy retry (internal)
            handle Mails (internal) failed: failed
            handle Mails (internal)
              connect (internal)
              post Task.Mailed (producer)
                publish Task.Mailed (client)
                receive {receipts} (consumer) -> pump {receipts}
                process {receipts} (consumer) -> pump {receipts}
                  handle (internal)
                    handle Files (internal)
                    ack {receipts} (client)
        ack {reminders} (client)
"
    );
    assert_eq!(tree(trace), expected);

    // What they say of the message, and that nobody sees what is in it.
    let spans = spans(trace);
    for (name, operation, kind) in [
        ("deposit Task.Reminder".to_owned(), "deposit", "create"),
        ("publish Task.Reminder".to_owned(), "publish", "send"),
        (format!("receive {reminders}"), "receive", "receive"),
        (format!("process {reminders}"), "process", "process"),
    ] {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let said = |attribute_name| attribute(span, attribute_name);
        assert_eq!(said("messaging.system"), Some(system.to_owned()), "{name}");
        assert_eq!(said("messaging.operation.name").as_deref(), Some(operation));
        assert_eq!(said("messaging.operation.type").as_deref(), Some(kind));
        assert_eq!(
            said("messaging.destination.name").as_deref(),
            Some("Task.Reminder")
        );
        assert_eq!(said("messaging.message.id"), Some(id.to_string()));
        if kind != "receive" {
            let size = said("messaging.message.body.size").unwrap();
            assert!(size.parse::<u64>().unwrap() > 40, "{size}");
        }
    }
    let said = format!("{spans:?}");
    assert!(!said.contains("not to be seen"), "{said}");
}

#[tokio::test]
async fn one_trace_spans_request_to_handler_in_memory() {
    let channels = Channels {
        reminders: "reminders".to_owned(),
        receipts: "receipts".to_owned(),
    };
    one_trace(InMemoryBroker::new(), channels).await;
}

#[tokio::test]
async fn one_trace_spans_request_to_handler_on_sqlite() {
    let channels = Channels {
        reminders: "reminders-in-a-file".to_owned(),
        receipts: "receipts-in-a-file".to_owned(),
    };
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    one_trace(broker, channels).await;
}

#[tokio::test]
async fn one_trace_spans_request_to_handler_on_rabbitmq() {
    let corner = Corner::new();
    let channels = Channels {
        reminders: corner.channel("reminders", "Task.Reminder").name.to_string(),
        receipts: corner.channel("receipts", "Task.Mailed").name.to_string(),
    };
    one_trace(corner.connect().await, channels).await;
    let url = brighter_tests::rabbitmq::url();
    let password = url
        .rsplit_once('@')
        .and_then(|(user, _)| user.rsplit_once(':'))
        .unwrap()
        .1;
    assert!(!everything().contains(password));
}
