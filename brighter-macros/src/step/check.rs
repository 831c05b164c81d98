//! Checks the steps of a pipeline together: unique numbers, and the right order.

use quote::ToTokens;

use super::attribute::Role;
use super::model::{Innermost, StepAttribute, StepTiming};
use crate::shell::Errors;

/// Returns the steps, outermost first.
pub(crate) fn in_order(mut steps: Vec<StepAttribute>, errors: &Errors) -> Vec<StepAttribute> {
    // The sort is stable, so steps with the same number stay in the order of the source.
    steps.sort_by_key(place);
    for (index, first) in steps.iter().enumerate() {
        let others = steps[index + 1..].iter().enumerate();
        for (between, second) in others.take_while(|(_, second)| place(first) == place(second)) {
            // Of several unconditional steps, each is compared with the next one only. Conditional steps are compared
            // with all others, because some may not exist.
            let always = first.condition.is_always() && second.condition.is_always();
            if between == 0 || !always {
                let both = first.condition.and(&second.condition);
                errors.under(&both, || errors.at(reach(first, second), same_place(first)));
            }
        }
    }
    backstops_are_outside(&steps, errors);
    one_transaction(&steps, errors);
    steps
}

/// Checks that the request has one transaction, and that the key is recorded in it alone.
fn one_transaction(steps: &[StepAttribute], errors: &Errors) {
    let mut transactions = steps.iter().filter(|step| step.is_transaction());
    let Some(first) = transactions.next() else { return };
    for second in transactions {
        let both = first.condition.and(&second.condition);
        let message = "a handler has one transaction, and this is its second; remove one";
        errors.under(&both, || errors.at(&second.at, message));
    }
    for inbox in steps.iter().filter(|step| step.attribute.name == "use_inbox") {
        let both = first.condition.and(&inbox.condition);
        let message = "`transactional` records the request in its transaction, so `use_inbox` has nothing to do; \
                       remove `use_inbox`, and give its `context` to `transactional`";
        errors.under(&both, || errors.at(&inbox.at, message));
    }
}

/// Checks the steps of a batch handler: what limits a call is inside of what is around each message.
pub(crate) fn for_innermost(
    steps: Vec<StepAttribute>,
    innermost: &Innermost,
    errors: &Errors,
) -> Vec<StepAttribute> {
    for limit in steps.iter().filter(|step| innermost.limits_calls(step)) {
        let inside = steps
            .iter()
            .filter(|step| step.timing == StepTiming::Before && step.number > limit.number);
        for step in inside {
            let (limiting, name) = (limit.attribute.name, step.attribute.name);
            let message = match innermost.limits_calls(step) {
                true => format!("a batch handler has one `{limiting}`; remove the other"),
                false => format!(
                    "with `batch(…)` a `{limiting}` limits one call for all messages, and `{name}` is around each of them; \
                     give `{limiting}` the highest step"
                ),
            };
            errors.under(&limit.condition.and(&step.condition), || {
                errors.at(&limit.at, message)
            });
        }
    }
    steps
}

fn place(step: &StepAttribute) -> (StepTiming, u32) {
    (step.timing, step.number)
}

/// Returns the tokens from one step to the other, for one error about both.
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

/// Checks that backstops are outside: the steps around a backstop see no error any more, so a retry there would never
/// retry.
fn backstops_are_outside(steps: &[StepAttribute], errors: &Errors) {
    let has = |roles: &'static [Role]| {
        move |step: &&StepAttribute| roles.contains(&step.attribute.role) && step.timing == StepTiming::Before
    };
    for backstop in steps.iter().filter(has(&[Role::Backstop])) {
        let outside = steps.iter().filter(has(&[Role::Policy, Role::CallLimit]));
        let mut seen = Vec::new();
        // The outermost step that exists reports it.
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
