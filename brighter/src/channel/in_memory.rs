//! in memory
/// broker
#[derive(Debug)]
pub struct InMemoryBroker;
