//! Which requests were handled, so that a duplicate is recognised: the port [`Inbox`], and [`InMemoryInbox`].

pub use brighter_core::inbox::*;

pub use crate::in_memory::inbox::InMemoryInbox;
