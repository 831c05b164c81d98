//! `#[handler(batch(max = 100, within = "50ms"))]`

use std::time::Duration;

use proc_macro2::{TokenStream, TokenTree};
use syn::{LitInt, LitStr};

use crate::args::{Args, Given, Values};
use crate::duration;
use crate::shell::Errors;

const EXAMPLE: &str = "batch(max = 100, within = \"50ms\")";

/// The limits of a batch.
pub(super) struct BatchArgs {
    pub(super) max: u16,
    pub(super) within: Duration,
}

impl BatchArgs {
    /// In place of arguments with a mistake, so that no other error follows from it.
    const REPORTED: Self = Self {
        max: 1,
        within: Duration::from_millis(1),
    };
}

/// Takes `batch(…)` from the arguments of `#[handler]`.
pub(super) fn take(args: &mut Args, errors: &Errors) -> Option<BatchArgs> {
    let mut taken = args.called("batch").into_iter();
    let first = taken.next()?;
    for again in taken {
        errors.at(again, "`batch` is given twice; remove one");
    }
    Some(read(&first, errors).unwrap_or(BatchArgs::REPORTED))
}

/// Reports `batch(…)` where it cannot stand.
pub(super) fn refuse(args: &mut Args, why: &str, errors: &Errors) {
    for batch in args.called("batch") {
        errors.at(batch, why);
    }
}

fn read(written: &TokenStream, errors: &Errors) -> Option<BatchArgs> {
    let mut args = match written.clone().into_iter().nth(1) {
        Some(TokenTree::Group(group)) => Args::parse(group.stream(), Values::Expressions),
        _ => {
            errors.at(written, format!("say how large a batch is; write `{EXAMPLE}`"));
            return None;
        }
    };
    let max = args.value::<LitInt>("max", "100", errors);
    let within = args.value::<LitStr>("within", "\"50ms\"", errors);
    let misread = args.misread();
    args.finish(&["max", "within"], errors);
    let missing = |key: &str| {
        if !misread {
            errors.at(written, format!("`batch` needs `{key}`; write `{EXAMPLE}`"));
        }
    };
    let max = match max {
        Given::Value(max, _) => match max.base10_parse::<u16>() {
            Ok(max) if max > 0 => Some(max),
            _ => {
                errors.at(&max, "a batch has between 1 and 65535 messages");
                None
            }
        },
        Given::Missing => {
            missing("max");
            None
        }
        Given::Wrong => None,
    };
    let within = match within {
        Given::Value(text, _) => errors.keep(duration::parse(&text)),
        Given::Missing => {
            missing("within");
            None
        }
        Given::Wrong => None,
    };
    Some(BatchArgs {
        max: max?,
        within: within?,
    })
}
