//! The script that keeps the broker, and the pipes by which it is told what to do and knows that we are alive.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Doing, Install, Result, failed};

const SCRIPT: &str = include_str!("keeper.sh");
/// Longer than the keeper takes before it kills.
const END: Duration = Duration::from_secs(15);

pub(crate) struct Keeper {
    child: Child,
    answers: BufReader<ChildStdout>,
    running: PathBuf,
}

impl Keeper {
    /// Starts the keeper, and no server yet.
    pub(crate) fn start(
        install: &Install,
        folder: &Path,
        environment: &[(&'static str, OsString)],
    ) -> Result<Self> {
        let mut command = Command::new("sh");
        without_others_settings(&mut command);
        command
            .args(["-c", SCRIPT, "keeper"])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs([
                ("SERVER", install.server.as_path()),
                ("EPMD", install.epmd.as_path()),
                ("FOLDER", folder),
            ])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // A group of its own, so that its end reaches all that it started, and a ctrl-c at the terminal does not.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().doing("start a private RabbitMQ")?;
        let Some(answers) = child.stdout.take().map(BufReader::new) else {
            return Err(failed("the keeper of a private RabbitMQ has no output"));
        };
        Ok(Self {
            child,
            answers,
            running: folder.join("running"),
        })
    }

    /// Has the keeper do something, and waits until it is done.
    pub(crate) fn tell(&mut self, word: &str) -> Result {
        let what = format!("{word} a private RabbitMQ");
        let Some(stdin) = &mut self.child.stdin else {
            return Err(failed("the keeper of a private RabbitMQ has no input"));
        };
        writeln!(stdin, "{word}").doing(&what)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).doing(&what)?;
        if answer.trim() == word {
            Ok(())
        } else {
            Err(failed(format_args!("could not {what}: its keeper has ended")))
        }
    }

    /// Whether there is a server, starting or up.
    pub(crate) fn is_running(&self) -> bool {
        self.running.exists()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // The shell's own `kill`: the program of that name is not on every machine.
                let kill = format!("kill -KILL -{}", self.child.id());
                let _ = Command::new("sh").args(["-c", &kill]).status();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whoever has settings for another broker does not mean this one.
pub(crate) fn without_others_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("RABBITMQ_") || name.starts_with("ERL_"))
        {
            command.env_remove(name);
        }
    }
}

/// The last lines of the log.
pub(crate) fn log_tail(folder: &Path, lines: usize) -> String {
    let log = fs::read(folder.join("console.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let all: Vec<_> = log.lines().collect();
    let tail = &all[all.len().saturating_sub(lines)..];
    format!("The end of its log:\n  {}", tail.join("\n  "))
}
