//! Message brokers, one crate each. Without their features there is [`InMemoryBroker`](crate::InMemoryBroker).

#[cfg(feature = "rabbitmq")]
pub use brighter_rabbitmq as rabbitmq;
#[cfg(feature = "sqlite-broker")]
pub use brighter_sql::broker::sqlite;
