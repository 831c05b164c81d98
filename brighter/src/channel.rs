//! The ports through which messages leave and arrive, and what uses them: [`Publication`] for the producing side,
//! [`Subscription`] for the consuming side, [`Replay`] for dead letters, [`InMemoryBroker`] as a broker.

pub use brighter_core::channel::*;

pub use crate::in_memory::broker::InMemoryBroker;
pub use crate::publication::Publication;
pub use crate::replay::{DeadLetter, Replay, ReplayError, Replayed};
pub use crate::subscription::{
    BatchError, BudgetError, OneOf, Performers, Rate, Subscription, SubscriptionSettings,
};
