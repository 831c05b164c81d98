//! The steps of a pipeline together: no two in one place, and each in its own.

use quote::ToTokens;

use super::model::{Step, Timing};
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
    steps
}
