//! What users test with.

mod app;
mod cascade;
mod databases;
mod exhaust;
mod faulty_broker;
mod idle;
mod soak;
