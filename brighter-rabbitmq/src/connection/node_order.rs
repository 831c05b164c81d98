//! [`NodeOrder`]: the order in which a connection tries the nodes, and the nodes that it avoids.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::random;
use crate::url::{Address, BrokerNodes};

/// How long a node is avoided after a connection to it was lost, unless the rebalance interval sets another time.
const AVOIDED: Duration = Duration::from_secs(60);
/// The largest factor of that time, for a node whose connections are lost again and again.
const MOST_TIMES: u32 = 32;
/// A connection that lasted this long shows that its node is stable.
const WELL: Duration = Duration::from_secs(600);

/// How long a node that did not answer one connection is avoided by the others of the process.
const UNANSWERING: Duration = Duration::from_secs(15);

/// The nodes that did not answer a connection of this process lately, and until when they are avoided. Another connection
/// that moves at the same time need not find out for itself.
static UNANSWERING_NODES: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());

/// The nodes in the order in which one connection prefers them.
///
/// The order is drawn once, at random. So the connections of many processes spread over the nodes. If a node fails they
/// spread over the others, and they return when each goes back to its preferred node.
pub(super) struct NodeOrder {
    nodes: Vec<OrderedNode>,
    avoided: Duration,
}

struct OrderedNode {
    address: Address,
    /// The number of connections to the node that were lost since one lasted.
    losses: u32,
    avoided_until: Option<Instant>,
}

impl NodeOrder {
    pub(super) fn new(nodes: &BrokerNodes, avoided: Option<Duration>) -> Self {
        let mut nodes: Vec<_> = nodes.iter().cloned().collect();
        // The Fisher-Yates shuffle.
        for last in (1..nodes.len()).rev() {
            nodes.swap(last, (random() * (last + 1) as f64) as usize);
        }
        let nodes = nodes.into_iter().map(|address| OrderedNode {
            address,
            losses: 0,
            avoided_until: None,
        });
        Self {
            nodes: nodes.collect(),
            avoided: avoided.unwrap_or(AVOIDED),
        }
    }

    pub(super) fn are_several(&self) -> bool {
        self.nodes.len() > 1
    }

    pub(super) fn address(&self, node: usize) -> Option<&Address> {
        self.nodes.get(node).map(|node| &node.address)
    }

    /// Returns all nodes: first those that are not avoided, in order of preference, then the others, the soonest
    /// available first. Each further round begins with another node, because the first may never answer.
    pub(super) fn round(&self, number: usize) -> Vec<usize> {
        let now = Instant::now();
        let mut round: Vec<_> = (0..self.nodes.len()).collect();
        round.sort_by_key(|&node| self.avoided_until(node, now));
        if !round.is_empty() {
            let by = number % round.len();
            round.rotate_left(by);
        }
        round
    }

    /// Returns the nodes that are preferred to this one, and not avoided.
    pub(super) fn preferred_to(&self, node: usize) -> Vec<usize> {
        let now = Instant::now();
        let before = 0..node.min(self.nodes.len());
        before
            .filter(|&node| self.avoided_until(node, now).is_none())
            .collect()
    }

    /// Records that the connection to this node was lost or given up, after it had lasted for this long.
    pub(super) fn lost(&mut self, node: usize, lasted: Duration) {
        let avoided = self.avoided;
        if let Some(node) = self.nodes.get_mut(node) {
            node.losses = if lasted < WELL {
                node.losses.saturating_add(1)
            } else {
                1
            };
            let times = 1 << (node.losses - 1).min(MOST_TIMES.ilog2());
            node.avoided_until = Some(Instant::now() + avoided * times);
        }
    }

    /// The node has kept a connection, and did not answer what was asked by it.
    pub(super) fn does_not_answer(&self, node: usize) {
        if let Some(address) = self.address(node) {
            let (address, now) = (address.to_string(), Instant::now());
            let mut nodes = unanswering();
            nodes.retain(|(other, until)| *until > now && *other != address);
            nodes.push((address, now + UNANSWERING));
        }
    }

    /// Records that the node was checked, and is still unavailable.
    pub(super) fn still_away(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.avoided_until = Some(Instant::now() + self.avoided / 2);
        }
    }

    fn avoided_until(&self, node: usize, now: Instant) -> Option<Instant> {
        let node = self.nodes.get(node)?;
        let address = node.address.to_string();
        let unanswering = unanswering();
        let by_others = unanswering.iter().find(|(other, _)| *other == address);
        let until = node.avoided_until.max(by_others.map(|(_, until)| *until));
        until.filter(|until| *until > now)
    }
}

fn unanswering() -> MutexGuard<'static, Vec<(String, Instant)>> {
    UNANSWERING_NODES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(nodes: usize) -> NodeOrder {
        let urls: Vec<_> = (0..nodes).map(|n| format!("amqp://node-{n}")).collect();
        NodeOrder::new(&BrokerNodes::parse(&urls).unwrap(), Some(Duration::from_secs(60)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_node_is_tried_last_for_a_while() {
        let mut order = order(3);
        assert_eq!(order.round(0), [0, 1, 2]);
        assert_eq!(order.round(4), [1, 2, 0], "a round beside it begins elsewhere");
        order.lost(0, Duration::ZERO);
        assert_eq!(order.round(0), [1, 2, 0]);
        assert!(order.preferred_to(1).is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        order.lost(1, Duration::ZERO);
        assert_eq!(order.round(0), [2, 0, 1], "the one lost last comes last");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(order.preferred_to(2), [0]);
        assert_eq!(order.round(0), [0, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_losses_avoid_a_node_longer_up_to_a_limit() {
        let mut order = order(2);
        let avoided = |order: &mut NodeOrder, lasted| {
            order.lost(0, lasted);
            let now = Instant::now();
            order.avoided_until(0, now).unwrap() - now
        };
        let times = |n| Duration::from_secs(60) * n;
        assert_eq!(avoided(&mut order, Duration::ZERO), times(1));
        assert_eq!(avoided(&mut order, Duration::ZERO), times(2));
        assert_eq!(avoided(&mut order, Duration::ZERO), times(4));
        for _ in 0..100 {
            avoided(&mut order, Duration::ZERO);
        }
        assert_eq!(avoided(&mut order, Duration::ZERO), times(MOST_TIMES));
        assert_eq!(avoided(&mut order, WELL), times(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unresponsive_node_is_tried_last_by_all_connections() {
        let urls: Vec<_> = (0..3).map(|n| format!("amqp://unanswering-{n}")).collect();
        let nodes = BrokerNodes::parse(&urls).unwrap();
        let (ours, theirs) = (NodeOrder::new(&nodes, None), NodeOrder::new(&nodes, None));
        let address = ours.address(0).unwrap().to_string();
        ours.does_not_answer(0);
        let last = *theirs.round(0).last().unwrap();
        assert_eq!(theirs.address(last).unwrap().to_string(), address);
        tokio::time::advance(UNANSWERING).await;
        assert_eq!(theirs.round(0), [0, 1, 2]);
    }

    #[test]
    fn every_node_is_first_and_second_for_some_connections() {
        for place in [0, 1] {
            let at_place = || order(3).nodes[place].address.to_string();
            let found: std::collections::HashSet<_> = (0..200).map(|_| at_place()).collect();
            assert_eq!(found.len(), 3, "place {place}: {found:?}");
        }
    }
}
