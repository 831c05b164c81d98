//! Connections to the broker: one thread for all of them, and a task for each that keeps it open.

mod confirm_watch;
mod connection_end;
mod connector;
mod handle;
mod idle_cuts;
mod io_thread;
mod isolated;
mod node_order;
mod owned_channel;
mod reconnect_task;
mod socket;
mod state;
mod traffic;

pub(crate) use confirm_watch::ConfirmWatch;
pub(crate) use handle::ConnectionHandle;
pub(crate) use io_thread::IoThread;
pub(crate) use isolated::{ConnectionChoice, IsolatedConnections};
pub(crate) use owned_channel::OwnedChannel;
pub(crate) use state::{ConnectionRole, OpenConnection};
