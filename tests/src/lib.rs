//! What the tests share. It sees brighter only as a user can.

pub mod flaky;
pub mod rabbitmq;
pub mod wait;
