//! `cargo xtask faults`: the catalogue of faults at its full sizes, and the soak.

use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::{Call, shell};

const PACKAGE: &str = "brighter-faults";
/// The test that goes on for as long as it is told.
const SOAK: &str = "e06";
/// What the tests of a run report, one line each.
const FIGURES: &str = "target/faults-figures.jsonl";

/// Injects the faults that are named, or all of them.
pub(crate) fn run(call: &Call) -> Result {
    let asked = Asked::parse(&call.args)?;
    let mut test = shell::locked("test");
    // One at a time, so that figures of one are not those of another.
    test.args(["--package", PACKAGE, "--test", "catalogue", "--"])
        .args(asked.filters())
        .args(["--nocapture", "--test-threads=1", "--skip", "rig::"])
        .env("BRIGHTER_FAULTS", "full");
    if let Some(seed) = asked.seed {
        test.env("BRIGHTER_SEED", seed.to_string());
    }
    if let Some(soak) = asked.soak {
        test.env("BRIGHTER_SOAK", soak.as_secs().to_string());
    }
    if !asked.page {
        return shell::run(&mut test, &call.stop);
    }
    let figures = std::env::current_dir()
        .doing("find the repository")?
        .join(FIGURES);
    let _ = std::fs::remove_file(&figures);
    shell::run(test.env("BRIGHTER_FAULTS_FIGURES", &figures), &call.stop)?;
    let mut page = shell::locked("test");
    page.args([
        "--package",
        PACKAGE,
        "--test",
        "catalogue",
        "--",
        "the_page_has_the_figures",
    ])
    .env("BRIGHTER_FAULTS_PAGE", &figures);
    shell::run(&mut page, &call.stop)
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    ids: Vec<String>,
    seed: Option<u64>,
    soak: Option<Duration>,
    /// Whether the figures go to `docs/faults.json` and `docs/faults.md`.
    page: bool,
}

impl Asked {
    fn parse(args: &[String]) -> Result<Self> {
        let mut asked = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || {
                args.next()
                    .ok_or_else(|| Error::Usage(format!("`{arg}` needs a value after it")))
            };
            match arg.as_str() {
                "--seed" => {
                    let seed = value()?;
                    let number = seed
                        .parse()
                        .map_err(|_| Error::Usage(format!("`--seed` takes a number, not `{seed}`")))?;
                    asked.seed = Some(number);
                }
                "--soak" => {
                    let time = value()?;
                    asked.soak = Some(duration(time).ok_or_else(|| {
                        Error::Usage(format!(
                            "`--soak` takes a time such as `30s` or `10m`, not `{time}`"
                        ))
                    })?);
                }
                "--page" => asked.page = true,
                id => asked.ids.push(fault(id)?),
            }
        }
        Ok(asked)
    }

    /// By which the tests are chosen. The soak alone, when only that is asked for.
    fn filters(&self) -> Vec<String> {
        let soak = self.soak.map(|_| SOAK.to_owned());
        self.ids
            .iter()
            .cloned()
            .chain(soak)
            .map(|id| format!("::{id}_"))
            .collect()
    }
}

/// The id of a fault as the names of tests have it.
fn fault(text: &str) -> Result<String> {
    let id = text.to_lowercase();
    let mut letters = id.chars();
    let good = letters.next().is_some_and(|group| ('a'..='e').contains(&group))
        && id.len() == 3
        && letters.all(|digit| digit.is_ascii_digit());
    if good {
        return Ok(id);
    }
    Err(Error::Usage(format!(
        "`{text}` is no fault: they are called A01 to E07"
    )))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(unit)?)).filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Asked> {
        Asked::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn faults_are_named_as_in_the_catalogue() {
        let asked = parsed("A01 b12 --seed 7").unwrap();
        assert_eq!(asked.filters(), ["::a01_", "::b12_"]);
        assert_eq!((asked.seed, asked.page), (Some(7), false));
        assert!(parsed("--page a01").unwrap().page);
        assert!(parsed("").unwrap().filters().is_empty());
        for wrong in ["A1", "F01", "a01x", "--sead", "--seed", "--seed x", "--soak 0s"] {
            assert!(matches!(parsed(wrong), Err(Error::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn a_soak_has_a_length() {
        for (text, seconds) in [("10m", 600), ("30s", 30), ("45", 45)] {
            let asked = parsed(&format!("--soak {text}")).unwrap();
            assert_eq!(asked.soak, Some(Duration::from_secs(seconds)));
            assert_eq!(asked.filters(), ["::e06_"]);
        }
    }
}
