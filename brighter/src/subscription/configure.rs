//! What a configuration changes of a subscription.

use std::time::Duration;

use super::{Performers, Rate, Subscription, SubscriptionSettings};
use brighter_config::{Config, Key, Section, Table};
use brighter_core::channel::{Channel, DeclareMode, Overflow, QueueType};

impl<R> Subscription<R> {
    /// Takes what the configuration says of the subscription of this name: for one that is
    /// [added](crate::Dispatcher::add) to a dispatcher that runs. Those of a builder are configured by the builder.
    #[must_use]
    pub fn configure(mut self, config: &Config) -> Self {
        self.settings.configure(config);
        self
    }
}

impl SubscriptionSettings {
    /// The section of subscriptions, which has a table for each.
    pub(crate) const SECTION: &str = "subscriptions";

    /// The section `subscriptions`.
    pub(crate) fn section() -> Section {
        let section = Section::named(Self::SECTION, handling_keys().chain(channel_keys()));
        section.synonyms(&["subscription", "consumers", "queues", "channels"])
    }

    /// Takes what the configuration says; gives whether it knows the subscription.
    pub(crate) fn configure(&mut self, config: &Config) -> bool {
        let table = config.named_table(Self::SECTION, self.name.as_str());
        if let Some(table) = &table {
            self.reading(table);
            self.handling(table);
        }
        table.is_some()
    }

    fn reading(&mut self, table: &Table<'_>) {
        if let Some(name) = table.text("channel") {
            let named = Channel::new(name, "");
            self.channel.name = named.name;
            self.channel.dead_letters = named.dead_letters;
            self.channel.invalid_messages = named.invalid_messages;
        }
        if let Some(keys) = table.texts("routing_keys") {
            self.channel.routing_keys = keys.iter().map(|key| key.as_str().into()).collect();
        }
        if let Some(name) = table.text("dead_letters") {
            self.channel.dead_letters = name.into();
        }
        if let Some(name) = table.text("invalid_messages") {
            self.channel.invalid_messages = name.into();
        }
        if let Some(messages) = table.count_u32("buffer") {
            let messages = u16::try_from(messages).unwrap_or(u16::MAX);
            self.buffer(messages);
        }
        if let Some(mode) = table.text("declare_channel") {
            self.channel.declare = DeclareMode::configured(mode);
        }
        if let Some(queue_type) = table.text("queue_type") {
            self.channel.queue_type = Some(QueueType::configured(queue_type));
        }
        let limits = &mut self.channel.limits;
        limits.time_to_live = table.time("time_to_live").or(limits.time_to_live);
        limits.length = table.count_u32("length_limit").or(limits.length);
        limits.deliveries = table.count_u32("delivery_limit").or(limits.deliveries);
        if let Some(overflow) = table.text("overflow") {
            limits.overflow = match overflow {
                "dead_letter_oldest" => Overflow::DeadLetterOldest,
                _ => Overflow::RefuseNewest,
            };
        }
        if let Some(single) = table.flag("single_active_consumer") {
            limits.single_active_consumer = single;
        }
        if let Some(highest) = table.count_u32("priorities") {
            limits.priorities = Some(u8::try_from(highest).unwrap_or(u8::MAX));
        }
    }

    fn handling(&mut self, table: &Table<'_>) {
        if let Some(range) = table.range("performers") {
            let performers = Performers::from(range);
            self.performers = performers.least();
            self.performers_at_most = performers.most();
        }
        self.concurrency = table.count_usize("concurrency").unwrap_or(self.concurrency);
        if let Some((messages, within)) = table.rate("rate") {
            self.rate = Some(Rate::new(messages, within));
        }
        self.timeout = table.time("timeout").or(self.timeout);
        self.attempts = table.count_u32("attempts").unwrap_or(self.attempts);
        if let Some(delays) = table.times("delays") {
            self.delays = delays.to_vec();
        }
        self.redeliveries = table.count_u32("redeliveries").unwrap_or(self.redeliveries);
        self.unacceptable_limit = table
            .count_u32("unacceptable_limit")
            .unwrap_or(self.unacceptable_limit);
        self.unacceptable_window = table.time("unacceptable_window").or(self.unacceptable_window);
    }
}

fn handling_keys() -> impl Iterator<Item = Key> {
    let most = u64::from(u32::MAX);
    let (millisecond, second) = (Duration::from_millis(1), Duration::from_secs(1));
    [
        Key::text("channel", "what it reads; else its name").synonyms(&[
            "queue",
            "queue_name",
            "channel_name",
        ]),
        Key::texts("routing_keys", "the topics it wants; else those of its requests").synonyms(&[
            "topics",
            "topic",
            "routing_key",
            "bindings",
        ]),
        Key::range(
            "performers",
            1..=10_000,
            "how many read the channel: `4`, or `2 to 8` by the work there is",
        )
        .synonyms(&[
            "workers",
            "consumers",
            "instances",
            "threads",
            "no_of_performers",
            "replicas",
        ])
        .documented_default("1"),
        Key::count(
            "concurrency",
            1..=100_000,
            "how many messages each performer handles at once",
        )
        .synonyms(&["parallelism", "max_concurrency", "max_in_flight"])
        .documented_default("1"),
        Key::rate("rate", "how fast all together begin; else as fast as they can")
            .synonyms(&["rate_limit", "throttle"]),
        Key::count(
            "buffer",
            1..=u64::from(u16::MAX),
            "how many messages each performer has in memory",
        )
        .synonyms(&["prefetch", "prefetch_count", "buffer_size", "qos"])
        .documented_default("10"),
        Key::time(
            "timeout",
            millisecond..,
            "how long one handling may take; else 5m, which is left out of the sums of `build()`",
        )
        .synonyms(&["handler_timeout", "handling_timeout", "time_out"]),
        Key::count(
            "attempts",
            1..=most,
            "how often a message is delivered before it is a dead letter",
        )
        .synonyms(&["retries", "max_attempts", "max_retries", "requeue_count", "tries"])
        .documented_default("5"),
        Key::times("delays", "how long it waits before each further delivery")
            .synonyms(&["backoff", "retry_delays", "requeue_delay", "retry_delay"])
            .documented_default("1s, 5s, 15s, 1m"),
        Key::count(
            "redeliveries",
            0..=most,
            "how often the broker may deliver what nobody settles; 0 for any number",
        )
        .synonyms(&["max_redeliveries", "redelivery_limit"])
        .documented_default("20"),
        Key::count(
            "unacceptable_limit",
            0..=most,
            "stops after so many were set aside; 0 for never",
        )
        .documented_default("0"),
        Key::time(
            "unacceptable_window",
            second..,
            "the window in which they are counted; without it, they are counted forever",
        ),
    ]
    .into_iter()
}

fn channel_keys() -> impl Iterator<Item = Key> {
    let most = u64::from(u32::MAX);
    [
        Key::text(
            "dead_letters",
            "where what could not be handled goes; else `<channel>.dlq`",
        )
        .synonyms(&["dlq", "dead_letter_queue", "dead_letter_channel", "dead_letter"]),
        Key::text(
            "invalid_messages",
            "where what could not be understood goes; else `<channel>.invalid`",
        )
        .synonyms(&["invalid", "poison_queue", "invalid_message_channel"]),
        Key::one_of(
            "declare_channel",
            DeclareMode::WORDS,
            "whether the channel is made, looked for, or taken for granted",
        )
        .synonyms(&["make_channel", "make_channels", "declare", "on_missing_channel"])
        .documented_default("create"),
        Key::one_of(
            "queue_type",
            QueueType::WORDS,
            "how the broker keeps it; else as `rabbitmq.queue_type` says",
        )
        .synonyms(&["x_queue_type"]),
        Key::time(
            "time_to_live",
            Duration::from_millis(1)..,
            "what has waited this long is a dead letter; else nothing is",
        )
        .synonyms(&["ttl", "message_ttl", "expiration"]),
        Key::count(
            "length_limit",
            1..=most,
            "how many messages may wait; else any number",
        )
        .synonyms(&["max_length", "queue_length"]),
        Key::one_of(
            "overflow",
            &["refuse_newest", "dead_letter_oldest"],
            "what becomes of one more",
        )
        .documented_default("refuse_newest"),
        Key::count(
            "delivery_limit",
            1..=most,
            "how often the broker delivers a message before it sets it aside itself",
        )
        .synonyms(&["max_deliveries", "max_delivery_count"]),
        Key::flag(
            "single_active_consumer",
            "whether one consumer at a time gets messages",
        )
        .synonyms(&["exclusive"])
        .documented_default("false"),
        Key::count("priorities", 1..=255, "the highest priority; else all are alike")
            .synonyms(&["priority", "max_priority"]),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::Loader;

    fn loader() -> Loader {
        Loader::new().section(SubscriptionSettings::section())
    }

    /// A value of each key that is not its default.
    fn other(key: &str) -> &'static str {
        match key {
            "declare_channel" => "assume",
            "queue_type" => "quorum",
            "overflow" => "dead_letter_oldest",
            "single_active_consumer" => "true",
            "rate" => "7/s",
            "performers" => "2 to 7",
            "timeout" | "unacceptable_window" | "time_to_live" | "delays" => "7s",
            _ => "7",
        }
    }

    #[test]
    fn every_key_changes_only_its_own_setting() {
        let section = SubscriptionSettings::section();
        let plain = || SubscriptionSettings::new("a-b".into(), Channel::new("a-b", "topic"));
        for key in section.keys() {
            let variable = format!("BRIGHTER_SUBSCRIPTIONS_A_B_{}", key.name().to_uppercase());
            let config = loader()
                .variables([(variable, other(key.name()))])
                .load()
                .unwrap();
            let mut settings = plain();
            assert!(settings.configure(&config));
            assert_ne!(settings, plain(), "{}", key.name());
        }
        let nothing = loader().load().unwrap();
        let mut settings = plain();
        assert!(!settings.configure(&nothing));
        assert_eq!(settings, plain());
    }

    #[test]
    fn the_table_shows_the_real_defaults() {
        let section = SubscriptionSettings::section();
        let mut with_defaults = loader();
        for key in section.keys() {
            if let Some(default) = key.default_text() {
                with_defaults = with_defaults.default_of(format!("subscriptions.a.{}", key.name()), default);
            }
        }
        let plain = || SubscriptionSettings::new("a".into(), Channel::new("a", "topic"));
        let mut settings = plain();
        settings.configure(&with_defaults.load().unwrap());
        assert_eq!(settings, plain());
    }
}
