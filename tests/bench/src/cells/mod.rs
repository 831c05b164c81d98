//! The cells of the table: what is measured, against what, and what it has to be.

mod broker;
mod consume;
mod embedded;
mod idle;
mod pump;
mod send;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::measure::Sample;

/// One cell of the table.
#[derive(Serialize)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// What is promised of a message, on both sides alike.
    pub(crate) durability: &'static str,
    /// What it has to be: a ratio where there is a twin, else a value.
    pub(crate) must: f64,
    pub(crate) reach: f64,
    pub(crate) needs_broker: bool,
    #[serde(skip)]
    pub(crate) ours: fn() -> Result<Sample>,
    pub(crate) twin: Option<Twin>,
}

/// The same work without brighter.
#[derive(Serialize)]
pub(crate) struct Twin {
    pub(crate) name: &'static str,
    #[serde(skip)]
    pub(crate) run: fn() -> Result<Sample>,
}

/// Which way of a value is the better.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// Whose sample it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Twin,
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Twin => "twin",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "ours" => Ok(Self::Ours),
            "twin" => Ok(Self::Twin),
            other => bail!("a side is `ours` or `twin`, not `{other}`"),
        }
    }
}

impl Cell {
    /// Takes a sample in this process.
    pub(crate) fn sample(&self, side: Side) -> Result<Sample> {
        match side {
            Side::Ours => (self.ours)(),
            Side::Twin => {
                let twin = self.twin.as_ref();
                (twin.with_context(|| format!("{} has no twin", self.name))?.run)()
            }
        }
    }
}

const PERSISTENT: &str = "persistent; acked after the handler";
const ON_DISK: &str = "on disk, synchronous = FULL; acked after the handler";
const IN_MEMORY: &str = "in memory; acked after the handler";

/// Every cell.
pub(crate) const CELLS: &[Cell] = &[
    Cell {
        name: "in-memory",
        summary: "in-memory broker: post through an outbox → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        durability: IN_MEMORY,
        must: 300_000.0,
        reach: 1_000_000.0,
        needs_broker: false,
        ours: pump::post_to_ack,
        twin: None,
    },
    Cell {
        name: "in-memory-pump",
        summary: "in-memory broker: a channel that is full already → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        durability: IN_MEMORY,
        must: 300_000.0,
        reach: 1_000_000.0,
        needs_broker: false,
        ours: pump::drain,
        twin: None,
    },
    Cell {
        name: "in-memory-broker",
        summary: "in-memory broker by itself: publish → consume → ack, two consumers",
        unit: "messages/s",
        better: Better::Higher,
        durability: IN_MEMORY,
        must: 600_000.0,
        reach: 2_000_000.0,
        needs_broker: false,
        ours: broker::publish_to_ack,
        twin: None,
    },
    Cell {
        name: "embedded",
        summary: "a broker in a file: post through an outbox beside it, 50 in a transaction → sweeper → broker → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        durability: ON_DISK,
        must: 5_000.0,
        reach: 15_000.0,
        needs_broker: false,
        ours: embedded::post_to_ack,
        twin: None,
    },
    Cell {
        name: "embedded-broker",
        summary: "a broker in a file by itself: publish, 64 at once → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        durability: ON_DISK,
        must: 5_000.0,
        reach: 20_000.0,
        needs_broker: false,
        ours: embedded::publish_to_ack,
        twin: None,
    },
    Cell {
        name: "idle",
        summary: "a thousand idle subscriptions on the in-memory broker: CPU in each second",
        unit: "ms/s",
        better: Better::Lower,
        durability: IN_MEMORY,
        must: 1.0,
        reach: 0.1,
        needs_broker: false,
        ours: idle::subscriptions,
        twin: None,
    },
    Cell {
        name: "send",
        summary: "in process: send through logging, circuit breaker and retry, logging off",
        unit: "ns",
        better: Better::Lower,
        durability: "none",
        must: 400.0,
        reach: 150.0,
        needs_broker: false,
        ours: send::through_three_steps,
        twin: None,
    },
    Cell {
        name: "consume",
        summary: "RabbitMQ: a full queue → pump → handler → ack, prefetch 200, 1 KB of JSON; against lapin acking each",
        unit: "messages/s",
        better: Better::Higher,
        durability: PERSISTENT,
        must: 1.0,
        reach: 1.6,
        needs_broker: true,
        ours: consume::through_the_pump,
        twin: Some(Twin {
            name: "lapin, acking each",
            run: consume::raw_acking_each,
        }),
    },
    Cell {
        name: "consume-50",
        summary: "RabbitMQ: a full queue → pump → handler → ack, prefetch 200, 1 KB of JSON; against lapin acking each fiftieth",
        unit: "messages/s",
        better: Better::Higher,
        durability: PERSISTENT,
        must: 0.7,
        reach: 0.9,
        needs_broker: true,
        ours: consume::through_the_pump,
        twin: Some(Twin {
            name: "lapin, acking every 50th",
            run: consume::raw_acking_every_50th,
        }),
    },
];
