//! Which message the broker gave back.
//!
//! The broker returns a message that no queue wants, and then confirms it. lapin hands a returned message to
//! whichever confirm it completes next, and completes those of one frame in no order; so the message has to
//! be asked itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use lapin::BasicProperties;
use lapin::types::ShortString;

/// What tells one message on its way from another, as far as it matters for where it can go: a hash of exchange,
/// routing key and id, so that the millions that do not come back need no copy of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Route(u64);

/// Makes routes: no sender can choose an id whose route is another's.
#[derive(Debug, Clone, Default)]
pub(super) struct Routes(RandomState);

impl Routes {
    pub(super) fn of(
        &self,
        exchange: &ShortString,
        routing_key: &ShortString,
        properties: &BasicProperties,
    ) -> Route {
        let id = properties.message_id().as_ref().map(ShortString::as_str);
        Route(self.0.hash_one((exchange.as_str(), routing_key.as_str(), id)))
    }
}

/// The messages that came back and whose confirm has not been seen.
#[derive(Debug, Default)]
pub(super) struct Returns(HashMap<Route, u32>);

impl Returns {
    pub(super) fn note(&mut self, route: Route) {
        *self.0.entry(route).or_default() += 1;
    }

    /// Whether this one came back. Says so once for each time that it did.
    pub(super) fn take(&mut self, route: &Route) -> bool {
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
        let routes = Routes::default();
        let route = |id: &str| {
            let properties = BasicProperties::default().with_message_id(id.into());
            routes.of(&"e".into(), &"k".into(), &properties)
        };
        let mut returns = Returns::default();
        returns.note(route("a"));
        returns.note(route("a"));
        assert!(!returns.take(&route("b")));
        assert!(returns.take(&route("a")));
        assert!(returns.take(&route("a")));
        assert!(!returns.take(&route("a")));
    }
}
