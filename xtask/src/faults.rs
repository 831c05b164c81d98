//! `cargo xtask faults`: the catalogue of faults at its full sizes, and the soak.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::stop::Stop;
use crate::{shell, workspace};

/// The test that goes on for as long as it is told.
const SOAK: &str = "e06";

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// The faults to inject, A01 to G15; all if there are none.
    #[arg(value_name = "ID", value_parser = fault)]
    ids: Vec<String>,
    /// The number that all choices of the tests are made of.
    #[arg(long)]
    seed: Option<u64>,
    /// How long the soak goes on, such as 30s or 10m; without ids it is run alone.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    soak: Option<Duration>,
    /// Writes the figures to docs/lab/faults.json and docs/lab/faults.md.
    #[arg(long)]
    page: bool,
}

/// Injects the faults that are named, or all of them.
pub(crate) fn run(args: &Args, stop: &Stop) -> Result<()> {
    let mut test = catalogue();
    // One at a time, so that figures of one are not those of another.
    test.args(filters(args))
        .args(["--nocapture", "--test-threads=1", "--skip", "rig::"])
        .env("BRIGHTER_FAULTS", "full");
    test.envs(args.seed.map(|seed| ("BRIGHTER_SEED", seed.to_string())));
    test.envs(
        args.soak
            .map(|soak| ("BRIGHTER_SOAK", soak.as_secs().to_string())),
    );
    if !args.page {
        return shell::run(&mut test, stop);
    }
    // What the tests of a run report, one line each.
    let figures = format!("{}/target/faults-figures.jsonl", workspace::ROOT);
    let _ = std::fs::remove_file(&figures);
    shell::run(test.env("BRIGHTER_FAULTS_FIGURES", &figures), stop)?;
    let mut page = catalogue();
    shell::run(
        page.arg("the_page_has_the_figures")
            .env("BRIGHTER_FAULTS_PAGE", &figures),
        stop,
    )
}

fn catalogue() -> Command {
    shell::locked(&[
        "test",
        "--package",
        "brighter-faults",
        "--test",
        "catalogue",
        "--",
    ])
}

/// By which the tests are chosen.
fn filters(args: &Args) -> Vec<String> {
    let soak = args.soak.map(|_| SOAK);
    let ids = args.ids.iter().map(String::as_str).chain(soak);
    ids.map(|id| format!("::{id}_")).collect()
}

/// The id of a fault as the names of tests have it.
fn fault(text: &str) -> Result<String, String> {
    let id = text.to_lowercase();
    match id.as_bytes() {
        [b'a'..=b'g', b'0'..=b'9', b'0'..=b'9'] => Ok(id),
        _ => Err("faults are called A01 to G15".to_owned()),
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| *seconds > 0);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "give a time such as `30s` or `10m`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_as_in_the_catalogue() {
        assert_eq!(fault("A01").unwrap(), "a01");
        assert_eq!(fault("G15").unwrap(), "g15");
        for wrong in ["A1", "H01", "a01x", ""] {
            assert!(fault(wrong).is_err(), "{wrong}");
        }
        let ids = vec!["a01".to_owned(), "b12".to_owned()];
        assert_eq!(
            filters(&Args {
                ids,
                ..Args::default()
            }),
            ["::a01_", "::b12_"]
        );
        assert!(filters(&Args::default()).is_empty());
    }

    #[test]
    fn a_soak_has_a_length_and_runs_alone() {
        for (text, seconds) in [("10m", 600), ("30s", 30), ("45", 45)] {
            let soak = Some(duration(text).unwrap());
            assert_eq!(soak, Some(Duration::from_secs(seconds)));
            assert_eq!(
                filters(&Args {
                    soak,
                    ..Args::default()
                }),
                ["::e06_"]
            );
        }
        assert!(duration("0s").is_err());
    }
}
