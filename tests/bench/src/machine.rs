//! What a result was measured on: without it a figure means nothing.

use std::process::Command;

use serde::Serialize;

/// What a result was measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    system: String,
    rustc: String,
    /// Of this repository, with `+` if something was changed since.
    commit: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let commit = said("git", &["rev-parse", "--short", "HEAD"]);
        let changed = !said("git", &["status", "--porcelain"]).is_empty();
        Self {
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: said("uname", &["-sr"]),
            rustc: said("rustc", &["--version"]),
            commit: commit + if changed { "+" } else { "" },
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Self {
            processor,
            cores,
            system,
            rustc,
            commit,
        } = self;
        format!("{processor}, {cores} cores, {system}, {rustc}, commit {commit}")
    }
}

fn processor() -> String {
    let read = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    read.lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// What a program wrote; empty if it could not be run.
fn said(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
