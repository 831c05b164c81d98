//! The [`Script`] of a faulty broker: what the next call meets.

use std::collections::VecDeque;

use super::fault::{PublishFault, SettleFault};
use super::random::RandomFaults;

/// The fault that the next call meets.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) next_publishes: VecDeque<PublishFault>,
    pub(super) every_publish: Option<PublishFault>,
    pub(super) next_settles: VecDeque<SettleFault>,
    pub(super) every_settle: Option<SettleFault>,
    pub(super) random: Option<RandomFaults>,
}

impl Script {
    pub(super) fn publish(&mut self) -> Option<PublishFault> {
        let told = self.next_publishes.pop_front().or(self.every_publish);
        told.or_else(|| self.random.as_mut()?.next_publish())
    }

    pub(super) fn settle(&mut self) -> Option<SettleFault> {
        let told = self.next_settles.pop_front().or(self.every_settle);
        told.or_else(|| self.random.as_mut()?.next_settle())
    }
}
