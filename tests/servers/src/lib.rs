//! The servers and tools that tests talk to.
//!
//! Of each kind the tests get the server that the environment names; else a private one from what is installed, which
//! is installed first where this may be done; else one in a container. A private server has its own ports, folder and
//! password, and leaves nothing behind, however the process ends that started it.
//!
//! A test calls [`variable`]. `cargo xtask test` starts all of [`Servers`] first and sets the variables. A bare
//! `cargo test` has no variables: its first test that needs a server starts one, for all processes of that `cargo test`.

mod ask;
mod cluster;
mod container;
mod install;
mod keeper;
mod mariadb;
mod network;
mod node_place;
mod pgbouncer;
mod postgres;
mod programs;
mod rabbitmq;
mod root;
mod server;
mod servers;
mod shared;
mod speed;
mod system;
mod tools;

pub use anyhow::{Error, Result};
pub use cluster::Cluster;
pub use install::install;
pub use network::Network;
pub use pgbouncer::PgBouncer;
pub use programs::{read, shown};
pub use rabbitmq::{Broker, Install, Settings, Tls};
pub use root::{Suite, root};
pub use servers::Servers;
pub use shared::variable;
pub use speed::patience;
pub use system::{ROOT, System};
