//! What must hold after every run.

use std::collections::{BTreeMap, BTreeSet};

use super::run::{Run, RunOutcome};

/// By this variable one run alone is asked for, as a failure writes it.
pub(super) const VARIABLE: &str = "BRIGHTER_EXHAUST";

/// The result of a run without a fault.
#[derive(Debug, Default)]
pub(super) struct Clean {
    /// None before there was one.
    effects: Option<BTreeSet<String>>,
    set_aside: usize,
}

impl Clean {
    pub(super) fn of(outcome: &RunOutcome) -> Self {
        Self {
            effects: Some(outcome.effects.iter().cloned().collect()),
            set_aside: outcome.set_aside,
        }
    }

    /// Returns the promise that does not hold.
    pub(super) fn wrong_with(&self, outcome: &RunOutcome) -> Option<String> {
        let mut times = BTreeMap::<&str, usize>::new();
        for effect in &outcome.effects {
            *times.entry(effect).or_default() += 1;
        }
        let lost = |promise: &&String| !times.contains_key(promise.as_str());
        if let Some(lost) = outcome.promised.iter().find(lost) {
            return Some(format!("`{lost}` was promised, and is lost"));
        }
        if outcome.exactly_once
            && let Some((effect, times)) = times.iter().find(|(_, times)| **times > 1)
        {
            return Some(format!("`{effect}` is there {times} times"));
        }
        let Some(expected) = &self.effects else {
            return None;
        };
        if let Some(effect) = times.keys().find(|effect| !expected.contains(**effect)) {
            return Some(format!("`{effect}` is there, and is not without a fault"));
        }
        (outcome.set_aside > self.set_aside).then(|| {
            format!(
                "{} messages were set aside, and without a fault {} are",
                outcome.set_aside, self.set_aside
            )
        })
    }
}

/// Returns the report about a run that did harm.
pub(super) fn told(run: &Run, wrong: &str, timeline: &str) -> String {
    let (with, alone) = if run.is_clean() {
        ("Without any fault".to_owned(), String::new())
    } else {
        let alone = format!("\n\nTo run it alone: {VARIABLE}=\"{run}\"");
        (format!("With `{run}`"), alone)
    };
    let happened = match timeline {
        "" => String::new(),
        timeline => format!("\n\nWhat happened:\n{timeline}"),
    };
    format!("{with}: {wrong}{alone}{happened}")
}
