//! The [`Script`] of a faulty broker: what the next call meets.

use std::collections::VecDeque;
use std::time::Duration;

use super::RandomFaults;

/// What a message that is published may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishFault {
    /// There is no connection: the message is not taken.
    Away,
    /// The broker says no: the message is not taken.
    Refuse,
    /// The message is taken, and the connection lost before its confirm came.
    ConfirmLost,
    /// The message is taken twice.
    Duplicate,
    /// The message is taken and confirmed after this long.
    Delay(Duration),
    /// The message is taken and confirmed after the one that is published next, or after a second if none is.
    Reorder,
}

/// What an ack, a requeue or a rejection may meet. The message comes again in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettleFault {
    /// It fails, and the message goes back to its channel.
    Fails,
    /// It never ends, until the connection is lost or whoever waits gives up.
    Hangs,
}

/// What the next call meets.
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
