//! [`crash_test`]: has a scenario go wrong at every step, and checks that no harm is done.

mod check;
mod run;
mod scenario;

use self::check::{Clean, VARIABLE, told};
use self::run::{Passes, Run, RunOutcome, perform};
pub use self::scenario::{ProcessRun, Scenario};
use brighter_core::fault_point::{Action, Passed, Rule};

/// How many passings of one point have a fault each: what holds for the first few holds for those after them.
const MOST_PASSINGS: usize = 3;

/// The numbers of a [`crash_test`] run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashTestReport {
    /// How many fault points the scenario passes.
    pub points: usize,
    /// How many times it was run.
    pub runs: usize,
}

/// Makes a scenario fail at every step that it takes, and checks that nothing is lost and nothing is done twice.
///
/// It is run once with no fault, to see which [fault points](crate::testing::fault_points) it passes. Then it is run
/// again and again, from the beginning: at each passing of each point the process dies, or the step fails, or the
/// connection to the broker is cut. What died is started again, on the same broker and the same outbox, as a process
/// is that was killed. After each of these faults there is a second one, where the first has led to: a death while the
/// application recovers from a death.
///
/// After every run this must hold:
///
/// * **nothing is lost**: what was [promised](ProcessRun::promise) is among the [effects](Scenario::effects);
/// * **nothing is unexpected**: no effect is there that is not there without a fault, and no message was set aside;
/// * **nothing happens twice**, where it was said that it must [not](Scenario::exactly_once);
/// * **everything ends**: whatever is under way settles.
///
/// It calls the application's own handlers, thousands of times. With the clock paused, as it is unless
/// [said otherwise](Scenario::with_the_clock_running), pauses take no time.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use brighter::prelude::*;
/// use brighter::testing::crash_test;
///
/// #[derive(Debug, Serialize, Deserialize, Message)]
/// #[message(topic = "Reminder")]
/// struct Reminder { of: String }
///
/// #[derive(Clone, Default)]
/// struct Mailbox(Arc<Mutex<Vec<String>>>);
///
/// #[handler]
/// impl Handler<Reminder> for Mailbox {
///     async fn handle(&self, reminder: &Reminder) -> Result<(), BoxError> {
///         self.0.lock().unwrap().push(reminder.of.clone());
///         Ok(())
///     }
/// }
///
/// // In a #[test], which must not be a #[tokio::test]: every run has a runtime of its own.
/// let done = crash_test(|app| {
///     let mailbox = Mailbox::default(); // what outlives the process: a database, a mail server
///     let mailed = mailbox.clone();
///     app.app(move |app| {
///         let mailbox = mailbox.clone();
///         async move {
///             app.processor(|processor| processor.handler(mailbox))
///                 .dispatcher(|dispatcher| dispatcher.subscription(Subscription::<Reminder>::new("mail")))
///         }
///     })
///     .when(|life| async move {
///         if life.processor().post(Reminder { of: "the milk".into() }).await.is_ok() {
///             life.promise("the milk");
///         }
///     })
///     .effects(move || {
///         let mailed = mailed.0.lock().unwrap().clone();
///         async move { mailed }
///     })
/// });
/// assert!(done.points > 10 && done.runs > 100);
/// ```
///
/// # Panics
/// Something does not hold. The message says what, and how that one run is run alone:
/// `BRIGHTER_EXHAUST="settle.after=die"`.
pub fn crash_test(describe: impl Fn(Scenario) -> Scenario + Sync) -> CrashTestReport {
    let mut search = Search {
        describe: &describe,
        clean: Clean::default(),
        runs: 0,
    };
    let nothing = search.run(&Run::default());
    search.clean = Clean::of(&nothing);
    if let Ok(only) = std::env::var(VARIABLE) {
        let run = only.parse();
        search.run(&run.unwrap_or_else(|error| panic!("{VARIABLE}: {error}")));
    } else {
        search.every_fault(&nothing);
    }
    CrashTestReport {
        points: nothing.passed.first().map_or(0, |passed| passed.len()),
        runs: search.runs,
    }
}

struct Search<'a, D> {
    describe: &'a D,
    clean: Clean,
    runs: usize,
}

impl<D: Fn(Scenario) -> Scenario + Sync> Search<'_, D> {
    /// Each fault alone, before any two of them: the shortest way to harm is the one to tell.
    fn every_fault(&mut self, nothing: &RunOutcome) {
        let Some(passed) = nothing.passed.first() else {
            return;
        };
        let mut ways = Vec::new();
        for (point, passed) in passed {
            for passing in 1..=passed.times.min(MOST_PASSINGS) {
                for action in actions(*passed) {
                    let first = Rule::new(*point, passing, action);
                    let outcome = self.run(&Run::of([vec![first.clone()]]));
                    if nothing.in_pairs && passing == 1 {
                        ways.push((first, action, outcome.passed));
                    }
                }
            }
        }
        for (first, action, led_to) in ways {
            self.every_second_fault(&first, action, passed, &led_to);
        }
    }

    /// Pairs, pruned: the second fault is at a step that is taken because of the first. Two that have nothing to do
    /// with each other do no more than each of them alone.
    fn every_second_fault(&mut self, first: &Rule, action: Action, clean: &Passes, led_to: &[Passes]) {
        if action == Action::Die {
            // In the life that recovers.
            for point in led_to.get(1).into_iter().flat_map(Passes::keys) {
                let second = Rule::new(*point, 1, Action::Die);
                self.run(&Run::of([vec![first.clone()], vec![second]]));
            }
            return;
        }
        for (point, passed) in led_to.first().into_iter().flatten() {
            let more = clean.get(point).map_or(0, |passed| passed.times) + 1;
            if passed.times >= more {
                let second = Rule::new(*point, more, Action::Die);
                self.run(&Run::of([vec![first.clone(), second]]));
            }
        }
    }

    /// Runs the scenario with these faults, and checks what came of it.
    fn run(&mut self, run: &Run) -> RunOutcome {
        self.runs += 1;
        let outcome = perform(self.describe, run)
            .unwrap_or_else(|panic| panic!("{}", told(run, &format!("it panicked: {panic}"), "")));
        if let Some(wrong) = self.clean.wrong_with(&outcome) {
            panic!("{}", told(run, &wrong, &outcome.timeline));
        }
        outcome
    }
}

/// Returns the faults that are possible at such a point.
fn actions(passed: Passed) -> Vec<Action> {
    let mut actions = vec![Action::Die, Action::Cut];
    if passed.can_fail {
        actions.push(Action::Error);
    }
    actions
}
