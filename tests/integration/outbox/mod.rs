//! The outboxes: the contract that each must keep, and what is special to one.

mod archiving;
mod base_only;
mod conflicts;
mod contract;
mod ddl;
mod draining;
mod in_memory;
mod leases;
mod other_clients;
mod pooler;
mod relaying;
mod servers;
mod sqlite;
mod sweeping;
mod tables;
mod watched;
