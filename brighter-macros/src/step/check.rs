//! The steps of a pipeline together: no two in one place, and each in its own.

use quote::ToTokens;

use super::model::{Role, Step, Timing};
use crate::shell::Errors;

/// The steps, outermost first.
pub(crate) fn in_order(mut steps: Vec<Step>, errors: &Errors) -> Vec<Step> {
    let place = |step: &Step| (step.timing, step.number);
    // Stable, so that of two in one place the first written comes first.
    steps.sort_by_key(place);
    for pair in steps.windows(2) {
        let [first, second] = pair else { continue };
        if place(first) == place(second) {
            // One error that reaches from the one to the other.
            let mut both = first.at.to_token_stream();
            both.extend(second.at.to_token_stream());
            let way = match first.timing {
                Timing::Before => "in",
                Timing::After => "out",
            };
            errors.at(
                both,
                format!(
                    "two steps have the number {} on the way {way}; give one of them another",
                    first.number
                ),
            );
        }
    }
    backstops_are_outside(&steps, errors);
    steps
}

/// What a backstop has stopped is no error any more to what is around it: a retry there would never retry.
fn backstops_are_outside(steps: &[Step], errors: &Errors) {
    let has = |role: Role| move |step: &&Step| step.attribute.role == role && step.timing == Timing::Before;
    let Some(policy) = steps.iter().find(has(Role::Policy)) else {
        return;
    };
    let (around, number) = (policy.attribute.name, policy.number);
    for backstop in steps
        .iter()
        .filter(has(Role::Backstop))
        .filter(|step| step.number > number)
    {
        let name = backstop.attribute.name;
        let advice = match number {
            1 => "give it step 1, and the others higher ones".to_owned(),
            _ => format!("give it a step below {number}"),
        };
        errors.at(
            &backstop.at,
            format!("`{name}` must be outside of every policy, and `{around}` has step {number}; {advice}"),
        );
    }
}
