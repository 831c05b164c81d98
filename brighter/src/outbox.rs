//! Where a message is safe from the moment it is posted until the broker has it: the port [`Outbox`], and
//! [`InMemoryOutbox`].

pub use brighter_core::outbox::*;

pub use crate::in_memory::outbox::{InMemoryOutbox, InMemoryTransaction};
