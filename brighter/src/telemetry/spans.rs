//! The spans of messages, by OpenTelemetry's conventions for messaging.
//!
//! The span in which a message is made is the one that it names in its header, from the outbox to the last of its
//! deliveries, however often it is sent: all else that happens to it is below that one.
//!
//! ```text
//! deposit topic            producer, create     its trace is in the message
//! ├─ publish topic         client, send         linked to `sweep`, `clear` or whatever sends it
//! ├─ receive channel       consumer, receive    until it is its turn; linked to the pump
//! └─ process channel       consumer, process    linked to the pump
//!    └─ handle                                   the lines of the log
//!       ├─ use_policy retry                      each step, and within it
//!       │  └─ handle Handler                     the handler
//!       └─ ack channel      client, settle
//! ```
//!
//! A line of the log shows the fields of the spans that it is within. `handle` alone has any, `subscription` and `id`.
//! The others with a kind, which must be a field, are [apart](Op::apart) from the log; those without are renamed.

use tracing::Span;

use crate::subscription::SubscriptionSettings;
use brighter_core::__private::{Op, op, short};
use brighter_core::channel::Channel;
use brighter_core::context::Context;
use brighter_core::message::{ChannelName, Message};

/// Something is done in this process with a request.
pub(crate) fn call(operation: &'static str, request: &'static str, cx: &Context) -> Op {
    let op = cx.puts_in_place(op!("call"));
    op.describe(|span| {
        span.rename(format!("{operation} {}", short(request)));
        span.set("brighter.operation", operation);
        span.set("brighter.request.type", request);
    });
    op
}

/// A message is made, to be sent at once or later.
pub(crate) fn create(
    operation: &'static str,
    system: Option<&'static str>,
    topic: &str,
    cx: Option<&Context>,
) -> Op {
    let op = op!(
        "create",
        otel.name = format_args!("{operation} {topic}"),
        otel.kind = "producer"
    )
    .apart();
    let op = match cx {
        Some(cx) => cx.puts_in_place(op),
        None => op,
    };
    op.describe(|span| {
        span.set("messaging.operation.name", operation);
        span.set("messaging.operation.type", "create");
        // Without a broker it is not known yet who sends it.
        if let Some(system) = system {
            span.set("messaging.system", system);
        }
        span.set("messaging.destination.name", topic.to_string());
    });
    op
}

/// Describes the message that is made within `op`.
pub(crate) fn made(op: &Op, message: &Message, bodies: usize) {
    op.describe(|span| {
        span.set("messaging.message.id", message.header.id.to_string());
        span.set("messaging.message.body.size", size(message));
        if let Some(id) = &message.header.correlation_id {
            span.set("messaging.message.conversation_id", id.to_string());
        }
        if let Some(id) = &message.header.causation_id {
            span.set("brighter.causation_id", id.to_string());
        }
        if let Some(body) = body(message, bodies) {
            span.set("brighter.message.body", body);
        }
    });
}

/// Several messages are made, or taken from the outbox to be sent.
pub(crate) fn batch(operation: &'static str, messages: usize) -> Op {
    let op = op!("batch");
    op.describe(|span| {
        span.rename(operation);
        span.set("brighter.operation", operation);
        span.set("messaging.batch.message_count", number(messages));
    });
    op
}

/// Several messages are handled in one call: a trace of its own, linked to the handling of each.
pub(crate) fn handle_batch<'a>(
    handler: &'static str,
    messages: impl Iterator<Item = &'a Op>,
    count: usize,
) -> Op {
    let op = op!(parent: None, "batch");
    op.describe(|span| {
        span.rename(format!("batch {}", short(handler)));
        span.set("brighter.handler", handler);
        span.set("messaging.batch.message_count", number(count));
    });
    messages.fold(op, Op::linked_to)
}

/// The sweeper takes messages from the outbox to send them: a trace of its own.
pub(crate) fn sweep(messages: usize) -> Op {
    let op = op!(parent: None, "sweep");
    op.describe(|span| {
        span.set("brighter.operation", "sweep");
        span.set("messaging.batch.message_count", number(messages));
    });
    op
}

/// A message is published, until the broker answers.
pub(crate) fn publish(system: &'static str, message: &Message) -> Op {
    let topic = &message.header.topic;
    let op = op!(
        "publish",
        otel.name = format_args!("publish {topic}"),
        otel.kind = "client"
    )
    .apart();
    let op = op.of_message(&message.header.trace);
    op.describe(|span| {
        span.set("messaging.operation.name", "publish");
        span.set("messaging.operation.type", "send");
        span.set("messaging.system", system);
        span.set("messaging.destination.name", topic.to_string());
        span.set("messaging.message.id", message.header.id.to_string());
        span.set("messaging.message.body.size", size(message));
        if let Some(id) = &message.header.correlation_id {
            span.set("messaging.message.conversation_id", id.to_string());
        }
    });
    op
}

/// A channel is consumed, for as long as that lasts: a trace of its own, to which the messages are linked.
pub(crate) fn pump(system: &'static str, settings: &SubscriptionSettings) -> Op {
    let channel = &settings.channel.name;
    let op = op!(parent: None, "pump");
    op.describe(|span| {
        span.rename(format!("pump {channel}"));
        span.set("messaging.system", system);
        span.set("messaging.destination.subscription.name", channel.to_string());
        span.set("brighter.subscription", settings.name.to_string());
    });
    op
}

/// A message has come, and waits for its turn.
pub(crate) fn receive(system: &'static str, channel: &Channel, message: &Message, pump: &Op) -> Op {
    let name = &channel.name;
    let op = op!(
        parent: None,
        "receive",
        otel.name = format_args!("receive {name}"),
        otel.kind = "consumer"
    )
    .apart();
    let op = op.below(&message.header.trace).linked_to(pump);
    op.describe(|span| {
        span.set("messaging.operation.name", "receive");
        span.set("messaging.operation.type", "receive");
        span.set("messaging.system", system);
        span.set("messaging.destination.name", message.header.topic.to_string());
        span.set("messaging.destination.subscription.name", name.to_string());
        span.set("messaging.message.id", message.header.id.to_string());
    });
    op
}

/// A message that has come is handled and settled.
pub(crate) fn process(
    system: &'static str,
    channel: &ChannelName,
    message: Option<&Message>,
    pump: &Op,
) -> Op {
    let op = op!(
        parent: None,
        "process",
        otel.name = format_args!("process {channel}"),
        otel.kind = "consumer"
    )
    .apart();
    let op = match message {
        Some(message) => op.below(&message.header.trace),
        None => op,
    };
    let op = op.linked_to(pump);
    op.describe(|span| {
        span.set("messaging.operation.name", "process");
        span.set("messaging.operation.type", "process");
        span.set("messaging.system", system);
        span.set("messaging.destination.subscription.name", channel.to_string());
    });
    op
}

/// Begins the span that a line of the log shows: the subscription and the message that it is about. With OpenTelemetry
/// it is below [`process`], and has what is logged as its events.
pub(crate) fn handle(settings: &SubscriptionSettings, message: Option<&Message>) -> Span {
    let subscription = &settings.name;
    let id = message.map(|message| tracing::field::display(&message.header.id));
    tracing::info_span!("handle", %subscription, id)
}

/// Describes the message that is handled, and its attempt, counted from 1.
pub(crate) fn processes(op: &Op, message: &Message, attempt: u32, bodies: usize) {
    op.describe(|span| {
        span.set("messaging.destination.name", message.header.topic.to_string());
        span.set("brighter.attempt", i64::from(attempt));
    });
    made(op, message, bodies);
}

/// A delivery is settled. It is within the processing, not what the message names.
pub(crate) fn settle(operation: &'static str, system: &'static str, channel: &Channel) -> Op {
    let name = &channel.name;
    let op = op!(
        "settle",
        otel.name = format_args!("{operation} {name}"),
        otel.kind = "client"
    )
    .apart();
    op.describe(|span| {
        span.set("messaging.operation.name", operation);
        span.set("messaging.operation.type", "settle");
        span.set("messaging.system", system);
        span.set("messaging.destination.subscription.name", name.to_string());
    });
    op
}

fn size(message: &Message) -> i64 {
    number(message.body.as_bytes().len())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the beginning of the body, up to the configured length.
fn body(message: &Message, most: usize) -> Option<String> {
    let body = message.body.as_bytes();
    (most > 0).then(|| String::from_utf8_lossy(&body[..body.len().min(most)]).into_owned())
}
