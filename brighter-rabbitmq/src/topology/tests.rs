use std::time::Duration;

use super::*;
use brighter_core::channel::{Channel, ChannelError, ChannelLimits, Overflow, QueueType};

fn planned(default: Option<QueueType>, channel: &Channel) -> Result<Topology, String> {
    let exchange = Exchange::new("brighter", ExchangeKind::Topic);
    plan(exchange, default, channel).map_err(|error| match error {
        ChannelError::Refused { reason } => reason,
        other => other.to_string(),
    })
}

fn limited(queue_type: Option<QueueType>, limits: ChannelLimits) -> Channel {
    let mut channel = Channel::new("q", "topic");
    channel.queue_type = queue_type;
    channel.limits = limits;
    channel
}

/// Returns every combination of the settings of a channel.
fn all_channels() -> Vec<Channel> {
    let mut all = Vec::new();
    for queue_type in [None, Some(QueueType::Classic), Some(QueueType::Quorum)] {
        for bits in 0..64_u32 {
            let on = |bit: u32| bits & (1 << bit) != 0;
            let mut limits = ChannelLimits::default();
            limits.time_to_live = on(0).then_some(Duration::from_secs(60));
            limits.length = on(1).then_some(1000);
            if on(2) {
                limits.overflow = Overflow::DeadLetterOldest;
            }
            limits.deliveries = on(3).then_some(20);
            limits.single_active_consumer = on(4);
            limits.priorities = on(5).then_some(9);
            all.push(limited(queue_type, limits));
        }
    }
    all
}

/// Nothing that RabbitMQ 4.3 or every queue type refuses is ever declared, for any settings of a channel.
#[test]
fn every_queue_is_durable_shared_and_of_one_type() {
    let mut planned_at_all = 0;
    for channel in all_channels() {
        let Ok(topology) = planned(None, &channel) else {
            continue;
        };
        planned_at_all += 1;
        assert!(topology.exchange.durable);
        let mut queues = topology.queues.clone();
        queues.extend(topology.delay_queue(Duration::from_secs(1)));
        assert_eq!(queues.len(), 4);
        for queue in &queues {
            assert!(queue.durable && !queue.exclusive && !queue.auto_delete, "{queue}");
            let has = |name: &str| queue.arguments.contains_key(name);
            let quorum = queue.queue_type() == Some(QueueType::Quorum);
            assert!(!(quorum && has(name::PRIORITIES)), "{queue}");
            assert!(
                quorum || !(has(name::DELIVERIES) || has(name::DEAD_LETTER_STRATEGY)),
                "{queue}"
            );
            if has(name::DEAD_LETTER_STRATEGY) {
                let refuses = Argument::Text("reject-publish".into());
                assert_eq!(queue.arguments.get(name::OVERFLOW), Some(&refuses), "{queue}");
            }
            if queue.purpose != Purpose::Delay {
                assert_eq!(queue.queue_type(), channel.queue_type, "{queue}");
            }
        }
    }
    assert_eq!(planned_at_all, 2 * 32 + 32);
}

#[test]
fn a_topology_can_be_read_by_a_person() {
    let mut channel = limited(Some(QueueType::Quorum), ChannelLimits::default());
    channel.routing_keys.push("Task.#".into());
    channel.limits.deliveries = Some(20);
    let expected = "\
exchange `brighter`: topic, durable (made where it is missing)
queue `q.dlq` for dead letters: durable, x-queue-type `quorum`
queue `q.invalid` for invalid messages: durable, x-queue-type `quorum`
queue `q` for messages: durable, x-dead-letter-exchange ``, x-dead-letter-routing-key `q.dlq`, \
x-dead-letter-strategy `at-least-once`, x-delivery-limit 20, x-overflow `reject-publish`, x-queue-type `quorum`
    bound to `brighter` for `topic`
    bound to `brighter` for `Task.#`
queue `q.delay.<milliseconds>` for each length of delay, made when it is first used: durable, \
x-dead-letter-exchange ``, x-dead-letter-routing-key `q`, x-dead-letter-strategy `at-least-once`, \
x-overflow `reject-publish`, x-queue-type `quorum`";
    assert_eq!(planned(None, &channel).unwrap().to_string(), expected);
}

#[test]
fn a_plain_channel_is_declared_with_few_arguments() {
    let topology = planned(None, &Channel::new("q", "topic")).unwrap();
    let json = serde_json::to_value(&topology.queues[2]).unwrap();
    let expected = serde_json::json!({
        "name": "q", "purpose": "messages", "durable": true, "exclusive": false, "auto_delete": false,
        "arguments": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q.dlq"},
    });
    assert_eq!(json, expected);
    assert!(topology.queues[0].arguments.is_empty());
}

#[test]
fn channels_without_a_type_use_the_builders() {
    let types = |default, own| {
        let channel = limited(own, ChannelLimits::default());
        planned(default, &channel).unwrap().messages().queue_type()
    };
    assert_eq!(types(Some(QueueType::Quorum), None), Some(QueueType::Quorum));
    assert_eq!(
        types(Some(QueueType::Quorum), Some(QueueType::Classic)),
        Some(QueueType::Classic)
    );
    assert_eq!(types(None, None), None);
}

/// A classic queue sends an expired message and forgets it, and a full target would not take it.
#[test]
fn delay_queues_of_refusing_queues_are_quorum_queues() {
    let mut channel = limited(None, ChannelLimits::default());
    let of = |channel: &Channel| {
        let delay = planned(None, channel)
            .unwrap()
            .delay_queue(Duration::from_millis(1234));
        let delay = delay.unwrap();
        assert_eq!(delay.name, "q.delay.1300");
        assert_eq!(
            delay.arguments.get(name::TIME_TO_LIVE),
            Some(&Argument::Number(1300))
        );
        delay.queue_type()
    };
    assert_eq!(of(&channel), None);
    channel.limits.length = Some(10);
    assert_eq!(of(&channel), Some(QueueType::Quorum));
    channel.limits.overflow = Overflow::DeadLetterOldest;
    assert_eq!(of(&channel), None);
    let topology = planned(None, &channel).unwrap();
    assert_eq!(topology.delay_queue(Duration::ZERO), None);
}

#[test]
fn unsupported_queue_settings_are_refused_with_the_fix() {
    let with = |queue_type, change: fn(&mut Channel)| {
        let mut channel = limited(queue_type, ChannelLimits::default());
        change(&mut channel);
        planned(None, &channel).unwrap_err()
    };
    for (refused, word) in [
        (with(None, |c| c.limits.deliveries = Some(3)), "QueueType::Quorum"),
        (
            with(Some(QueueType::Classic), |c| c.limits.deliveries = Some(3)),
            "QueueType::Quorum",
        ),
        (
            with(Some(QueueType::Quorum), |c| c.limits.priorities = Some(3)),
            "a classic queue",
        ),
        (with(None, |c| c.limits.length = Some(0)), "the length limit is 0"),
        (
            with(Some(QueueType::Quorum), |c| c.limits.deliveries = Some(0)),
            "the delivery limit is 0",
        ),
        (
            with(None, |c| c.limits.priorities = Some(0)),
            "the highest priority is 0",
        ),
        (
            with(None, |c| c.limits.time_to_live = Some(Duration::MAX)),
            "48 days",
        ),
        (
            with(None, |c| c.idle_timeout = Some(Duration::from_millis(1 << 32))),
            "49 days",
        ),
        (with(None, |c| c.dead_letters = "q".into()), "name another"),
    ] {
        assert!(refused.contains(word), "{refused}");
        assert!(refused.starts_with("`q`: "), "{refused}");
    }
}

#[test]
fn one_queue_may_be_for_dead_letters_and_invalid_messages() {
    let mut channel = Channel::new("q", "topic");
    channel.invalid_messages = channel.dead_letters.clone();
    assert_eq!(planned(None, &channel).unwrap().queues.len(), 2);
}
