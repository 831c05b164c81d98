//! The host, in a process of its own that gets real signals.
#![cfg(unix)]

mod ending;
mod systemd;

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Far beyond what any machine needs, and beyond every time to drain in these tests.
const DEADLINE: Duration = Duration::from_secs(60);

/// The child of `tests/host/child.rs`, killed when it is dropped.
struct Process {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_host-child"))
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// The next line that it says; `None` once it says no more.
    async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await;
        line.expect("it says something in time").unwrap()
    }

    /// Waits until it has said a line that begins so, that often.
    async fn says(&mut self, begin: &str, times: usize) {
        for _ in 0..times {
            loop {
                let line = self.line().await;
                let line = line.unwrap_or_else(|| panic!("it ended and never said `{begin}`"));
                if line.starts_with(begin) {
                    break;
                }
            }
        }
    }

    /// Allows it to finish so many errands.
    async fn allow(&mut self, errands: usize) {
        self.input
            .write_all(format!("{errands}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it is still there").to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    /// The code that it ends with, and what it said until then.
    async fn ends(mut self) -> (i32, Vec<String>) {
        let mut said = Vec::new();
        while let Some(line) = self.line().await {
            said.push(line);
        }
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        let status = status.expect("it ends").unwrap();
        (status.code().expect("it ends by itself"), said)
    }
}
