//! The names of the arguments of a queue.

pub(super) const QUEUE_TYPE: &str = "x-queue-type";
pub(super) const QUORUM: &str = "quorum";
pub(super) const CLASSIC: &str = "classic";
pub(super) const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
pub(super) const DEAD_LETTER_ROUTING_KEY: &str = "x-dead-letter-routing-key";
pub(super) const DEAD_LETTER_STRATEGY: &str = "x-dead-letter-strategy";
pub(super) const EXPIRES: &str = "x-expires";
pub(super) const TIME_TO_LIVE: &str = "x-message-ttl";
pub(super) const LENGTH: &str = "x-max-length";
pub(super) const OVERFLOW: &str = "x-overflow";
pub(super) const DELIVERIES: &str = "x-delivery-limit";
pub(super) const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";
pub(super) const PRIORITIES: &str = "x-max-priority";
