//! What a consumer that hears nothing asks the broker, and what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::BasicGetOptions;
use lapin::protocol::AMQPSoftError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::depth::ask;
use super::receipt::Receipt;
use super::silence::Silence;
use crate::error::{of_channel, reply_text};
use crate::topology::DeclareError;
use crate::wire::short;
use brighter_core::channel::{DeclareMode, QueueType};

/// The longest wait for a fetched message. A broker gives up by then if its queue does not answer.
const LATE: Duration = Duration::from_secs(60);

/// The broker's answer about a consumer.
pub(super) enum Answer {
    Well,
    /// The reason to doubt the consumer.
    Doubtful(String),
    /// There was none, and to what.
    None(String),
}

/// Asks the broker whether this consumer should hear something, and waits for each answer for `limit`; `fetches` says whether
/// also by a fetch.
pub(super) async fn question(
    consumer: &Arc<ConsumerChannel>,
    silence: &Arc<Silence>,
    fetches: bool,
    limit: Duration,
) -> Answer {
    let open = &consumer.open;
    if !open.is_alive() || open.is_retired() {
        // The stream ends by itself, or goes on by another connection.
        return Answer::Well;
    }
    if fetches && may_fetch(consumer) {
        match fetch(consumer, silence, limit).await {
            Answer::Well => {}
            other => return other,
        }
    }
    ask_for_queue(consumer, limit).await
}

/// Whether the queue lets a message be fetched beside its consumer. That is known of what we declare.
fn may_fetch(consumer: &ConsumerChannel) -> bool {
    let channel = &consumer.channel;
    consumer.queue_type == Some(QueueType::Quorum)
        && channel.declare == DeclareMode::Create
        && !channel.limits.single_active_consumer
}

/// Fetches a message, as no other is to come. The fetch goes on after its deadline: what it brings then must not stay with a
/// consumer that does not know of it.
async fn fetch(consumer: &Arc<ConsumerChannel>, silence: &Arc<Silence>, limit: Duration) -> Answer {
    let name = &consumer.channel.name;
    let Ok(queue) = short("channel name", name.as_str()) else {
        return Answer::Well;
    };
    let (answer, answered) = oneshot::channel();
    let (fetching, stream) = (Arc::clone(consumer), Arc::clone(silence));
    consumer.connections.io.spawn(async move {
        let amqp = fetching.amqp();
        let fetched = amqp.while_up(amqp.basic_get(queue, BasicGetOptions::default()));
        let fetched = tokio::select! {
            biased;
            fetched = timeout(LATE, fetched) => fetched.ok().flatten(),
            // It closes when nothing needs it, and what was fetched goes back.
            () = fetching.open.until_retired() => None,
        };
        let Some(Ok(Some(message))) = fetched else {
            // There is none, or the connection is lost, which the stream learns by itself.
            let _ = answer.send(false);
            return;
        };
        if let Some(delivery) = stream.hand_over(message.delivery) {
            // It goes back to the queue.
            drop(Receipt::of(&fetching, delivery));
        }
        let _ = answer.send(true);
    });
    match timeout(limit, answered).await {
        Ok(Ok(true)) => Answer::Doubtful(format!("the queue `{name}` had a message that did not come")),
        Ok(Ok(false) | Err(_)) => Answer::Well,
        Err(_) => Answer::None(format!(
            "`basic.get` from the queue `{name}` was not answered within {limit:?}"
        )),
    }
}

async fn ask_for_queue(consumer: &ConsumerChannel, limit: Duration) -> Answer {
    let name = &consumer.channel.name;
    let handle = consumer.isolated.as_deref();
    let handle = handle.unwrap_or(&consumer.connections.consuming);
    let unanswered = |request, after| {
        Answer::None(format!(
            "`{request}` for the queue `{name}` was not answered within {after:?}"
        ))
    };
    let asked = consumer.open.while_up(ask(handle, &consumer.open, name));
    let Ok(asked) = timeout(limit, asked).await else {
        return unanswered("queue.declare", limit);
    };
    match asked {
        Ok(Ok(queue)) if queue.consumer_count() == 0 => {
            Answer::Doubtful(format!("the queue `{name}` reports no consumer"))
        }
        Ok(Ok(queue)) if queue.message_count() > 0 && gets_all(consumer) => {
            let waiting = queue.message_count();
            Answer::Doubtful(format!("{waiting} messages wait in the queue `{name}`"))
        }
        Ok(Err(DeclareError::Unanswered { request, after })) => unanswered(request, after),
        Ok(Err(DeclareError::Broker { error, .. }))
            if matches!(of_channel(&error), Some(AMQPSoftError::NOTFOUND)) =>
        {
            Answer::Doubtful(reply_text(&error))
        }
        // The connection is lost, which the stream learns by itself, or the question cannot be asked.
        Ok(Ok(_) | Err(_)) | Err(_) => Answer::Well,
    }
}

/// Whether a message that waits would come to this consumer. One of several that wait for the active one to end gets
/// none; what a channel is that was not declared, nobody knows.
fn gets_all(consumer: &ConsumerChannel) -> bool {
    let channel = &consumer.channel;
    !channel.limits.single_active_consumer && channel.declare != DeclareMode::Assume
}
