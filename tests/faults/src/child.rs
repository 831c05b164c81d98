//! A consumer in a process of its own, to be killed, and to be told to end.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::ledger::Ledger;
use crate::place::Place;
use crate::wait::in_time;

/// By this variable the process is told what to do: a password has no place on a command line.
const ORDERS: &str = "BRIGHTER_FAULTS_ORDERS";
/// By this one brighter itself is told where it goes wrong.
pub(crate) const FAULT_POINTS: &str = "BRIGHTER_FAULT_POINTS";

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
        }
    }

    /// What this process was told.
    ///
    /// # Panics
    /// Nothing, or nothing that makes sense.
    #[must_use]
    pub fn read() -> Self {
        let orders = std::env::var(ORDERS).expect("it was given orders");
        serde_json::from_str(&orders).expect("the orders make sense")
    }
}

/// The process. Killed when dropped.
pub struct Child {
    process: tokio::process::Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts the process from its program.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(program: &Path, orders: &Orders) -> Self {
        Self::start_with(program, orders, "")
    }

    /// The same, with a plan for the fault points of brighter.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_with(program: &Path, orders: &Orders, plan: &str) -> Self {
        let orders = serde_json::to_string(orders).expect("orders can be written");
        let mut process = Command::new(program)
            .env(ORDERS, orders)
            .env(FAULT_POINTS, plan)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the consumer starts");
        let output = process.stdout.take().expect("it has an output");
        Self {
            process,
            said: BufReader::new(output).lines(),
        }
    }

    /// How many bytes of memory it has had at most, by the books of Linux; none on any other system.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn most_memory(&self) -> usize {
        let id = self.process.id().expect("it has not ended");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = most.and_then(|most| most.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
        kilobytes.unwrap_or(0) * 1024
    }

    /// Waits until it has said, so many times, something that begins so.
    ///
    /// # Panics
    /// It ends before, or does not say so.
    pub async fn says(&mut self, what: &str, times: usize) {
        let mut left = times;
        in_time("a word of the consumer", async {
            while left > 0 {
                let line = self.said.next_line().await.expect("its output can be read");
                let line = line.expect("the consumer has not ended");
                left -= usize::from(line.starts_with(what));
            }
        })
        .await;
    }

    /// Kills it, as `kill -9` does, and returns when it is gone.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("it can be killed");
    }

    /// Sends it SIGTERM.
    pub async fn terminate(&self) {
        let id = self.process.id().expect("it has not ended");
        // The shell's own `kill`: the program of that name is not on every machine.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status();
        assert!(sent.await.is_ok_and(|status| status.success()));
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        in_time("the consumer to end", self.process.wait())
            .await
            .expect("it can be waited for")
    }
}
