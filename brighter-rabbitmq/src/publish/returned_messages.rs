//! [`ReturnedMessages`]: finds out which message the broker returned.
//!
//! The broker returns a message that no queue is bound to, and then confirms it. lapin attaches a returned message to
//! the next confirm that it completes, and completes those of one frame in any order. So the returned message itself
//! must be identified.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use lapin::BasicProperties;
use lapin::types::ShortString;

/// Identifies a message in flight as far as its routing matters, by hashes of exchange, routing key and id. So a
/// message that is not returned needs no copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MessageRoute {
    key: RouteKey,
    message: u64,
}

impl MessageRoute {
    pub(super) fn key(self) -> RouteKey {
        self.key
    }
}

/// A hash of exchange and routing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RouteKey(u64);

/// Computes routes with a random key: no sender can choose an id whose route equals another's.
#[derive(Debug, Clone, Default)]
pub(super) struct RouteHasher(RandomState);

impl RouteHasher {
    pub(super) fn of(
        &self,
        exchange: &ShortString,
        routing_key: &ShortString,
        properties: &BasicProperties,
    ) -> MessageRoute {
        let id = properties.message_id().as_ref().map(ShortString::as_str);
        let key = self.0.hash_one((exchange.as_str(), routing_key.as_str()));
        MessageRoute {
            key: RouteKey(key),
            message: self.0.hash_one((key, id)),
        }
    }
}

/// The returned messages whose confirm has not been seen.
#[derive(Debug, Default)]
pub(super) struct ReturnedMessages(HashMap<MessageRoute, u32>);

impl ReturnedMessages {
    pub(super) fn note(&mut self, route: MessageRoute) {
        *self.0.entry(route).or_default() += 1;
    }

    /// Returns whether this message was returned. Returns `true` once for each time that it was.
    pub(super) fn take(&mut self, route: &MessageRoute) -> bool {
        let Some(times) = self.0.get_mut(route) else {
            return false;
        };
        *times -= 1;
        if *times == 0 {
            self.0.remove(route);
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_return_counts_once_for_its_own_message() {
        let routes = RouteHasher::default();
        let route = |id: &str| {
            let properties = BasicProperties::default().with_message_id(id.into());
            routes.of(&"e".into(), &"k".into(), &properties)
        };
        let mut returns = ReturnedMessages::default();
        returns.note(route("a"));
        returns.note(route("a"));
        assert!(!returns.take(&route("b")));
        assert!(returns.take(&route("a")));
        assert!(returns.take(&route("a")));
        assert!(!returns.take(&route("a")));
    }
}
