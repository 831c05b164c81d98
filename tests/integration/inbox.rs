//! The inbox: the contract, and `#[use_inbox]` with a real broker and a real outbox.

use brighter::InMemoryInbox;

brighter::inbox_contract!(in_memory, async || (InMemoryInbox::new(), ()));
