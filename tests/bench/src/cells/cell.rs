//! What a cell of the table is.

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
    /// Which figure of a sample is the value.
    #[serde(skip)]
    pub(crate) figure: Figure,
    /// What else the same samples are looked at for.
    #[serde(skip)]
    pub(crate) also: &'static [Cell],
    /// How it is compared with its twin.
    pub(crate) compared: Compared,
    /// What it has to be: as it is compared where there is a twin, else a value.
    pub(crate) must: f64,
    pub(crate) reach: f64,
    /// The servers that have to be up.
    pub(crate) needs: &'static [Service],
    #[serde(skip)]
    pub(crate) ours: fn() -> Result<Sample>,
    pub(crate) twin: Option<Twin>,
}

/// A figure of a sample.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    Value,
    /// The microseconds that this process spent on each.
    Cpu,
    /// Whatever else the sample holds.
    Second,
}

/// How a value is compared with its twin's.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compared {
    /// How many times as good it is: above 1 is better than the twin.
    Ratio,
    /// How much there is on top of the twin's.
    Added,
}

/// The same work without brighter.
#[derive(Serialize)]
pub(crate) struct Twin {
    pub(crate) name: &'static str,
    #[serde(skip)]
    pub(crate) run: fn() -> Result<Sample>,
}

/// A server of `cargo xtask services`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    RabbitMq,
    Postgres,
    MySql,
}

impl Service {
    /// As xtask calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }
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
