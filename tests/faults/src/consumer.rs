//! What a consumer in a process of its own is told.

use std::path::PathBuf;

use brighter::channel::QueueType;
use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;
use crate::place::Place;

/// Where the process stops, and waits to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// The handler has begun, and done nothing.
    BeforeTheEffect,
    /// The handler has done all, and not ended.
    AfterTheEffect,
    /// The effect is committed, and the message is not acknowledged.
    AfterTheCommit,
}

/// How a deed ends the process that does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Death {
    /// It aborts.
    Abort,
    /// It waits to be killed, and says so.
    Killed,
    /// It takes more memory than there is.
    Memory,
    /// It aborts after so many milliseconds.
    Slow(u64),
}

/// What the process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Of the node, or of a way to it.
    pub url: String,
    /// The name of its connections.
    pub name: String,
    /// Of the test.
    pub exchange: String,
    /// What it reads.
    pub queue: String,
    /// What it wants.
    pub topic: String,
    /// Where it writes what it has done.
    pub ledger: PathBuf,
    /// A SQLite file with a table `effects`. Given, each effect is a row in it, committed together with its key in the
    /// inbox that is there too.
    pub books: Option<PathBuf>,
    /// How many performers it has.
    pub performers: usize,
    /// How many messages each of them takes ahead.
    pub buffer: u16,
    /// How many milliseconds its handlers have to finish.
    pub drain: u64,
    /// Where it waits to be killed.
    pub dies: Option<Point>,
    /// How a deed ends it that does.
    pub death: Death,
    /// Whether a deed that waits does so forever, and not at all otherwise.
    pub waits: bool,
    /// How the broker keeps its queue.
    pub queue_type: Option<Keeps>,
    /// How often a message may come without being settled.
    pub redeliveries: u32,
}

/// How the broker keeps a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeps {
    /// On one node.
    Classic,
    /// On a majority of the nodes.
    Quorum,
}

impl From<Keeps> for QueueType {
    fn from(keeps: Keeps) -> Self {
        match keeps {
            Keeps::Classic => Self::Classic,
            Keeps::Quorum => Self::Quorum,
        }
    }
}

impl Orders {
    /// To consume the queue of this name and topic at this place.
    #[must_use]
    pub fn new(place: &Place, topic: &str, ledger: &Ledger) -> Self {
        Self {
            url: place.url().to_owned(),
            name: place.id().to_owned(),
            exchange: place.exchange(),
            queue: place.queue(topic),
            topic: topic.to_owned(),
            ledger: ledger.path().to_owned(),
            books: None,
            performers: 1,
            buffer: 1,
            drain: 5_000,
            dies: None,
            death: Death::Abort,
            waits: true,
            queue_type: None,
            redeliveries: 20,
        }
    }
}
