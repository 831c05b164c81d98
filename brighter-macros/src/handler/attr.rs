//! The arguments of `#[handler]`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Type;

use crate::args::Args;
use crate::nearest::nearest;
use crate::shell::Errors;

/// Where the steps of an impl stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// On its method.
    Here,
    /// On the type, where another `#[handler(Request)]` makes the pipeline: `#[handler(on_struct)]`.
    OnStruct,
}

pub(super) fn of_impl(args: TokenStream, errors: &Errors) -> Steps {
    match args.to_string().as_str() {
        "" => Steps::Here,
        "on_struct" => Steps::OnStruct,
        other => {
            let message = match nearest(other, &["on_struct"]) {
                Some(word) => format!("unknown argument `{other}`; did you mean `{word}`?"),
                None => "the impl says which request it handles; write `#[handler]`".to_owned(),
            };
            errors.at(args, message);
            Steps::Here
        }
    }
}

pub(super) fn of_type(args: TokenStream, errors: &Errors) -> Option<Type> {
    let mut args = Args::parse(args);
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
    for (key, arg) in args
        .split()
        .0
        .into_iter()
        .map(|arg| (arg.key.to_token_stream(), arg))
    {
        errors.at(
            arg,
            format!("`#[handler]` has no `{key}`; a step is an attribute of its own, below it"),
        );
    }
    let parsed = syn::parse2(request.clone());
    if parsed.is_err() {
        errors.at(
            request,
            "expected the type of a request: `#[handler(TaskReminder)]`",
        );
    }
    parsed.ok()
}

pub(super) fn wrong_item() -> syn::Error {
    syn::Error::new(
        Span::call_site(),
        "`#[handler]` stands above an `impl Handler<…> for …`, or as `#[handler(Request)]` above a struct",
    )
}
