//! `cargo xtask brokers`: the tests on other versions of RabbitMQ, and the faults of a cluster.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use brighter_test_servers::{ROOT, Suite, System, root};
use clap::ValueEnum;

use crate::shell;
use crate::stop::{Stop, Stopped};

/// By this variable the tests are told that they may start a cluster.
const CLUSTER: &str = "BRIGHTER_TEST_CLUSTER";
/// Servers of the environment would be used in place of those of a root.
const OTHERS: &[&str] = &[
    "BRIGHTER_TEST_RABBITMQ_URL",
    "BRIGHTER_TEST_RABBITMQ_CTL",
    "BRIGHTER_TEST_POSTGRES_URL",
    "BRIGHTER_TEST_MYSQL_URL",
];
/// The faults that are done to a cluster.
const OF_A_CLUSTER: &str = "::g0";

/// What the tests are run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Brokers {
    /// The servers of this machine, which are RabbitMQ 3.10 on Debian 12.
    #[value(name = "3.10")]
    Machine,
    /// RabbitMQ 4.0, PostgreSQL 17 and MariaDB 11, from Debian trixie.
    #[value(name = "4.0")]
    Trixie,
    /// RabbitMQ 4.3 or newer, from Debian forky.
    #[value(name = "4.3")]
    Forky,
    /// Three nodes of RabbitMQ 4.0, then of 4.3: the faults G01 to G09.
    Cluster,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to test on; all that can be had if there are none.
    #[arg(value_name = "BROKERS")]
    on: Vec<Brokers>,
}

/// One run of the tests.
struct Plan {
    name: &'static str,
    suite: Option<Suite>,
    cluster: bool,
}

const MACHINE: Plan = Plan {
    name: "3.10",
    suite: None,
    cluster: false,
};
const TRIXIE: Plan = Plan {
    name: "4.0",
    suite: Some(Suite::Trixie),
    cluster: false,
};
const FORKY: Plan = Plan {
    name: "4.3",
    suite: Some(Suite::Forky),
    cluster: false,
};
const TRIXIE_CLUSTER: Plan = Plan {
    name: "cluster of 4.0",
    cluster: true,
    ..TRIXIE
};
const FORKY_CLUSTER: Plan = Plan {
    name: "cluster of 4.3",
    cluster: true,
    ..FORKY
};

impl Brokers {
    fn plans(self) -> &'static [Plan] {
        match self {
            Self::Machine => &[MACHINE],
            Self::Trixie => &[TRIXIE],
            Self::Forky => &[FORKY],
            Self::Cluster => &[TRIXIE_CLUSTER, FORKY_CLUSTER],
        }
    }
}

/// Runs the tests on each, and says at the end what came of it.
pub(crate) fn run(args: &Args, stop: &Stop) -> Result<()> {
    let on: &[Brokers] = match args.on.as_slice() {
        [] => Brokers::value_variants(),
        named => named,
    };
    let (mut said, mut wrong) = (String::new(), false);
    for plan in on.iter().flat_map(|brokers| brokers.plans()) {
        let system = match plan.suite.map(root).transpose() {
            Ok(system) => system,
            Err(error) => {
                let _ = writeln!(said, "  {}: not run: {error:#}", plan.name);
                // One who asks for it wants to know.
                wrong |= !args.on.is_empty();
                continue;
            }
        };
        let outcome = match run_one(plan, system.as_ref(), stop) {
            Err(stopped) if stopped.is::<Stopped>() => return Err(stopped),
            outcome => outcome?,
        };
        wrong |= !outcome.is_good();
        let _ = write!(said, "  {}: {}", plan.name, outcome.text());
    }
    eprint!("brokers:\n{said}");
    if wrong {
        bail!("not all tests passed on every broker that was asked for");
    }
    Ok(())
}

fn run_one(plan: &Plan, system: Option<&System>, stop: &Stop) -> Result<Outcome> {
    // Itself, in an environment of its own: that is where the tests and what starts servers look.
    let xtask = std::env::current_exe().context("could not find this program")?;
    let mut test = Command::new(xtask);
    test.args(words(plan));
    if let Some(root) = system.and_then(System::root).map(PathBuf::from) {
        test.env(ROOT, root);
        for variable in OTHERS {
            test.env_remove(variable);
        }
    }
    if plan.cluster {
        test.env(CLUSTER, "1").env("BRIGHTER_FAULTS", "full");
    }
    let (succeeded, lines) = shell::run_noting(&mut test, stop)?;
    Ok(Outcome::of(succeeded, &lines))
}

/// The words for `cargo xtask`.
fn words(plan: &Plan) -> Vec<&'static str> {
    let mut words = vec!["test", "--", "--no-fail-fast", "-p", "brighter-faults"];
    words.extend(["--test", "catalogue"]);
    if plan.cluster {
        // One at a time, for there is one cluster; and what each came to is of interest.
        words.extend(["--", OF_A_CLUSTER, "--nocapture", "--test-threads=1"]);
    } else {
        words.extend(["-p", "brighter-tests", "--test", "integration"]);
    }
    words
}

/// What came of one run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    succeeded: bool,
    passed: usize,
    failed: Vec<String>,
    /// What tests said of their faults: figures, or why they were not run.
    faults: Vec<String>,
}

impl Outcome {
    fn of(succeeded: bool, lines: &[String]) -> Self {
        let mut outcome = Self {
            succeeded,
            ..Self::default()
        };
        let mut failures = false;
        for line in lines {
            if let Some(result) = line.strip_prefix("test result: ") {
                outcome.passed += passed(result).unwrap_or_default();
                failures = false;
            } else if line == "failures:" {
                failures = true;
            } else if let Some(name) = line.strip_prefix("    ").filter(|_| failures) {
                // Headed so are both what the tests wrote, whose lines may begin like anything, and their names.
                if name.contains("::")
                    && !name.contains(' ')
                    && !outcome.failed.iter().any(|known| known == name)
                {
                    outcome.failed.push(name.to_owned());
                }
            } else if let Some(at) = line.find("fault G") {
                // Behind the name of the test, where its output is not kept.
                outcome.faults.push(line[at..].to_owned());
            }
        }
        outcome
    }

    fn is_good(&self) -> bool {
        self.succeeded && self.failed.is_empty()
    }

    fn text(&self) -> String {
        let mut text = format!("{} passed, {} failed", self.passed, self.failed.len());
        if !self.succeeded && self.failed.is_empty() {
            text += "; the run itself failed, see above";
        }
        text.push('\n');
        for failed in &self.failed {
            let _ = writeln!(text, "    failed: {failed}");
        }
        for fault in &self.faults {
            let _ = writeln!(text, "    {fault}");
        }
        text
    }
}

/// The number in `ok. 12 passed; 0 failed; …`.
fn passed(result: &str) -> Option<usize> {
    let (before, _) = result.split_once(" passed")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_names_failures_and_reasons_for_skipped_faults() {
        let lines = "running 3 tests\n\
             test rabbitmq::one ... ok\n\
             test g_cluster::g01_it ... fault G01: not run, for it needs a cluster\n\
             ok\n\
             failures:\n\
             \x20   ---- rabbitmq::two stdout ----\n\
             \x20   a line of it\n\
             failures:\n\
             \x20   rabbitmq::two\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored\n\
             test result: ok. 40 passed; 0 failed; 0 ignored\n";
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let outcome = Outcome::of(false, &lines);
        assert_eq!(outcome.passed, 42);
        assert_eq!(outcome.failed, ["rabbitmq::two"]);
        assert_eq!(outcome.faults, ["fault G01: not run, for it needs a cluster"]);
        assert!(!outcome.is_good());
        assert!(Outcome::of(true, &lines[..2]).is_good());
        assert!(Outcome::of(false, &[]).text().contains("the run itself failed"));
    }

    #[test]
    fn a_cluster_runs_its_faults_alone_and_others_run_all() {
        assert_eq!(
            words(&TRIXIE_CLUSTER)
                .iter()
                .filter(|word| **word == OF_A_CLUSTER)
                .count(),
            1
        );
        let words = words(&TRIXIE).join(" ");
        assert!(
            words.contains("--test catalogue") && words.contains("--test integration"),
            "{words}"
        );
    }
}
