//! One [`Run`] of a scenario: lives, one after the other, each with its faults.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;

use super::scenario::{ProcessRun, Promised, Scenario};
use crate::testing::TestApp;
use crate::testing::app::World;
use brighter_core::__private::panic_text;
use brighter_core::fault_point::{NoRule, Passed, Plan, Rule};

/// For how long a connection stays cut.
const CUT_FOR: Duration = Duration::from_millis(100);
/// How long the threads of a life that ended may go on: a dead process has none.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// The faults in each life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    lives: Vec<Vec<Rule>>,
}

impl Run {
    pub(super) fn of(lives: impl IntoIterator<Item = Vec<Rule>>) -> Self {
        Self {
            lives: lives.into_iter().collect(),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.lives.iter().all(Vec::is_empty)
    }
}

/// `a=error,b=die | c=die`: two faults in the first life, one in the second.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, rules) in self.lives.iter().enumerate() {
            if number > 0 {
                f.write_str(" | ")?;
            }
            for (number, rule) in rules.iter().enumerate() {
                if number > 0 {
                    f.write_str(",")?;
                }
                rule.fmt(f)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Run {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let life = |life: &str| {
            let rules = life.split(',').map(str::trim).filter(|rule| !rule.is_empty());
            rules.map(str::parse).collect::<Result<Vec<Rule>, NoRule>>()
        };
        text.split('|')
            .map(life)
            .collect::<Result<_, _>>()
            .map(|lives| Self { lives })
    }
}

/// The fault points that a life has passed.
pub(super) type Passes = BTreeMap<&'static str, Passed>;

/// The outcome of a run.
#[derive(Debug)]
pub(super) struct RunOutcome {
    /// The fault points that each life passed.
    pub(super) passed: Vec<Passes>,
    pub(super) promised: Vec<String>,
    pub(super) effects: Vec<String>,
    pub(super) set_aside: usize,
    pub(super) timeline: String,
    pub(super) exactly_once: bool,
    pub(super) in_pairs: bool,
}

/// Performs a run on a thread of its own, because the caller may be in a runtime. Returns its panic, if it panicked.
pub(super) fn perform(
    describe: &(impl Fn(Scenario) -> Scenario + Sync),
    run: &Run,
) -> Result<RunOutcome, String> {
    thread::scope(|scope| {
        let performing = scope.spawn(|| lives(describe(Scenario::new()), run));
        performing.join().map_err(|panic| panic_text(&*panic))
    })
}

/// For how long an application lives on when everything has settled.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// How a life ended.
enum RunEnd {
    Died,
    Done(Vec<String>),
}

fn lives(scenario: Scenario, run: &Run) -> RunOutcome {
    let (world, promised) = (World::new(), Promised::default());
    let Scenario {
        app,
        when,
        effects,
        exactly_once,
        in_pairs,
        paused,
    } = scenario;
    let mut when = Some(when);
    let mut passed = Vec::new();
    let effects = loop {
        let rules = run.lives.get(passed.len()).cloned().unwrap_or_default();
        let runtime = builder(paused).build().expect("a runtime for a life");
        let plan = Plan::new(rules);
        let end = runtime.block_on(async {
            let installed = plan.install();
            let broker = world.broker.clone();
            plan.on_cut(move || {
                broker.lose_connection();
                let broker = broker.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(CUT_FOR).await;
                    broker.restore_connection();
                });
            });
            let living = async {
                let building = app(TestApp::builder().in_world(&world)).await;
                let life = ProcessRun::new(Arc::new(building.start().await), &promised);
                if let Some(when) = when.take() {
                    when(life.clone()).await;
                }
                life.app.settled().await;
                if paused {
                    // What a handler has left to a task of its own is not seen by who waits for messages.
                    tokio::time::sleep(AFTERWARDS).await;
                    life.app.settled().await;
                }
                life
            };
            let living = tokio::select! {
                biased;
                () = plan.died() => None,
                life = living => Some(life),
            };
            let Some(life) = living else {
                // What the dying does on its way, such as giving back what it has in hand, reaches nobody.
                world.broker.lose_connection();
                return RunEnd::Died;
            };
            // A life that ends in good order has no faults any more: it closes the broker, and no other could follow.
            drop(installed);
            life.app.close().await;
            RunEnd::Done(effects().await)
        });
        runtime.shutdown_timeout(LAST_BREATH);
        passed.push(plan.passed());
        match end {
            RunEnd::Done(effects) => break effects,
            RunEnd::Died => world.broker.restore_connection(),
        }
    };
    let promised = promised.lock().unwrap_or_else(PoisonError::into_inner);
    RunOutcome {
        passed,
        promised: promised.iter().cloned().collect(),
        effects,
        set_aside: world.journal.set_aside(),
        timeline: world.timeline(),
        exactly_once,
        in_pairs,
    }
}

fn builder(paused: bool) -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(paused);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_as_it_is_written() {
        for text in ["settle.after=die", "a=error,b#2=die", "a=die | b=die"] {
            assert_eq!(text.parse::<Run>().unwrap().to_string(), text);
        }
        assert!("".parse::<Run>().unwrap().is_clean());
    }
}
