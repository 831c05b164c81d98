//! Figures that come with another cell's: of the same samples, something else that they tell.

use anyhow::Result;

use super::cell::{Better, Cell, Compared, Figure, Service, Twin};
use super::{CONFIRMED, CONFIRMED_AND_ACKED, PERSISTENT, consume, latency, publish, start};
use crate::measure::Sample;

pub(super) const CONSUME_CPU: Cell = cpu(
    "consume-cpu",
    "RabbitMQ: the processor's time of the client for each message consumed; 0.80 is 1.25 times lapin's",
    PERSISTENT,
    consume::through_the_pump,
    Twin {
        name: "lapin, acking each",
        run: consume::raw_acking_each,
    },
);

pub(super) const PUBLISH_CPU: Cell = cpu(
    "publish-cpu",
    "RabbitMQ: the processor's time of the client for each message published, with lean headers; 0.80 is 1.25 times lapin's",
    CONFIRMED,
    publish::lean,
    Twin {
        name: "lapin",
        run: publish::raw,
    },
);

pub(super) const PUBLISH_ALIKE_CPU: Cell = cpu(
    "publish-alike-cpu",
    "RabbitMQ: the processor's time of the client for each message published; 0.80 is 1.25 times that of lapin with the same headers",
    CONFIRMED,
    publish::full,
    Twin {
        name: "lapin, the same headers",
        run: publish::raw_alike,
    },
);

pub(super) const LATENCY_P99: Cell = Cell {
    name: "latency-p99",
    summary: "the same, of the slowest hundredth",
    unit: "µs",
    better: Better::Lower,
    figure: Figure::Second,
    also: &[],
    compared: Compared::Added,
    durability: CONFIRMED_AND_ACKED,
    must: 500.0,
    reach: 100.0,
    needs: &[Service::RabbitMq],
    ours: latency::ours,
    twin: Some(Twin {
        name: "lapin, acking each",
        run: latency::raw,
    }),
};

pub(super) const MEMORY: Cell = Cell {
    name: "memory",
    summary: "RabbitMQ: the memory of that process then",
    unit: "MB",
    better: Better::Lower,
    figure: Figure::Second,
    also: &[],
    compared: Compared::Ratio,
    durability: PERSISTENT,
    must: 20.0,
    reach: 10.0,
    needs: &[Service::RabbitMq],
    ours: start::to_first_message,
    twin: None,
};

/// The processor's time of the client, which may be 1.25 times the twin's.
const fn cpu(
    name: &'static str,
    summary: &'static str,
    durability: &'static str,
    ours: fn() -> Result<Sample>,
    twin: Twin,
) -> Cell {
    Cell {
        name,
        summary,
        unit: "µs",
        better: Better::Lower,
        figure: Figure::Cpu,
        also: &[],
        compared: Compared::Ratio,
        durability,
        must: 0.8,
        reach: 0.91,
        needs: &[Service::RabbitMq],
        ours,
        twin: Some(twin),
    }
}
