//! The table: every cell, against what it is measured, and what it has to be.

mod also;
mod batch;
mod broker;
mod cell;
mod consume;
mod embedded;
mod idle;
mod latency;
mod outbox;
mod publish;
mod pump;
mod rabbit;
mod scaling;
mod send;
mod start;

use anyhow::{Result, bail};

use self::also::{CONSUME_CPU, LATENCY_P99, MEMORY, PUBLISH_ALIKE_CPU, PUBLISH_CPU};
pub(crate) use self::cell::{Better, Cell, Compared, Figure, Service, Side, Twin};
pub(crate) use self::start::{STARTED, handle_first};
use crate::measure::Counter;

const PERSISTENT: &str = "persistent; acked after the handler";
const ON_DISK: &str = "on disk, synchronous = FULL; acked after the handler";
const CONFIRMED: &str = "persistent, durable queue, confirmed, mandatory";
const CONFIRMED_AND_ACKED: &str = "persistent, durable queue, confirmed, mandatory; acked after the handler";
const IN_MEMORY: &str = "in memory; acked after the handler";

/// How often a cell allocates each time, where that is counted.
pub(crate) fn allocations(cell: &str, count: Counter) -> Result<f64> {
    match cell {
        "send" => send::allocations(count),
        "in-memory" => pump::allocations_of_post(count),
        "in-memory-pump" => pump::allocations_of_drain(count),
        other => bail!("the allocations of `{other}` are not counted"),
    }
}

/// Every cell.
pub(crate) const CELLS: &[Cell] = &[
    Cell {
        name: "in-memory",
        summary: "in-memory broker: post through an outbox → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: IN_MEMORY,
        must: 300_000.0,
        reach: 1_000_000.0,
        needs: &[],
        ours: pump::post_to_ack,
        twin: None,
    },
    Cell {
        name: "in-memory-pump",
        summary: "in-memory broker: a channel that is full already → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: IN_MEMORY,
        must: 300_000.0,
        reach: 1_000_000.0,
        needs: &[],
        ours: pump::drain,
        twin: None,
    },
    Cell {
        name: "in-memory-broker",
        summary: "in-memory broker by itself: publish → consume → ack, two consumers",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: IN_MEMORY,
        must: 600_000.0,
        reach: 2_000_000.0,
        needs: &[],
        ours: broker::publish_to_ack,
        twin: None,
    },
    Cell {
        name: "embedded",
        summary: "a broker in a file: post through an outbox beside it, 50 in a transaction → sweeper → broker → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: ON_DISK,
        must: 5_000.0,
        reach: 15_000.0,
        needs: &[],
        ours: embedded::post_to_ack,
        twin: None,
    },
    Cell {
        name: "embedded-broker",
        summary: "a broker in a file by itself: publish, 64 at once → pump → handler → ack, 1 KB of JSON",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: ON_DISK,
        must: 5_000.0,
        reach: 20_000.0,
        needs: &[],
        ours: embedded::publish_to_ack,
        twin: None,
    },
    Cell {
        name: "idle",
        summary: "a thousand idle subscriptions on the in-memory broker: CPU in each second",
        unit: "ms/s",
        better: Better::Lower,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: IN_MEMORY,
        must: 1.0,
        reach: 0.1,
        needs: &[],
        ours: idle::subscriptions,
        twin: None,
    },
    Cell {
        name: "send",
        summary: "in process: send through logging, circuit breaker and retry, logging off",
        unit: "ns",
        better: Better::Lower,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: "none",
        must: 400.0,
        reach: 150.0,
        needs: &[],
        ours: send::through_three_steps,
        twin: None,
    },
    Cell {
        name: "consume",
        summary: "RabbitMQ: a full queue → pump → handler → ack, prefetch 200, 1 KB of JSON; against lapin acking each",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[CONSUME_CPU],
        compared: Compared::Ratio,
        durability: PERSISTENT,
        must: 1.0,
        reach: 1.6,
        needs: &[Service::RabbitMq],
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
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: PERSISTENT,
        must: 0.7,
        reach: 0.9,
        needs: &[Service::RabbitMq],
        ours: consume::through_the_pump,
        twin: Some(Twin {
            name: "lapin, acking every 50th",
            run: consume::raw_acking_every_50th,
        }),
    },
    Cell {
        name: "publish",
        summary: "RabbitMQ: straight to the broker, 256 unconfirmed at a time, 1 KB of JSON, with lean headers; against lapin with the same flags and a bare message",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[PUBLISH_CPU],
        compared: Compared::Ratio,
        durability: CONFIRMED,
        must: 0.9,
        reach: 0.97,
        needs: &[Service::RabbitMq],
        ours: publish::lean,
        twin: Some(Twin {
            name: "lapin",
            run: publish::raw,
        }),
    },
    Cell {
        name: "publish-alike",
        summary: "RabbitMQ: straight to the broker, 256 unconfirmed at a time, 1 KB of JSON; against lapin with the same flags and headers",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[PUBLISH_ALIKE_CPU],
        compared: Compared::Ratio,
        durability: CONFIRMED,
        must: 0.9,
        reach: 0.97,
        needs: &[Service::RabbitMq],
        ours: publish::full,
        twin: Some(Twin {
            name: "lapin, the same headers",
            run: publish::raw_alike,
        }),
    },
    batch::BATCH_POSTGRES,
    outbox::DEPOSIT_SQLITE,
    outbox::DEPOSIT_POSTGRES,
    outbox::DEPOSIT_MYSQL,
    outbox::RELAY_SQLITE,
    outbox::RELAY_POSTGRES,
    outbox::RELAY_MYSQL,
    Cell {
        name: "latency-p50",
        summary: "RabbitMQ: from when a message was due to its handler, 1,000 a second whatever becomes of them, median; on top of lapin's",
        unit: "µs",
        better: Better::Lower,
        figure: Figure::Value,
        also: &[LATENCY_P99],
        compared: Compared::Added,
        durability: CONFIRMED_AND_ACKED,
        must: 50.0,
        reach: 10.0,
        needs: &[Service::RabbitMq],
        ours: latency::ours,
        twin: Some(Twin {
            name: "lapin, acking each",
            run: latency::raw,
        }),
    },
    Cell {
        name: "start",
        summary: "RabbitMQ: from the start of a process to the first message that it has handled",
        unit: "ms",
        better: Better::Lower,
        figure: Figure::Value,
        also: &[MEMORY],
        compared: Compared::Ratio,
        durability: PERSISTENT,
        must: 300.0,
        reach: 100.0,
        needs: &[Service::RabbitMq],
        ours: start::to_first_message,
        twin: None,
    },
    Cell {
        name: "scaling-messages",
        summary: "in-memory broker: a channel with a million messages → pump → handler → ack; against a thousand",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: IN_MEMORY,
        must: 0.8,
        reach: 1.0,
        needs: &[],
        ours: scaling::a_million,
        twin: Some(Twin {
            name: "a thousand",
            run: scaling::a_thousand,
        }),
    },
    Cell {
        name: "scaling-subscriptions",
        summary: "in-memory broker: messages to one of a thousand subscriptions; against the only one",
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: IN_MEMORY,
        must: 0.8,
        reach: 1.0,
        needs: &[],
        ours: scaling::through_one_of_a_thousand,
        twin: Some(Twin {
            name: "one subscription",
            run: scaling::through_the_only_one,
        }),
    },
    Cell {
        name: "scaling-handlers",
        summary: "in process: an event to each of a hundred handlers; against each of two",
        unit: "handlings/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: "none",
        must: 0.8,
        reach: 1.0,
        needs: &[],
        ours: scaling::heard_by_a_hundred,
        twin: Some(Twin {
            name: "two handlers",
            run: scaling::heard_by_two,
        }),
    },
];
