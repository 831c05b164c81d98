//! The steps of a pipeline together: no two in one place, and each in its own.

use quote::ToTokens;

use super::attribute::Role;
use super::model::{StepAttribute, StepTiming};
use crate::shell::Errors;

/// The steps, outermost first.
pub(crate) fn in_order(mut steps: Vec<StepAttribute>, errors: &Errors) -> Vec<StepAttribute> {
    // Stable, so that of two in one place the first written comes first.
    steps.sort_by_key(place);
    for (index, first) in steps.iter().enumerate() {
        let others = steps[index + 1..].iter().enumerate();
        for (between, second) in others.take_while(|(_, second)| place(first) == place(second)) {
            // Of several that are always there each meets the next one; the others may never meet.
            let always = first.condition.is_always() && second.condition.is_always();
            if between == 0 || !always {
                let both = first.condition.and(&second.condition);
                errors.under(&both, || errors.at(reach(first, second), same_place(first)));
            }
        }
    }
    backstops_are_outside(&steps, errors);
    steps
}

fn place(step: &StepAttribute) -> (StepTiming, u32) {
    (step.timing, step.number)
}

/// One error that reaches from the one to the other.
fn reach(first: &StepAttribute, second: &StepAttribute) -> impl ToTokens {
    let mut both = first.at.to_token_stream();
    both.extend(second.at.to_token_stream());
    both
}

fn same_place(step: &StepAttribute) -> String {
    let way = match step.timing {
        StepTiming::Before => "in",
        StepTiming::After => "out",
    };
    let number = step.number;
    format!("two steps have the number {number} on the way {way}; give one of them another")
}

/// What a backstop has stopped is no error any more to what is around it: a retry there would never retry.
fn backstops_are_outside(steps: &[StepAttribute], errors: &Errors) {
    let has = |role: Role| {
        move |step: &&StepAttribute| step.attribute.role == role && step.timing == StepTiming::Before
    };
    for backstop in steps.iter().filter(has(Role::Backstop)) {
        let outside = steps.iter().filter(has(Role::Policy));
        let mut seen = Vec::new();
        // The outermost that is there says it.
        for policy in outside.take_while(|policy| policy.number < backstop.number) {
            let first = policy.condition.and_none_of(seen.iter().copied());
            errors.under(&backstop.condition.and(&first), || {
                errors.at(&backstop.at, must_be_outside(backstop, policy));
            });
            seen.push(&policy.condition);
            if policy.condition.is_always() {
                break;
            }
        }
    }
}

fn must_be_outside(backstop: &StepAttribute, policy: &StepAttribute) -> String {
    let (name, around, number) = (backstop.attribute.name, policy.attribute.name, policy.number);
    let advice = match number {
        1 => "give it step 1, and the others higher ones".to_owned(),
        _ => format!("give it a step below {number}"),
    };
    format!("`{name}` must be outside of every policy, and `{around}` has step {number}; {advice}")
}
