//! The scripts that keep what is started here, and the pipes by which they know that somebody still wants it.

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use tempfile::TempDir;

use crate::speed::patience;

const SCRIPT: &str = include_str!("keeper.sh");
/// Holds the pipe of a keeper, its standard output, for as long as there is a process of this id, and then removes a file.
const HOLD: &str = r#"while kill -0 "$0" 2>/dev/null; do sleep 0.5; done; rm -f "$1""#;
/// How long a server may take to start on a quiet machine.
const START: Duration = Duration::from_secs(60);
/// Longer than the keeper takes before it kills.
const END: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(50);
const LOG_TAIL: usize = 40;

/// A script that ends what it keeps when its standard input is closed. Dropping it waits for that.
pub(crate) struct Lifeline(Child);

impl Lifeline {
    pub(crate) fn start(script: &mut Command) -> Result<Self> {
        let child = own_group(script)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        child.context("could not run `sh`").map(Self)
    }

    /// Keeps it until the process with this id ends, instead of this process. Then the note of it is removed, too.
    pub(crate) fn outlive(mut self, process: u32, note: &Path) -> Result<()> {
        let stdin = self.0.stdin.take().context("a keeper has no input")?;
        let mut holder = Command::new("sh");
        holder.args(["-c", HOLD, &process.to_string()]).arg(note);
        holder.stdin(Stdio::null()).stdout(stdin).stderr(Stdio::null());
        own_group(&mut holder).spawn().context("could not run `sh`")?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + END;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // The shell's own `kill`: the program of that name is not on every machine.
                let kill = format!("kill -KILL -{}", self.0.id());
                let _ = Command::new("sh").args(["-c", &kill]).status();
                let _ = self.0.wait();
                return;
            }
            sleep(STEP);
        }
    }
}

/// Puts a command in a process group of its own, so that its end reaches all that it started, and a ctrl-c at the
/// terminal does not reach it.
fn own_group(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// Makes a folder for a private server.
pub(crate) fn folder(name: &str) -> Result<TempDir> {
    let prefix = format!("brighter-{}-", name.to_lowercase());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
    folder.context("could not make a folder")
}

/// What keeps a private server.
pub(crate) struct Keeper {
    // Dropped in this order: first the server ends, then its folder goes.
    lifeline: Lifeline,
    folder: TempDir,
    answers: BufReader<ChildStdout>,
    name: &'static str,
}

impl Keeper {
    /// Starts a server, and returns before it is up. In its environment stand `END`, the signal that stops it, and
    /// what else `keeper.sh` takes.
    pub(crate) fn start(name: &'static str, folder: TempDir, server: &Command) -> Result<Self> {
        let mut script = Command::new("sh");
        script
            .args(["-c", SCRIPT, "keeper"])
            .arg(server.get_program())
            .args(server.get_args());
        for (variable, value) in server.get_envs() {
            match value {
                Some(value) => script.env(variable, value),
                None => script.env_remove(variable),
            };
        }
        script
            .env("FOLDER", folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::piped());
        let mut lifeline = Lifeline::start(&mut script).with_context(|| format!("could not start {name}"))?;
        let answers = lifeline.0.stdout.take().context("a keeper has no output")?;
        let answers = BufReader::new(answers);
        let mut keeper = Self {
            lifeline,
            folder,
            answers,
            name,
        };
        keeper.answered("start")?;
        Ok(keeper)
    }

    /// Has the keeper `start`, `stop` or `kill` the server, and waits until it is done.
    pub(crate) fn tell(&mut self, word: &str) -> Result<()> {
        let stdin = self.lifeline.0.stdin.as_mut().context("a keeper has no input")?;
        writeln!(stdin, "{word}").with_context(|| format!("could not {word} {}", self.name))?;
        self.answered(word)
    }

    fn answered(&mut self, word: &str) -> Result<()> {
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .context("could not hear a keeper")?;
        if answer.trim() != word {
            bail!("could not {word} {}: its keeper has ended", self.name);
        }
        Ok(())
    }

    /// Returns whether there is a server, starting or up.
    pub(crate) fn is_running(&self) -> bool {
        self.folder().join("running").exists()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until the server answers, for as long as it runs.
    pub(crate) fn until_up(&self, ask: impl Fn() -> Result<Option<String>>) -> Result<()> {
        until_up(self.name, ask, || self.is_running()).map_err(|error| self.with_log(error))
    }

    /// Returns the error with the last lines of the server's log.
    pub(crate) fn with_log(&self, error: impl Display) -> Error {
        let log = fs::read(self.folder().join("console.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        anyhow!("{error:#}\nThe end of the log:\n  {}", tail.join("\n  "))
    }

    /// Returns what ends the server. The script also removes the folder.
    pub(crate) fn into_lifeline(self) -> Lifeline {
        let _ = self.folder.keep();
        self.lifeline
    }
}

/// Waits until a server answers, for as long as what runs it is there.
pub(crate) fn until_up(
    name: &str,
    ask: impl Fn() -> Result<Option<String>>,
    is_running: impl Fn() -> bool,
) -> Result<()> {
    let time = patience(START);
    let deadline = Instant::now() + time;
    while let Err(error) = ask() {
        if !is_running() {
            bail!("{name} ended while it was starting");
        }
        if Instant::now() > deadline {
            return Err(error.context(format!("{name} was not up within {} s", time.as_secs())));
        }
        sleep(STEP);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_until(what: impl Fn() -> bool) {
        let deadline = Instant::now() + END;
        while !what() {
            assert!(Instant::now() < deadline, "it does not come");
            sleep(STEP);
        }
    }

    fn sleeper() -> Keeper {
        let mut server = Command::new("sleep");
        server.arg("1000").env("END", "TERM");
        Keeper::start("sleep", folder("sleep").unwrap(), &server).unwrap()
    }

    #[test]
    fn a_server_is_killed_started_again_and_leaves_nothing() {
        let mut keeper = sleeper();
        assert!(keeper.is_running());
        keeper.tell("kill").unwrap();
        assert!(!keeper.is_running());
        keeper.tell("start").unwrap();
        assert!(keeper.is_running());
        let folder = keeper.folder().to_owned();
        drop(keeper);
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_that_outlives_its_script_is_killed() {
        // As RabbitMQ does: a script starts it, the pid is written without a newline, and removed when it is to end.
        const SERVER: &str = r#"
            sh -c 'printf %s "$$" >"$PID_FILE"; trap "rm -f \"$PID_FILE\"" TERM
                   while :; do sleep 0.1; touch "$FOLDER/work"; done' &
            trap 'kill -TERM "$(cat "$PID_FILE")"; wait' TERM
            wait
        "#;
        let folder = folder("stubborn").unwrap();
        let pid_file = folder.path().join("its.pid");
        let mut server = Command::new("sh");
        server.args(["-c", SERVER]).env("END", "TERM");
        server.env("FOLDER", folder.path()).env("PID_FILE", &pid_file);
        let keeper = Keeper::start("stubborn", folder, &server).unwrap();
        wait_until(|| keeper.folder().join("work").exists());
        let folder = keeper.folder().to_owned();
        drop(keeper.into_lifeline());
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_outlives_its_keeper_and_ends_with_the_run() {
        let mut run = Command::new("sleep").arg("1000").spawn().unwrap();
        let keeper = sleeper();
        let folder = keeper.folder().to_owned();
        let notes = tempfile::tempdir().unwrap();
        let note = notes.path().join("note");
        fs::write(&note, "").unwrap();
        keeper.into_lifeline().outlive(run.id(), &note).unwrap();
        assert!(folder.join("running").exists() && note.exists());
        run.kill().unwrap();
        run.wait().unwrap();
        wait_until(|| !folder.exists() && !note.exists());
    }
}
