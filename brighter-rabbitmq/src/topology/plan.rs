//! Computes the topology from the settings of a channel.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{Argument, Binding, Exchange, Purpose, Queue, Topology};
use super::{delay, name};
use brighter_core::channel::{Channel, ChannelError, ChannelLimits, Overflow, QueueType};

type Arguments = BTreeMap<Cow<'static, str>, Argument>;

/// Returns the topology of the channel. `queue_type` applies unless the channel sets its own.
///
/// # Errors
/// Returns an error for an invalid name, or for limits that the queue type does not support: the broker would refuse
/// some of them, and silently ignore others.
pub(crate) fn plan(
    exchange: Exchange,
    default: Option<QueueType>,
    channel: &Channel,
) -> Result<Topology, ChannelError> {
    channel.validate()?;
    delay::check(&channel.name)?;
    let queue_type = channel.queue_type.or(default);
    check(channel, queue_type).map_err(|reason| ChannelError::Refused {
        reason: format!("`{}`: {reason}", channel.name),
    })?;

    let name = channel.name.as_str();
    let mut queues = vec![
        queue(&channel.dead_letters, Purpose::DeadLetters, typed(queue_type)),
        queue(
            &channel.invalid_messages,
            Purpose::InvalidMessages,
            typed(queue_type),
        ),
    ];
    // One queue may serve both purposes.
    queues.dedup_by(|second, first| second.name == first.name);
    if channel.idle_timeout.is_some() {
        queues.clear();
    }
    queues.push(queue(name, Purpose::Messages, of_messages(channel, queue_type)));
    let bindings = channel.routing_keys.iter().map(|key| Binding {
        queue: name.to_owned(),
        routing_key: key.as_str().to_owned(),
    });
    Ok(Topology {
        declare: channel.declare,
        exchange,
        bindings: bindings.collect(),
        queues,
        delays: queue(
            format!("{name}.delay.<milliseconds>"),
            Purpose::Delay,
            of_delays(channel, queue_type),
        ),
    })
}

/// Returns an error for settings that the broker does not support.
fn check(channel: &Channel, queue_type: Option<QueueType>) -> Result<(), String> {
    let limits = &channel.limits;
    let quorum = queue_type == Some(QueueType::Quorum);
    if [&channel.dead_letters, &channel.invalid_messages].contains(&&channel.name) {
        return Err("it is its own channel for dead letters or invalid messages: name another".into());
    }
    if limits.deliveries.is_some() && !quorum {
        return Err("only a quorum queue counts deliveries: make it one with \
                    `queue_type(QueueType::Quorum)`, or leave the delivery limit out"
            .into());
    }
    if limits.priorities.is_some() && quorum {
        return Err(
            "a quorum queue has no range of priorities to declare (RabbitMQ 4 tells two levels \
                    apart by itself): make it a classic queue, or leave the priorities out"
                .into(),
        );
    }
    for (what, limit) in [
        ("the length limit", limits.length),
        ("the delivery limit", limits.deliveries),
        ("the highest priority", limits.priorities.map(u32::from)),
    ] {
        if limit == Some(0) {
            return Err(format!("{what} is 0; it must be at least 1, or not set"));
        }
    }
    if limits
        .time_to_live
        .is_some_and(|time| time > delay::LONGEST_DELAY)
    {
        return Err(format!(
            "the broker keeps a message for at most {} days: set a shorter time to live, or none",
            delay::LONGEST_DELAY.as_secs() / 86_400
        ));
    }
    if channel
        .idle_timeout
        .is_some_and(|time| whole_milliseconds(time) > u32::MAX.into())
    {
        return Err(
            "the broker keeps an unused temporary queue for at most 49 days: set a shorter time, or use a \
                    permanent channel"
                .into(),
        );
    }
    Ok(())
}

fn queue(name: impl ToString, purpose: Purpose, arguments: Arguments) -> Queue {
    Queue {
        name: name.to_string(),
        purpose,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments,
    }
}

/// Returns the argument of the type. Without it the broker uses the default of the virtual host, which is classic
/// unless it was changed.
fn typed(queue_type: Option<QueueType>) -> Arguments {
    let text = queue_type.map(|queue_type| match queue_type {
        QueueType::Quorum => name::QUORUM,
        _ => name::CLASSIC,
    });
    text.map(|text| (name::QUEUE_TYPE.into(), Argument::Text(text.into())))
        .into_iter()
        .collect()
}

fn of_messages(channel: &Channel, queue_type: Option<QueueType>) -> Arguments {
    let ChannelLimits {
        time_to_live,
        length,
        overflow,
        deliveries,
        single_active_consumer,
        priorities,
        ..
    } = channel.limits;
    // brighter rejects messages itself, with a reason. This is for those that the broker rejects: by a limit of length,
    // time or deliveries, in the queue or in a policy.
    let mut arguments = match channel.idle_timeout {
        None => dead_letter_to(channel.dead_letters.as_str(), queue_type),
        Some(stays) => {
            let mut arguments = typed(queue_type);
            // The shortest time that the broker accepts.
            let stays = whole_milliseconds(stays).max(1);
            arguments.insert(name::EXPIRES.into(), Argument::Number(stays));
            arguments
        }
    };
    if overflow == Overflow::DeadLetterOldest {
        // The broker does not support it together with that: it could not make room until the oldest message is safe.
        arguments.remove(name::DEAD_LETTER_STRATEGY);
        arguments.remove(name::OVERFLOW);
    }
    let mut set = |name: &'static str, value: Argument| arguments.insert(name.into(), value);
    if let Some(time) = time_to_live {
        set(name::TIME_TO_LIVE, Argument::Number(whole_milliseconds(time)));
    }
    if let Some(length) = length {
        set(name::LENGTH, Argument::Number(length.into()));
        let overflow = match overflow {
            Overflow::DeadLetterOldest => "drop-head",
            _ => "reject-publish",
        };
        set(name::OVERFLOW, Argument::Text(overflow.into()));
    }
    if let Some(deliveries) = deliveries {
        set(name::DELIVERIES, Argument::Number(deliveries.into()));
    }
    if single_active_consumer {
        set(name::SINGLE_ACTIVE_CONSUMER, Argument::Flag(true));
    }
    if let Some(highest) = priorities {
        set(name::PRIORITIES, Argument::Number(highest.into()));
    }
    arguments
}

/// Returns the arguments of the delay queues. A quorum queue keeps a message until its target has confirmed it; a
/// classic queue sends it and forgets it. If the target refuses messages while it is full, a classic delay queue would
/// lose them. So such a target has quorum delay queues, whatever its own type.
fn of_delays(channel: &Channel, queue_type: Option<QueueType>) -> Arguments {
    let refuses = channel.limits.length.is_some() && channel.limits.overflow == Overflow::RefuseNewest;
    let queue_type = if refuses {
        Some(QueueType::Quorum)
    } else {
        queue_type
    };
    dead_letter_to(channel.name.as_str(), queue_type)
}

/// Returns the arguments that dead-letter directly to one queue, through the default exchange, and to no other.
fn dead_letter_to(queue: &str, queue_type: Option<QueueType>) -> Arguments {
    let mut arguments = typed(queue_type);
    let mut set =
        |name: &'static str, value: &str| arguments.insert(name.into(), Argument::Text(value.into()));
    set(name::DEAD_LETTER_EXCHANGE, "");
    set(name::DEAD_LETTER_ROUTING_KEY, queue);
    if queue_type == Some(QueueType::Quorum) {
        set(name::DEAD_LETTER_STRATEGY, "at-least-once");
        // The broker requires this together with that.
        set(name::OVERFLOW, "reject-publish");
    }
    arguments
}

/// Returns the milliseconds, rounded up: a message is never sent too early.
fn whole_milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}
