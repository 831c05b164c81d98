//! A program of the rig in a process of its own, to be listened to, told to end, and killed.

use std::process::{ExitStatus, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::wait::in_time;

/// By this variable the process is told what to do: a password has no place on a command line.
const ORDERS: &str = "BRIGHTER_FAULTS_ORDERS";
/// By this one brighter itself is told where it goes wrong.
const FAULT_POINTS: &str = "BRIGHTER_FAULT_POINTS";

/// What this process was told.
///
/// # Panics
/// Nothing, or nothing that makes sense.
#[must_use]
pub fn orders<T: DeserializeOwned>() -> T {
    let orders = std::env::var(ORDERS).expect("it was given orders");
    serde_json::from_str(&orders).expect("the orders make sense")
}

/// The process. Killed when dropped.
pub struct Process {
    child: Child,
    /// Its lines, which are read whether or not anybody asks: it would wait for that.
    said: UnboundedReceiver<String>,
}

impl Process {
    /// Starts the process from its program, with a plan for the fault points of brighter.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(program: &str, orders: &impl Serialize, plan: &str) -> Self {
        Self::run(Command::new(program), orders, plan)
    }

    /// Starts the process from its program, with so many kilobytes of address space.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_limited(program: &str, orders: &impl Serialize, kilobytes: u32) -> Self {
        let mut shell = Command::new("sh");
        let line = format!("ulimit -v {kilobytes} && exec \"$0\"");
        shell.args(["-c", line.as_str(), program]);
        Self::run(shell, orders, "")
    }

    fn run(mut command: Command, orders: &impl Serialize, plan: &str) -> Self {
        let orders = serde_json::to_string(orders).expect("orders can be written");
        let mut child = command
            .env(ORDERS, orders)
            .env(FAULT_POINTS, plan)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the process starts");
        let output = child.stdout.take().expect("it has an output");
        let (sender, said) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // Nobody may listen any more, but it must be able to speak.
                let _ = sender.send(line);
            }
        });
        Self { child, said }
    }

    /// Waits until it has said, so many times, something that begins so.
    ///
    /// # Panics
    /// It ends before, or does not say so.
    pub async fn says(&mut self, what: &str, times: usize) {
        let mut left = times;
        in_time(what, async {
            while left > 0 {
                let line = self.said.recv().await.expect("the process has not ended");
                left -= usize::from(line.starts_with(what));
            }
        })
        .await;
    }

    /// Waits until it says something that begins so, and gives what follows.
    ///
    /// # Panics
    /// It ends before, or does not say so.
    pub async fn next(&mut self, what: &str) -> String {
        in_time(what, async {
            loop {
                let line = self.said.recv().await.expect("the process has not ended");
                if let Some(rest) = line.strip_prefix(what) {
                    return rest.to_owned();
                }
            }
        })
        .await
    }

    /// How many bytes of memory it has had at most, by the books of Linux; none on any other system.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn most_memory(&self) -> usize {
        let id = self.child.id().expect("it has not ended");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = most.and_then(|most| most.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
        kilobytes.unwrap_or(0) * 1024
    }

    /// How it has ended, if it has.
    ///
    /// # Panics
    /// It cannot be looked at.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be looked at")
    }

    /// Kills it, as `kill -9` does, and returns when it is gone.
    ///
    /// # Panics
    /// It cannot be killed.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Sends it SIGTERM.
    ///
    /// # Panics
    /// It has ended.
    pub async fn terminate(&self) {
        let id = self.child.id().expect("it has not ended");
        // The shell's own `kill`: the program of that name is not on every machine.
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status();
        assert!(sent.await.is_ok_and(|status| status.success()));
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        in_time("the process to end", self.child.wait())
            .await
            .expect("it can be waited for")
    }

    /// Ends it politely, and gives what it has said and nobody has heard.
    ///
    /// # Panics
    /// It does not end, or not well.
    pub async fn end(mut self) -> Vec<String> {
        self.terminate().await;
        let status = self.ended().await;
        assert!(status.success(), "{status}");
        let mut said = Vec::new();
        while let Some(line) = in_time("its last word", self.said.recv()).await {
            said.push(line);
        }
        said
    }
}
