//! [`Terminal`]: a shell that is typed to, and whose output is read.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a shell prints behind a line that failed.
const FAILED: &str = "::failed ";
/// How a program ends that was killed: by itself, and by way of cargo.
const KILLED: [&str; 2] = ["137", "101"];
/// What it prints behind a block.
const DONE: &str = "::done ";

#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A terminal of the reader. Ends with all that it started when it is dropped.
pub(crate) struct Terminal {
    name: &'static str,
    shell: Child,
    /// Ends all that runs in the terminal when its own input ends: also if this process is killed.
    ender: Child,
    keyboard: ChildStdin,
    output: Arc<Output>,
    /// How many lines of the output the page has spoken of.
    seen: usize,
    blocks: usize,
    /// Whether the page has a process killed: what was started then ends with an error.
    pub(crate) killed: bool,
}

impl Terminal {
    /// Opens a terminal: a shell as this command starts it.
    pub(crate) fn open(name: &'static str, command: &mut Command) -> Self {
        // A group of its own, so that all in it can be ended together.
        let command = command.process_group(0).stdin(Stdio::piped());
        let mut shell = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::<Output>::default();
        follow(shell.stdout.take().unwrap(), output.clone());
        follow(shell.stderr.take().unwrap(), output.clone());
        let keyboard = shell.stdin.take().unwrap();
        let end = format!("cat >/dev/null; kill -KILL -{}", shell.id());
        let ender = Command::new("sh")
            .args(["-c", &end])
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            name,
            shell,
            ender,
            keyboard,
            output,
            seen: 0,
            blocks: 0,
            killed: false,
        }
    }

    /// Types the lines of a block. Those that a command reads no more are run after it.
    pub(crate) fn type_in(&mut self, code: &str) {
        self.blocks += 1;
        for line in code.lines() {
            eprintln!("{}$ {line}", self.name);
            writeln!(self.keyboard, "{line} || echo \"{FAILED}$?\"").unwrap();
        }
        writeln!(self.keyboard, "echo {DONE}{}", self.blocks).unwrap();
    }

    /// Waits until the output has these lines, in this order, behind those that were expected before. `…` stands for
    /// anything. Says what is missing.
    pub(crate) fn expect(&mut self, lines: &str, deadline: Duration) -> Result<(), String> {
        for expected in lines.lines() {
            self.until(deadline, |line| matches(expected, line))?;
        }
        Ok(())
    }

    /// Waits until the last block is done.
    pub(crate) fn finish(&mut self, deadline: Duration) -> Result<(), String> {
        let done = format!("{DONE}{}", self.blocks);
        self.until(deadline, |line| line == done)
    }

    fn until(&mut self, deadline: Duration, is_it: impl Fn(&str) -> bool) -> Result<(), String> {
        let end = Instant::now() + deadline;
        let mut lines = self.output.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let new = lines.get(self.seen..).unwrap_or_default();
            if let Some(position) = new.iter().position(|line| is_it(line)) {
                self.seen += position + 1;
                return Ok(());
            }
            let failed = |line: &&String| {
                line.strip_prefix(FAILED)
                    .is_some_and(|code| !(self.killed && KILLED.contains(&code)))
            };
            if let Some(line) = new.iter().find(failed) {
                return Err(format!(
                    "a command in the {} {}",
                    self.name,
                    line.trim_start_matches(':')
                ));
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return Err(format!(
                    "the {} shows, in {deadline:?}, only\n{}",
                    self.name,
                    new.join("\n")
                ));
            };
            let waited = self.output.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its input ends with this.
        let _ = self.ender.wait();
        let _ = self.shell.wait();
    }
}

fn follow(stream: impl Read + Send + 'static, output: Arc<Output>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            eprintln!("  {line}");
            output
                .lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
            output.more.notify_all();
        }
    });
}

/// Whether a line is as expected, where `…` stands for anything.
fn matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(position) = rest.find(part) else {
            return false;
        };
        rest = &rest[position + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(matches("worker … waits", "worker 4711 waits"));
    assert!(matches("a … b …", "a x b y"));
    assert!(!matches("posted: one", "posted: one two"));
    assert!(!matches("worker … waits", "worker 4711 sleeps"));
}
