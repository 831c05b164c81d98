//! in memory
/// outbox
#[derive(Debug)]
pub struct InMemoryOutbox;
/// tx
#[derive(Debug)]
pub struct InMemoryTransaction;
