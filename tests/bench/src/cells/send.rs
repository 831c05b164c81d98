//! In process: a command through three steps.

use std::convert::Infallible;

use anyhow::{Context, Result};
use brighter::CommandProcessor;
use brighter::prelude::*;
use futures_util::FutureExt;

use super::pump::alone;
use crate::measure::{self, Counter, Sample, Stopwatch};

const CALLS: u64 = 2_000_000;
/// Enough for the breaker's window and the caches to be what they stay.
const WARM: u64 = 50_000;
const COUNTED: u64 = 1_000;

#[derive(Debug, Command)]
struct Nothing;

struct Does;

#[handler]
impl Handler<Nothing> for Does {
    #[request_logging(step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, _: &Nothing) -> Result<(), Infallible> {
        Ok(())
    }
}

fn processor() -> Result<CommandProcessor> {
    let processor = CommandProcessor::builder().handler(Does).build()?;
    send(&processor, WARM)?;
    Ok(processor)
}

fn send(processor: &CommandProcessor, times: u64) -> Result<()> {
    for _ in 0..times {
        let sent = processor.send(Nothing).now_or_never();
        sent.context("a handler that waits for nothing is done at once")??;
    }
    Ok(())
}

pub(crate) fn through_three_steps() -> Result<Sample> {
    let runtime = alone()?;
    let _entered = runtime.enter();
    let processor = processor()?;
    let watch = Stopwatch::start()?;
    send(&processor, CALLS)?;
    let mut sample = watch.nanoseconds(CALLS)?;
    sample.allocations = Some(measure::allocations("send")?);
    Ok(sample)
}

pub(super) fn allocations(count: Counter) -> Result<f64> {
    let runtime = alone()?;
    let _entered = runtime.enter();
    let processor = processor()?;
    let mut sent = Ok(());
    let allocations = count(&mut || sent = send(&processor, COUNTED));
    sent?;
    Ok(allocations as f64 / COUNTED as f64)
}
