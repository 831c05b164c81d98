//! From the start of a process to the first message that it has handled, and the memory that it has then.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use brighter::prelude::*;
use tokio::sync::Notify;

use super::pump::{Order, runtime};
use super::rabbit::{self, Place};
use crate::measure::{Sample, Stopwatch};

/// What the process that is measured is told that it is.
pub(crate) const STARTED: &str = "--started";

struct First(Arc<Notify>);

#[handler]
impl Handler<Order> for First {
    async fn handle(&self, _: &Order) -> Result<(), Infallible> {
        self.0.notify_one();
        Ok(())
    }
}

/// Makes a queue with one message in it, and starts a process that handles it.
pub(crate) fn to_first_message() -> Result<Sample> {
    runtime()?.block_on(async {
        let place = Place::make(1).await?;
        let watch = Stopwatch::start()?;
        let began = Instant::now();
        let mut started = Command::new(std::env::current_exe()?)
            .args([STARTED, &place.exchange, place.channel.name.as_str()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let output = started.stdout.take().context("no output was asked for")?;
        BufReader::new(output).read_line(&mut said)?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        ensure!(started.wait()?.success(), "the process that was started failed");
        let megabytes: f64 = said.trim().parse().context("it did not say its memory")?;
        let mut sample = watch.of(1, milliseconds)?;
        sample.second = Some(megabytes);
        place.remove(0).await?;
        Ok(sample)
    })
}

/// The process that is measured: prints its megabytes once it has handled its first message.
pub(crate) fn handle_first(exchange: &str, queue: &str) -> Result<()> {
    runtime()?.block_on(async {
        let first = Arc::new(Notify::new());
        let broker = rabbit::broker(exchange).await?;
        let dispatcher = rabbit::dispatcher(broker, queue, First(Arc::clone(&first)))?;
        dispatcher.receive();
        first.notified().await;
        println!("{}", resident()?);
        dispatcher.end().await;
        dispatcher.processor().close().await;
        Ok(())
    })
}

/// The memory of this process, in megabytes.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    Ok(kilobytes.context("the system does not say how much memory there is")? / 1024.0)
}
