//! The outboxes: the contract that each must keep, and what is special to one.

mod contract;
mod in_memory;
mod servers;
mod sqlite;
