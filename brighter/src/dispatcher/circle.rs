//! Channels for dead letters and invalid messages that lead back to where a message came from.
//!
//! `build()` refuses those that it can see. Others may go through processes that know nothing of each other, so a
//! message that is set aside says by whom it was: one that has gone round waits where it is.

use std::collections::HashSet;
use std::time::Duration;

use super::neighbours::Neighbours;
use super::settlement::Settlement;
use crate::subscription::SubscriptionSettings;
use brighter_core::channel::{Channel, Delivery, RejectionKind};
use brighter_core::message::ChannelName;

/// How long a message waits that has gone round: it must not spin, and is handled again in case that helps.
const WAIT: Duration = Duration::from_secs(15 * 60);

/// The way back to the channel of a subscription, if what it sets aside comes back to it: it begins and ends with that
/// channel.
///
/// It takes as long as the ways that lead away from the channel, whatever else is read.
pub(super) fn way_back(
    settings: &SubscriptionSettings,
    others: &impl Neighbours,
) -> Option<Vec<ChannelName>> {
    let start = &settings.channel;
    // The first to be found is as short as any.
    let mut seen: Vec<(&Channel, Option<usize>)> = vec![(start, None)];
    let mut known = HashSet::from([&start.name]);
    let mut index = 0;
    while let Some((channel, _)) = seen.get(index).copied() {
        for next in [&channel.dead_letters, &channel.invalid_messages] {
            if *next == start.name {
                let before = |(_, before): &(&Channel, Option<usize>)| *before;
                let back = std::iter::successors(Some(index), |at| seen.get(*at).and_then(before));
                let mut way: Vec<_> = back.map(|at| seen[at].0.name.clone()).collect();
                way.reverse();
                way.push(start.name.clone());
                return Some(way);
            }
            if let Some(reader) = others.reader_of(next)
                && known.insert(&reader.channel.name)
            {
                seen.push((&reader.channel, Some(index)));
            }
        }
        index += 1;
    }
    None
}

/// The settlement of a delivery, which notes by whom it is set aside; a message that has gone round waits where it is, in
/// place of going round once more.
pub(super) fn stop_rounds(
    settings: &SubscriptionSettings,
    delivery: &Delivery,
    settlement: Settlement,
) -> Settlement {
    let Settlement::Reject(mut rejection) = settlement else {
        return settlement;
    };
    let channel = &settings.channel;
    let to = target(settings, rejection.kind);
    let rounds = delivery.rounds();
    if rounds.is_round(to) {
        // In the span of the delivery, which has the subscription and the id.
        tracing::error!(
            %to, wait = ?WAIT, reason = rejection.reason,
            "the message was set aside again and again and came back, so it stays in its channel, and is handled again after the wait; name another channel for dead letters or invalid messages in one of the subscriptions that it goes round"
        );
        return Settlement::Requeue {
            delay: WAIT,
            counted: false,
        };
    }
    rejection.rounds = Some(rounds.counted(&channel.name));
    Settlement::Reject(rejection)
}

/// Returns whether a rejected message has gone round, so that it stays in its channel.
pub(super) fn has_gone_round(
    settings: &SubscriptionSettings,
    delivery: &Delivery,
    kind: RejectionKind,
) -> bool {
    delivery.rounds().is_round(target(settings, kind))
}

/// The channel that a rejected message goes to.
fn target(settings: &SubscriptionSettings, kind: RejectionKind) -> &ChannelName {
    match kind {
        RejectionKind::Invalid => &settings.channel.invalid_messages,
        _ => &settings.channel.dead_letters,
    }
}

#[cfg(test)]
mod tests {
    use super::super::neighbours::SubscriptionIndex;
    use super::*;

    fn reads(channel: &str, dead_letters: &str, invalid: &str) -> SubscriptionSettings {
        let mut settings = SubscriptionSettings::new(channel.into(), Channel::new(channel, "topic"));
        settings.channel.dead_letters = dead_letters.into();
        settings.channel.invalid_messages = invalid.into();
        settings
    }

    fn way(one: &SubscriptionSettings, others: &[SubscriptionSettings]) -> Option<Vec<String>> {
        let way = way_back(one, &others.iter().collect::<SubscriptionIndex<'_>>())?;
        Some(way.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_shortest_way_back_is_found() {
        let others = [
            reads("c", "d", "c.invalid"),
            reads("d", "e", "a"),
            reads("e", "a", "e.invalid"),
        ];
        let found = way(&reads("a", "c", "a.invalid"), &others).unwrap();
        assert_eq!(found, ["a", "c", "d", "a"]);
        assert_eq!(way(&reads("a", "a", "a.invalid"), &[]).unwrap(), ["a", "a"]);
        assert_eq!(way(&reads("a", "a.dlq", "a"), &others).unwrap(), ["a", "a"]);
        let found = way(&reads("a", "a.dlq", "e"), &others).unwrap();
        assert_eq!(found, ["a", "e", "a"]);
    }

    #[test]
    fn channels_that_do_not_lead_back_are_no_circle() {
        // The dead letters of dead letters, and a circle of others, which they are told of themselves.
        let others = [
            reads("a.dlq", "a.dlq.dlq", "a.dlq.invalid"),
            reads("x", "y", "x.invalid"),
            reads("y", "x", "y.invalid"),
        ];
        assert_eq!(way(&reads("a", "a.dlq", "a.invalid"), &others), None);
        assert_eq!(way(&reads("a", "x", "a.invalid"), &others), None);
        assert_eq!(way(&reads("a", "same", "same"), &[]), None);
    }
}
