//! What a message says of its trace, and what becomes of that.

use std::sync::{Arc, Mutex};

use brighter::channel::{Broker, Channel, Producer};
use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::trace::TraceContext;
use brighter_tests::wait::{until, until_eq};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceId};
use opentelemetry::{Context as OtelContext, KeyValue, SpanId, TraceFlags};
use opentelemetry_sdk::trace::SpanData;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::collector::{attribute, collect, named, server, spans, trace_of, tree};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Note", kind = "event")]
struct Note {
    text: String,
}

fn note() -> Note {
    Note {
        text: "nobody's business".to_owned(),
    }
}

/// Notes the trace that each message is handled in, as it came and as OpenTelemetry has it.
#[derive(Clone, Default)]
struct Takes(Arc<Mutex<Vec<(TraceContext, OtelContext)>>>);

#[handler]
impl Handler<Note> for Takes {
    async fn handle(&self, _: &Note, cx: &Context) -> Result<(), BoxError> {
        let here = (cx.trace().clone(), cx.span().context());
        self.0.lock().unwrap().push(here);
        Ok(())
    }
}

/// Posts, and takes from the channel of this name.
fn processor(broker: &InMemoryBroker, takes: &Takes) -> CommandProcessor {
    collect();
    CommandProcessor::builder()
        .handler(takes.clone())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .without_sweeper()
        .build()
        .unwrap()
}

async fn receiving(processor: &CommandProcessor, channel: &str) -> Dispatcher {
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Note>::new("notes").channel(channel))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    dispatcher
}

fn only(name: &str) -> SpanData {
    let mut spans = named(name);
    assert_eq!(spans.len(), 1, "{name}");
    spans.remove(0)
}

fn trace_id(context: &OtelContext) -> TraceId {
    context.span().span_context().trace_id()
}

#[tokio::test]
async fn an_unsampled_trace_stays_so_and_keeps_baggage() {
    let (broker, takes) = (InMemoryBroker::new(), Takes::default());
    let processor = processor(&broker, &takes);
    let dispatcher = receiving(&processor, "unsampled").await;
    let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let parent = SpanContext::new(
        trace,
        SpanId::from_hex("00f067aa0ba902b7").unwrap(),
        TraceFlags::NOT_SAMPLED,
        true,
        "vendor=1".parse().unwrap(),
    );
    let request = server("POST /unsampled");
    let parent = OtelContext::new().with_remote_span_context(parent);
    let parent = parent.with_baggage([KeyValue::new("tenant", "north, and south")]);
    request.set_parent(parent).unwrap();
    processor
        .post(note())
        .into_future()
        .instrument(request)
        .await
        .unwrap();
    until_eq("taken", 1, || takes.0.lock().unwrap().len()).await;
    dispatcher.end().await;

    let (came, here) = takes.0.lock().unwrap().remove(0);
    assert!(
        came.traceparent()
            .unwrap()
            .starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    );
    assert!(came.traceparent().unwrap().ends_with("-00"), "{came:?}");
    assert_eq!(came.tracestate(), Some("vendor=1"));
    assert_eq!(came.baggage(), Some("tenant=north%2C%20and%20south"));
    assert_eq!(trace_id(&here), trace);
    assert_eq!(here.baggage().get("tenant").unwrap().as_str(), "north, and south");
    assert_eq!(spans(trace).len(), 0);
}

/// The behaviour 79 of Brighter for .NET.
#[tokio::test]
async fn messages_without_traceparent_are_consumed_in_distinct_traces() {
    let (broker, takes) = (InMemoryBroker::new(), Takes::default());
    let dispatcher = receiving(&processor(&broker, &takes), "distinct").await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for parent in [None, Some(parent), None] {
        let mut header = MessageHeader::new(MessageId::new(), "Note", MessageType::Event);
        if let Some(parent) = parent {
            header.trace = TraceContext::default().with_traceparent(parent);
        }
        let body = serde_json::to_vec(&note()).unwrap();
        broker
            .publish(&Message::new(header, MessageBody::new(body)))
            .await
            .unwrap();
    }
    until_eq("all taken", 3, || takes.0.lock().unwrap().len()).await;
    dispatcher.end().await;
    until("the pump is over", || named("pump distinct").len() == 1).await;
    let pump = only("pump distinct");

    let traces: Vec<_> = takes
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(_, here)| trace_id(here))
        .collect();
    assert_eq!(traces[1].to_string(), &parent[3..35]);
    assert_ne!(traces[0], traces[2]);
    assert!(!traces.contains(&TraceId::INVALID));
    let processed = named("process distinct");
    assert_eq!(processed.len(), 3);
    for span in processed {
        let parent_is_said = span.span_context.trace_id() == traces[1];
        let expected = if parent_is_said {
            &parent[36..52]
        } else {
            "0000000000000000"
        };
        assert_eq!(span.parent_span_id.to_string(), expected);
        let links: Vec<_> = span
            .links
            .iter()
            .map(|link| link.span_context.span_id())
            .collect();
        assert_eq!(links, [pump.span_context.span_id()]);
        assert!(!traces.contains(&pump.span_context.trace_id()));
    }
}

/// A task of the application's own, which is in no span, goes on with what the context says.
#[tokio::test]
async fn a_context_that_is_given_says_which_trace_goes_on() {
    let (broker, takes) = (InMemoryBroker::new(), Takes::default());
    let processor = processor(&broker, &takes);
    broker.declare(&Channel::new("given", "Note")).await.unwrap();
    let trace = TraceContext::default()
        .with_traceparent("00-11111111111111111111111111111111-2222222222222222-01")
        .with_baggage("tenant=north");
    let cx = Context::new().with_trace(trace.clone());
    let elsewhere = server("GET /elsewhere");
    let posted = processor
        .post(note())
        .caused_by(&cx)
        .into_future()
        .instrument(elsewhere.clone());
    posted.await.unwrap();
    let [message] = &broker.messages("given")[..] else {
        panic!("one message")
    };
    let carried = &message.header.trace;
    assert_eq!(
        (carried.trace_id(), carried.baggage()),
        (trace.trace_id(), trace.baggage())
    );
    let trace = TraceId::from_hex(trace.trace_id().unwrap()).unwrap();
    let [post, _publish] = &spans(trace)[..] else {
        panic!("{}", tree(trace))
    };
    assert_eq!(post.parent_span_id.to_string(), "2222222222222222");
    assert!(
        carried
            .traceparent()
            .unwrap()
            .contains(&post.span_context.span_id().to_string())
    );
}

#[tokio::test]
async fn failures_appear_in_their_own_span() {
    collect();
    let processor = processor(&InMemoryBroker::new(), &Takes::default());
    let request = server("POST /nowhere");
    let trace = trace_of(&request);
    processor
        .post(note())
        .into_future()
        .instrument(request)
        .await
        .unwrap_err();
    let expected = "POST /nowhere (server)
  post Note (producer) failed: unroutable
    publish Note (client) failed: unroutable
";
    assert_eq!(tree(trace), expected);
    for span in spans(trace).iter().skip(1) {
        assert_eq!(attribute(span, "error.type").as_deref(), Some("unroutable"));
        assert_eq!(attribute(span, "brighter.message.body"), None);
    }
}

#[derive(Debug, Command)]
struct Greet;

#[derive(Debug, Event)]
struct Greeted;

struct Greets;

#[handler]
impl Handler<Greet> for Greets {
    #[timeout("10s", step = 1)]
    async fn handle(&self, _: &Greet, cx: &Context) -> Result<(), BoxError> {
        Ok(cx.publish(Greeted).await?)
    }
}

struct Smiles;

#[handler]
impl Handler<Greeted> for Smiles {
    #[reject_on_error(step = 1)]
    async fn handle(&self, _: &Greeted) -> Result<(), BoxError> {
        Err("not amused".into())
    }
}

#[tokio::test]
async fn in_the_process_each_step_is_seen() {
    collect();
    let processor = CommandProcessor::builder()
        .handler(Greets)
        .handler(Smiles)
        .build()
        .unwrap();
    let request = server("GET /greet");
    let trace = trace_of(&request);
    processor.send(Greet).instrument(request).await.unwrap_err();
    let expected = "GET /greet (server)
  send Greet (internal) failed: reject
    timeout (internal)
      handle Greets (internal) failed: reject
        publish Greeted (internal) failed: reject
          reject_on_error (internal)
            handle Smiles (internal) failed: failed
";
    assert_eq!(tree(trace), expected);
}

#[tokio::test]
async fn cleared_messages_link_to_the_clearing() {
    collect();
    let (broker, outbox) = (InMemoryBroker::new(), InMemoryOutbox::new());
    broker.declare(&Channel::new("cleared", "Note")).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker)
        .outbox(outbox.clone())
        .without_sweeper()
        .span_body_limit(9)
        .build()
        .unwrap();
    let deposits = server("POST /notes");
    let trace = trace_of(&deposits);
    let mut tx = outbox.begin();
    let ids = processor.deposit_posts(&mut tx, [note(), note()]);
    let ids = ids.into_future().instrument(deposits).await.unwrap();
    tx.commit().unwrap();
    let clears = server("POST /clear");
    let clearing = trace_of(&clears);
    processor.clear_outbox(&ids).instrument(clears).await.unwrap();
    let note = "  deposit Note (producer)\n    publish Note (client) -> clear\n";
    assert_eq!(tree(trace), format!("POST /notes (server)\n{note}{note}"));
    assert_eq!(tree(clearing), "POST /clear (server)\n  clear (internal)\n");
    let spans = spans(trace);
    let deposit = spans.iter().find(|span| span.name == "deposit Note").unwrap();
    assert_eq!(
        attribute(deposit, "brighter.message.body").as_deref(),
        Some("{\"text\":\"")
    );
}
