//! A line of the log has the subscription and the message, and none of the attributes of OpenTelemetry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use brighter::prelude::*;
use brighter_tests::log_fields::{fields, repeated_fields};
use brighter_tests::wait::{until, until_eq};
use tracing::Instrument;

use crate::collector::{collect, log_lines, server, spans, trace_of};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Logged", kind = "event")]
struct Logged;

/// Logs, and fails.
#[derive(Clone, Default)]
struct Logs(Arc<AtomicU32>);

#[handler]
impl Handler<Logged> for Logs {
    #[request_logging(step = 1)]
    #[use_policy(retry, step = 2)]
    async fn handle(&self, _: &Logged) -> Result<(), BoxError> {
        tracing::info!(copies = 2, "printing");
        self.0.fetch_add(1, Ordering::Relaxed);
        Err("the printer is out of paper".into())
    }
}

#[tokio::test]
async fn log_lines_show_no_attributes_of_spans() {
    collect();
    let (broker, logs) = (InMemoryBroker::new(), Logs::default());
    let processor = CommandProcessor::builder()
        .handler(logs.clone())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .without_sweeper()
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Logged>::new("logged").attempts(1))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let request = server("POST /print");
    let trace = trace_of(&request);
    let posted = async { processor.post(Logged).await };
    posted.instrument(request).await.unwrap();
    until_eq("dead letters", 1, || broker.messages("logged.dlq").len()).await;
    dispatcher.end().await;
    processor.close().await;

    let lines = log_lines("subscription=logged");
    let has = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    let tried = logs.0.load(Ordering::Relaxed);
    assert_eq!(has("printing"), usize::try_from(tried).unwrap(), "{lines:#?}");
    assert_eq!(has("moved to the dead-letter channel"), 1, "{lines:#?}");
    for line in &lines {
        assert_eq!(repeated_fields(line), [""; 0], "{line}");
        let of_telemetry = fields(line).into_iter().filter(|name| name.contains('.'));
        assert_eq!(of_telemetry.collect::<Vec<_>>(), [""; 0], "{line}");
        assert!(line.contains(" handle{subscription=logged id="), "{line}");
    }

    // In the trace each is an event of the span that it was logged in.
    let logged = |span_name: &str, text: &str| {
        let spans = spans(trace);
        let of_name = spans.iter().filter(|span| span.name == span_name);
        let events = of_name.flat_map(|span| span.events.iter());
        events.filter(|event| event.name == text).count()
    };
    until("all spans are over", || {
        logged("handle", "moved to the dead-letter channel") == 1
    })
    .await;
    assert_eq!(logged("handle Logs", "printing"), has("printing"));
}
