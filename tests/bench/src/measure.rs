//! Taking one sample.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// What one run of one side of a cell gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// In the unit of the cell.
    pub(crate) value: f64,
    /// How many times the work was done; counted, not assumed.
    pub(crate) operations: u64,
    /// What this process spent on each, in user and kernel, in microseconds.
    pub(crate) cpu_micros: f64,
    /// How often each allocates, where that was counted.
    pub(crate) allocations: Option<f64>,
    /// Another figure of the same run, where there is one: see [`Figure::Second`](crate::cells::Figure::Second).
    #[serde(default)]
    pub(crate) second: Option<f64>,
}

/// Does the work, and tells how often it allocates.
pub type Counter = fn(&mut dyn FnMut()) -> u64;

/// How often a cell allocates each time: asks the program that counts, which stands beside this one.
pub(crate) fn allocations(cell: &str) -> Result<f64> {
    let name = format!("brighter-bench-allocations{}", std::env::consts::EXE_SUFFIX);
    let program = std::env::current_exe()?.with_file_name(name);
    let output = Command::new(&program)
        .arg(cell)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "the allocations of {cell} could not be counted"
    );
    let said = String::from_utf8(output.stdout)?;
    said.trim()
        .parse()
        .with_context(|| format!("it counted `{said}`"))
}

/// Time by the wall and by the processor, since it was started.
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            cpu: cpu()?,
            wall: Instant::now(),
        })
    }

    /// A sample whose value is how often the work was done in a second.
    pub(crate) fn per_second(&self, operations: u64) -> Result<Sample> {
        self.sample(operations, operations as f64 / self.wall.elapsed().as_secs_f64())
    }

    /// A sample whose value is how many nanoseconds the work took once.
    pub(crate) fn nanoseconds(&self, operations: u64) -> Result<Sample> {
        self.sample(
            operations,
            self.wall.elapsed().as_secs_f64() * 1e9 / operations as f64,
        )
    }

    /// A sample whose value is how many milliseconds the processor was busy in each second.
    pub(crate) fn busy(&self) -> Result<Sample> {
        let spent = cpu()?.saturating_sub(self.cpu);
        let value = spent.as_secs_f64() * 1e3 / self.wall.elapsed().as_secs_f64();
        self.sample(1, value)
    }

    /// A sample of a value that was measured otherwise.
    pub(crate) fn of(&self, operations: u64, value: f64) -> Result<Sample> {
        self.sample(operations, value)
    }

    fn sample(&self, operations: u64, value: f64) -> Result<Sample> {
        let spent = cpu()?.saturating_sub(self.cpu);
        Ok(Sample {
            value,
            operations,
            cpu_micros: spent.as_secs_f64() * 1e6 / operations as f64,
            allocations: None,
            second: None,
        })
    }
}

/// What this process has spent, in user and kernel.
fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum::<i64>();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}
