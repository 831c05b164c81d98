//! Figures that come with another cell's: of the same samples, something else that they tell.

use super::cell::{Better, Cell, Compared, Figure, Service, Twin};
use super::{CONFIRMED, CONFIRMED_AND_ACKED, PERSISTENT, consume, latency, publish, start};

pub(super) const CONSUME_CPU: Cell = Cell {
    name: "consume-cpu",
    summary: "RabbitMQ: the processor's time of the client for each message consumed; 0.80 is 1.25 times lapin's",
    unit: "µs",
    better: Better::Lower,
    figure: Figure::Cpu,
    also: &[],
    compared: Compared::Ratio,
    durability: PERSISTENT,
    must: 0.8,
    reach: 0.91,
    needs: &[Service::RabbitMq],
    ours: consume::through_the_pump,
    twin: Some(Twin {
        name: "lapin, acking each",
        run: consume::raw_acking_each,
    }),
};

pub(super) const PUBLISH_CPU: Cell = Cell {
    name: "publish-cpu",
    summary: "RabbitMQ: the processor's time of the client for each message published; 0.80 is 1.25 times lapin's",
    unit: "µs",
    better: Better::Lower,
    figure: Figure::Cpu,
    also: &[],
    compared: Compared::Ratio,
    durability: CONFIRMED,
    must: 0.8,
    reach: 0.91,
    needs: &[Service::RabbitMq],
    ours: publish::to_the_broker,
    twin: Some(Twin {
        name: "lapin",
        run: publish::raw,
    }),
};

pub(super) const PUBLISH_ALIKE_CPU: Cell = Cell {
    name: "publish-alike-cpu",
    summary: "RabbitMQ: the processor's time of the client for each message published; 0.80 is 1.25 times that of lapin with the same headers",
    unit: "µs",
    better: Better::Lower,
    figure: Figure::Cpu,
    also: &[],
    compared: Compared::Ratio,
    durability: CONFIRMED,
    must: 0.8,
    reach: 0.91,
    needs: &[Service::RabbitMq],
    ours: publish::to_the_broker,
    twin: Some(Twin {
        name: "lapin, the same headers",
        run: publish::raw_alike,
    }),
};

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
