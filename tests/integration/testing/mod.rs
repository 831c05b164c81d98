//! What users test with.

mod app;
mod cascade;
mod crash_test;
mod databases;
mod faulty_broker;
mod idle;
mod soak;
