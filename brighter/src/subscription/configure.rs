//! What a configuration changes of a subscription.

use super::{Performers, Rate, Subscription, SubscriptionSettings};
use brighter_config::SUBSCRIPTIONS;
use brighter_config::{Config, Entry};
use brighter_core::channel::{Channel, MakeChannel, Overflow, QueueType};

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
    /// Takes what the configuration says; gives whether it knows the subscription.
    pub(crate) fn configure(&mut self, config: &Config) -> bool {
        let entry = config.named(SUBSCRIPTIONS, self.name.as_str());
        if let Some(entry) = entry {
            self.reading(entry);
            self.handling(entry);
        }
        entry.is_some()
    }

    fn reading(&mut self, entry: &Entry) {
        if let Some(name) = entry.text("channel") {
            let named = Channel::new(name, "");
            self.channel.name = named.name;
            self.channel.dead_letters = named.dead_letters;
            self.channel.invalid_messages = named.invalid_messages;
        }
        if let Some(keys) = entry.texts("routing_keys") {
            self.channel.routing_keys = keys.iter().map(|key| key.as_str().into()).collect();
        }
        if let Some(name) = entry.text("dead_letters") {
            self.channel.dead_letters = name.into();
        }
        if let Some(name) = entry.text("invalid_messages") {
            self.channel.invalid_messages = name.into();
        }
        if let Some(messages) = entry.small("buffer") {
            let messages = u16::try_from(messages).unwrap_or(u16::MAX);
            self.buffer(messages);
        }
        if let Some(make) = entry.text("make_channel") {
            self.channel.make = MakeChannel::configured(make);
        }
        if let Some(queue_type) = entry.text("queue_type") {
            self.channel.queue_type = Some(QueueType::configured(queue_type));
        }
        let limits = &mut self.channel.limits;
        limits.time_to_live = entry.time("time_to_live").or(limits.time_to_live);
        limits.length = entry.small("length_limit").or(limits.length);
        limits.deliveries = entry.small("delivery_limit").or(limits.deliveries);
        if let Some(overflow) = entry.text("overflow") {
            limits.overflow = match overflow {
                "dead_letter_oldest" => Overflow::DeadLetterOldest,
                _ => Overflow::RefuseNewest,
            };
        }
        if let Some(single) = entry.flag("single_active_consumer") {
            limits.single_active_consumer = single;
        }
        if let Some(highest) = entry.small("priorities") {
            limits.priorities = Some(u8::try_from(highest).unwrap_or(u8::MAX));
        }
    }

    fn handling(&mut self, entry: &Entry) {
        if let Some((least, most)) = entry.performers("performers") {
            let performers = Performers::from(least..=most);
            self.performers = performers.least();
            self.performers_at_most = performers.most();
        }
        self.concurrency = entry.size("concurrency").unwrap_or(self.concurrency);
        if let Some((messages, within)) = entry.rate("rate") {
            self.rate = Some(Rate::new(messages, within));
        }
        self.timeout = entry.time("timeout").or(self.timeout);
        self.attempts = entry.small("attempts").unwrap_or(self.attempts);
        if let Some(delays) = entry.times("delays") {
            self.delays = delays.to_vec();
        }
        self.redeliveries = entry.small("redeliveries").unwrap_or(self.redeliveries);
        self.unacceptable_limit = entry
            .small("unacceptable_limit")
            .unwrap_or(self.unacceptable_limit);
        self.unacceptable_window = entry.time("unacceptable_window").or(self.unacceptable_window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::SCHEMA;

    /// A value of each key that is not its default.
    fn other(key: &str) -> &'static str {
        match key {
            "make_channel" => "assume",
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
    fn every_key_changes_the_settings_and_only_what_it_is_of() {
        let known = SCHEMA.iter().find(|known| known.name == SUBSCRIPTIONS).unwrap();
        let plain = || SubscriptionSettings::new("a-b".into(), Channel::new("a-b", "topic"));
        for key in known.keys.iter() {
            let variable = format!("BRIGHTER_SUBSCRIPTIONS_A_B_{}", key.name.to_uppercase());
            let config = Config::loader()
                .variables([(variable, other(key.name))])
                .load()
                .unwrap();
            let mut settings = plain();
            assert!(settings.configure(&config));
            assert_ne!(settings, plain(), "{}", key.name);
        }
        let nothing = Config::loader().load().unwrap();
        let mut settings = plain();
        assert!(!settings.configure(&nothing));
        assert_eq!(settings, plain());
    }

    #[test]
    fn what_the_table_says_are_the_defaults() {
        let known = SCHEMA.iter().find(|known| known.name == SUBSCRIPTIONS).unwrap();
        let mut loader = Config::loader();
        for key in known.keys.iter() {
            if let Some(default) = key.default {
                loader = loader.default_of(format!("subscriptions.a.{}", key.name), default);
            }
        }
        let plain = || SubscriptionSettings::new("a".into(), Channel::new("a", "topic"));
        let mut settings = plain();
        settings.configure(&loader.load().unwrap());
        assert_eq!(settings, plain());
    }
}
