//! The arguments of `#[handler]`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Type;

use super::batch::{self, BatchArgs};
use crate::args::{Arg, Args, Values};
use crate::library;
use crate::nearest::nearest;
use crate::path::Private;
use crate::shell::Errors;

/// The location of an impl's steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// The steps are on its method.
    Here,
    /// The steps are on the type, where another `#[handler(Request)]` makes the pipeline: `#[handler(on_struct)]`.
    OnStruct,
}

/// Reads the arguments between the parentheses, and the path of the library.
pub(super) fn read(args: TokenStream, errors: &Errors) -> (Args, Option<Private>) {
    let mut args = Args::parse(args, Values::Types);
    let private = library::take(&mut args, "#[handler(crate = …)]", errors);
    (args, private)
}

pub(super) fn of_impl(mut args: Args, errors: &Errors) -> (Steps, Option<BatchArgs>) {
    let on_struct = args.flag("on_struct");
    let batch = batch::take(&mut args, errors);
    let steps = match (on_struct, &batch) {
        (Some(flag), Some(_)) => {
            errors.at(
                flag,
                "a batch handler has its steps on its method; remove `on_struct`, and the `#[handler(…)]` of the struct",
            );
            Steps::Here
        }
        (Some(_), None) => Steps::OnStruct,
        (None, _) => Steps::Here,
    };
    let (keyed, given) = args.split();
    refuse(keyed, errors);
    if let [first, ..] = given.as_slice() {
        let word = first.value.clone().into_iter().next();
        let word = word.map(|word| word.to_string()).unwrap_or_default();
        let message = match nearest(&word, &["on_struct", "batch"]) {
            Some(known) => format!("unknown argument `{word}`; did you mean `{known}`?"),
            None => "the impl says which request it handles; write `#[handler]`".to_owned(),
        };
        let all: TokenStream = given.iter().map(ToTokens::to_token_stream).collect();
        errors.at(all, message);
    }
    (steps, batch)
}

pub(super) fn of_type(mut args: Args, errors: &Errors) -> Option<Type> {
    let why = "`batch(…)` stands above the impl: `#[handler(batch(…))] impl Handler<…> for …`, with the steps on its method";
    batch::refuse(&mut args, why, errors);
    let mut requests = args.positional().into_iter();
    let Some(request) = requests.next() else {
        errors.push(syn::Error::new(
            Span::call_site(),
            "say which request the type handles: `#[handler(TaskReminder)]`; with `impl Handler<…>` in sight, write \
             `#[handler]` above that instead",
        ));
        return None;
    };
    for more in requests {
        errors.at(
            more,
            "one request here; for several, write `#[handler]` above each `impl Handler<…>` instead",
        );
    }
    refuse(args.split().0, errors);
    let parsed = syn::parse2(request.clone());
    if parsed.is_err() {
        errors.at(
            request,
            "expected the type of a request: `#[handler(TaskReminder)]`",
        );
    }
    parsed.ok()
}

fn refuse(keyed: Vec<Arg>, errors: &Errors) {
    for arg in keyed {
        let key = arg.key.to_token_stream();
        errors.at(
            arg,
            format!("`#[handler]` has no `{key}`; a step is an attribute of its own, below it"),
        );
    }
}

pub(super) fn wrong_item() -> syn::Error {
    syn::Error::new(
        Span::call_site(),
        "`#[handler]` stands above an `impl Handler<…> for …`, or as `#[handler(Request)]` above a struct",
    )
}
