//! One call for several messages: a span of its own with a link to each, and a metric of its size.

use std::time::Duration;

use brighter::prelude::*;
use brighter_tests::wait::{until, until_eq};
use tracing::Instrument;

use crate::collector::{attribute, collect, named, server, spans, trace_of};
use crate::metrics::{recorder, value};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Batched.Row")]
struct BatchedRow;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Batched.Stored", kind = "event")]
struct BatchedStored;

struct StoresRows;

#[handler(batch(max = 3, within = "1m"))]
impl Handler<BatchedRow> for StoresRows {
    async fn handle(&self, batch: Batch<'_, BatchedRow>) -> Result<(), BoxError> {
        for (index, (_, cx)) in batch.with_contexts().enumerate() {
            cx.post(BatchedStored).after(Duration::from_secs(3600)).await?;
            if index == 1 {
                batch.reject(index, "the second");
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_call_is_linked_to_each_message_and_counted_once() {
    collect();
    recorder();
    let processor = CommandProcessor::builder()
        .handler(StoresRows)
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<BatchedRow>::new("batched-rows").concurrency(3))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let mut traces = Vec::new();
    for _ in 0..3 {
        let request = server("POST /rows");
        traces.push(trace_of(&request));
        processor
            .post(BatchedRow)
            .into_future()
            .instrument(request)
            .await
            .unwrap();
    }
    until_eq("the call", 1, || named("batch StoresRows").len()).await;
    let call = named("batch StoresRows").remove(0);
    assert_eq!(
        attribute(&call, "messaging.batch.message_count").as_deref(),
        Some("3")
    );
    let mut linked = Vec::new();
    for trace in &traces {
        until("its handling is over", || {
            spans(*trace).iter().any(|span| span.name == "handle StoresRows")
        })
        .await;
        let spans = spans(*trace);
        let handling = spans
            .iter()
            .find(|span| span.name == "handle StoresRows")
            .unwrap();
        linked.push(handling.span_context.span_id());
        // What a message had posted is below its own handling.
        let posted = spans.iter().find(|span| span.name == "schedule Batched.Stored");
        assert_eq!(posted.unwrap().parent_span_id, handling.span_context.span_id());
    }
    let links: Vec<_> = call
        .links
        .iter()
        .map(|link| link.span_context.span_id())
        .collect();
    assert_eq!(links, linked);
    let failed = |span: &opentelemetry_sdk::trace::SpanData| attribute(span, "error.type");
    let outcomes: Vec<_> = named("handle StoresRows").iter().map(failed).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_some()).count(), 1);
    assert_eq!(value("brighter.batch.messages", &["StoresRows"]), Some(1.0));
    assert_eq!(value("brighter.handler.duration", &["StoresRows"]), Some(1.0));
    until("each is counted", || {
        value("brighter.handled.messages", &["batched-rows"]) == Some(2.0)
            && value("brighter.dead_lettered.messages", &["batched-rows"]) == Some(1.0)
    })
    .await;
    dispatcher.end().await;
    processor.close().await;
}
