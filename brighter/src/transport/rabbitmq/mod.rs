//! RabbitMQ.
/// RabbitMQ.
pub struct RabbitMq;
