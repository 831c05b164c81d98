//! The parameter `tx` of `handle`, which `#[transactional]` passes.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    AngleBracketedGenericArguments, FnArg, GenericArgument, Lifetime, Pat, PatType, PathArguments, Signature,
    Type, TypeReference, parse_quote,
};

use super::attr::Steps;
use super::check::visible;
use super::model::{Form, HandlerImpl};
use crate::condition::Condition;
use crate::path::Private;
use crate::shell::Errors;
use crate::step::StepAttribute;

/// Returns the form of the impl, and reports a transaction without its step, and a step without its transaction.
pub(super) fn form(handler: &HandlerImpl, pipeline: Steps, steps: &[StepAttribute], errors: &Errors) -> Form {
    let handles: Vec<_> = handler
        .handles()
        .map(|(attributes, method)| {
            let there = Condition::of(attributes);
            let found = errors.under(&there, || parameter(&method.signature, errors));
            (there, method, found)
        })
        .collect();
    if handles.iter().any(|(_, _, found)| found.is_err()) {
        return Form::Wrong;
    }
    let mut form = Form::Plain;
    for (there, method, found) in &handles {
        let step = steps
            .iter()
            .filter(|step| step.is_transaction())
            .find(|step| is_same(&step.condition, there));
        match (found, step) {
            (Ok(Some(_)), None) if pipeline == Steps::OnStruct => form = Form::Transactional,
            (Ok(Some(_)), Some(_)) => form = Form::Transactional,
            (Ok(Some(tx)), None) => {
                let message =
                    "nothing begins this transaction; write `#[transactional(step = …)]` above `handle`";
                errors.under(there, || errors.at(tx, message));
                return Form::Wrong;
            }
            (_, Some(step)) => {
                let message = "`transactional` passes a transaction to `handle`, which does not take it; write \
                               `handle(&self, request: &…, tx: &mut PgTransaction<'_>)`, with the type of your \
                               database, or remove the step";
                errors.under(there, || errors.at(&step.at, message));
                return Form::Plain;
            }
            (_, None) => {}
        }
        let others = handles
            .iter()
            .any(|(_, _, other)| matches!((found, other), (Ok(None), Ok(Some(_)))));
        if others {
            let message = "another `handle` of this impl takes a transaction, and this one does not; each must, or none";
            errors.under(there, || errors.at(&method.signature.ident, message));
            return Form::Wrong;
        }
    }
    form
}

/// Reports each transaction of a batch handler, and returns whether there is one: a transaction is of one request.
pub(super) fn is_refused(steps: &[StepAttribute], errors: &Errors) -> bool {
    let mut transactions = steps.iter().filter(|step| step.is_transaction()).peekable();
    let any = transactions.peek().is_some();
    for step in transactions {
        let message = "`transactional` begins a transaction for one request, and `batch(…)` handles many in one call; \
                       remove one of them";
        errors.under(&step.condition, || errors.at(&step.at, message));
    }
    any
}

/// Whether both are the same predicates.
fn is_same(first: &Condition, second: &Condition) -> bool {
    first.to_token_stream().to_string() == second.to_token_stream().to_string()
}

/// Returns the transaction among the parameters, if there is one. An error has been reported.
fn parameter<'a>(signature: &'a Signature, errors: &Errors) -> Result<Option<&'a PatType>, ()> {
    let parameters = signature.inputs.iter().enumerate().skip(2);
    let mut found = None;
    for (index, parameter) in parameters {
        let FnArg::Typed(parameter) = parameter else {
            continue;
        };
        if reference(parameter).is_some() {
            if found.is_some() {
                errors.at(
                    parameter,
                    "a handler has one transaction, and this is its second; remove one",
                );
                return Err(());
            }
            if index != 2 {
                errors.at(
                    parameter,
                    "the transaction stands before the context; write `handle(&self, request: &…, tx: &mut …, cx: &Context)`",
                );
                return Err(());
            }
            found = Some(parameter);
        } else if looks_like_one(parameter) {
            errors.at(
                parameter,
                "a handler borrows its transaction to write in it; write `tx: &mut …`",
            );
            return Err(());
        }
    }
    Ok(found)
}

/// Returns the parameter of this method that is its transaction.
pub(super) fn of(signature: &Signature) -> Option<&PatType> {
    match signature.inputs.iter().nth(2) {
        Some(FnArg::Typed(parameter)) if reference(parameter).is_some() => Some(parameter),
        _ => None,
    }
}

/// Returns the type of the parameter, if it is `&mut …`.
fn reference(parameter: &PatType) -> Option<&TypeReference> {
    match visible(&parameter.ty) {
        Type::Reference(reference) if reference.mutability.is_some() => Some(reference),
        _ => None,
    }
}

fn looks_like_one(parameter: &PatType) -> bool {
    let is_named = matches!(&*parameter.pat, Pat::Ident(name) if name.ident == "tx");
    let mut ty = visible(&parameter.ty);
    while let Type::Reference(reference) = ty {
        ty = visible(&reference.elem);
    }
    let is_typed = match ty {
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident.to_string().ends_with("Transaction"))
        }
        _ => false,
    };
    is_named || is_typed
}

/// Returns the type of the transaction, as the trait names it: for as long as it lives.
pub(super) fn type_of(parameter: &PatType) -> Option<TokenStream> {
    let mut ty = (*reference(parameter)?.elem).clone();
    if let Type::Path(path) = &mut ty
        && let Some(last) = path.path.segments.last_mut()
        && is_of_sqlx(&last.ident)
    {
        add_lifetime(&mut last.arguments);
    }
    Some(everlasting(ty.into_token_stream()))
}

/// Whether a type of this name has a lifetime, which may be left out among parameters.
fn is_of_sqlx(name: &Ident) -> bool {
    [
        "Transaction",
        "PgTransaction",
        "SqliteTransaction",
        "MySqlTransaction",
    ]
    .iter()
    .any(|known| name == known)
}

fn add_lifetime(arguments: &mut PathArguments) {
    let always: Lifetime = parse_quote!('static);
    match arguments {
        PathArguments::None => {
            let with: AngleBracketedGenericArguments = parse_quote!(<#always>);
            *arguments = PathArguments::AngleBracketed(with);
        }
        PathArguments::AngleBracketed(given) => {
            let has_one = given
                .args
                .iter()
                .any(|argument| matches!(argument, GenericArgument::Lifetime(_)));
            if !has_one {
                given.args.insert(0, GenericArgument::Lifetime(always));
            }
        }
        PathArguments::Parenthesized(_) => {}
    }
}

/// Returns the tokens of a type with `'static` for each of its lifetimes.
fn everlasting(tokens: TokenStream) -> TokenStream {
    let mut is_lifetime = false;
    let each = tokens.into_iter().map(|token| {
        let was_quote = std::mem::replace(
            &mut is_lifetime,
            matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\''),
        );
        match token {
            TokenTree::Ident(name) if was_quote => TokenTree::Ident(Ident::new("static", name.span())),
            TokenTree::Group(group) => {
                let mut inner = proc_macro2::Group::new(group.delimiter(), everlasting(group.stream()));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        }
    });
    each.collect()
}

/// Returns the path of the trait that the user wrote, in use: the impl is one of another trait, and an import of it must
/// not seem unused.
pub(super) fn use_of(handler: &HandlerImpl) -> TokenStream {
    let mut path = handler.trait_.clone();
    if let Some(last) = path.segments.last_mut() {
        last.arguments = PathArguments::None;
    }
    quote!(const _: () = { #[allow(unused_imports)] use #path as _; };)
}

/// Makes a method without `#[handler]` one of `Handler`, as far as the compiler looks.
pub(super) fn remove(signature: &mut Signature, body: TokenStream, private: &Private) -> TokenStream {
    let Some(PatType { pat, ty, .. }) = of(signature).cloned() else {
        return body;
    };
    signature.inputs = signature
        .inputs
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != 2)
        .map(|(_, parameter)| parameter.clone())
        .collect();
    quote!({
        #[allow(unused, clippy::all)]
        let #pat: #ty = #private::unimplemented!();
        #[allow(unreachable_code)]
        #body
    })
}
