//! [`RandomFaults`]: faults that come by chance, and come again with their seed.

use super::fault::{PublishFault, SettleFault};

/// Faults that come by chance. The same seed gives the same faults to the same calls in the same order.
///
/// ```
/// use brighter::testing::{PublishFault, RandomFaults, SettleFault};
///
/// let faults = RandomFaults::seeded(42)
///     .publish(PublishFault::Away, 0.1)
///     .publish(PublishFault::Duplicate, 0.05)
///     .settle(SettleFault::Fails, 0.05);
/// ```
#[derive(Debug, Clone)]
pub struct RandomFaults {
    state: u64,
    publishes: Vec<(PublishFault, f64)>,
    settles: Vec<(SettleFault, f64)>,
}

impl RandomFaults {
    /// No faults yet.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: seed,
            publishes: Vec::new(),
            settles: Vec::new(),
        }
    }

    /// Adds this fault for a part of the published messages, between 0 and 1.
    #[must_use]
    pub fn publish(mut self, fault: PublishFault, part: f64) -> Self {
        self.publishes.push((fault, part));
        self
    }

    /// Adds this fault for a part of the acks, requeues and rejections, between 0 and 1.
    #[must_use]
    pub fn settle(mut self, fault: SettleFault, part: f64) -> Self {
        self.settles.push((fault, part));
        self
    }

    pub(super) fn next_publish(&mut self) -> Option<PublishFault> {
        let roll = self.roll();
        pick(&self.publishes, roll)
    }

    pub(super) fn next_settle(&mut self) -> Option<SettleFault> {
        let roll = self.roll();
        pick(&self.settles, roll)
    }

    /// The next number between 0 and 1, by SplitMix64: a few lines, and good enough to be unforeseen.
    fn roll(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = (mixed ^ (mixed >> 31)) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

fn pick<F: Copy>(faults: &[(F, f64)], roll: f64) -> Option<F> {
    let mut end = 0.0;
    faults.iter().find_map(|(fault, part)| {
        end += part;
        (roll < end).then_some(*fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_faults_at_the_asked_rate() {
        let faults = || {
            let mut faults = RandomFaults::seeded(7)
                .publish(PublishFault::Away, 0.2)
                .publish(PublishFault::Refuse, 0.1);
            (0..10_000).map(|_| faults.next_publish()).collect::<Vec<_>>()
        };
        let first = faults();
        assert_eq!(first, faults());
        let count = |fault| first.iter().filter(|it| **it == Some(fault)).count();
        assert!((1_800..2_200).contains(&count(PublishFault::Away)));
        assert!((850..1_150).contains(&count(PublishFault::Refuse)));
    }
}
