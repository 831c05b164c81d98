//! Checks the form of an `impl Handler<…>`, and finds what it omits.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    FnArg, GenericArgument, Path, PathArguments, PathSegment, ReceiverKind, ReturnType, Signature, Type,
    TypeParamBound,
};

use super::attr::Steps;
use super::model::{Content, Form, HandlerImpl, HandlerMethod, Member, Takes};
use crate::condition::Condition;
use crate::nearest::nearest;
use crate::path::Private;
use crate::shell::Errors;
use crate::step::{self, StepAttribute};

/// The parts that `#[handler]` adds to each `handle`.
pub(super) struct Gap {
    /// The condition under which the parameter `cx` is missing.
    pub(super) context: Option<Condition>,
    /// The condition under which `type Error` is missing, and the type.
    pub(super) error: Option<(Condition, TokenStream)>,
}

/// Takes the steps of the method, and reports steps elsewhere as mistakes.
pub(super) fn steps(
    handler: &mut HandlerImpl,
    steps: Steps,
    private: &Private,
    errors: &Errors,
) -> Vec<StepAttribute> {
    let misplaced = |attributes: &mut Vec<syn::Attribute>, advice: &str| {
        for (condition, attribute) in step::extract(attributes, private) {
            let name = attribute.path().to_token_stream();
            let message = format!("`#[{name}]` is a step of the method `handle`; {advice}");
            errors.under(&condition, || errors.at(&attribute, message));
        }
    };
    misplaced(&mut handler.attributes, "move it down, above `async fn handle`");
    let mut taken = Vec::new();
    let forgotten = handler.handles().next().is_none();
    for member in &mut handler.members {
        if forgotten {
            // This method has another mistake to report.
            step::extract(&mut member.attributes, private);
        } else if !member.is_handle() {
            misplaced(&mut member.attributes, "move it there");
        } else if steps == Steps::OnStruct {
            misplaced(
                &mut member.attributes,
                "with `on_struct` the steps stand on the type; move it below its `#[handler(…)]`",
            );
        } else {
            let there = Condition::of(&member.attributes);
            taken.extend(step::take(&mut member.attributes, &there, private, errors));
        }
    }
    taken
}

/// Returns the `R` of `Handler<R>`.
pub(super) fn request(trait_: &Path, errors: &Errors) -> Option<Type> {
    let segment = trait_
        .segments
        .last()
        .filter(|segment| segment.ident == "Handler");
    if segment.is_none() {
        errors.at(
            trait_,
            "`#[handler]` stands above an impl of `Handler`, and this is another trait",
        );
    }
    match types(segment?).as_slice() {
        [request] => Some((*request).clone()),
        _ => {
            errors.at(trait_, "say which request is handled: `Handler<TaskReminder>`");
            None
        }
    }
}

/// Returns the missing parts of each `handle` that can be added; `None` for a method with another mistake.
pub(super) fn gaps(
    handler: &HandlerImpl,
    form: Form,
    takes: Takes,
    private: &Private,
    errors: &Errors,
) -> Vec<Option<Gap>> {
    if handler.handles().next().is_none() {
        let near = handler.members.iter().find_map(misspelt);
        let message = match takes {
            Takes::Request => {
                "a handler needs its method: `async fn handle(&self, request: &…) -> Result<(), …>`"
            }
            Takes::Batch => {
                "a batch handler needs its method: `async fn handle(&self, batch: Batch<'_, …>) -> Result<(), …>`"
            }
        };
        match near {
            Some(name) => errors.at(&name, format!("`{name}` is not `handle`; {message}")),
            None => errors.at(&handler.trait_, message),
        }
        return Vec::new();
    }
    let errors_there = handler.errors();
    let gap = |(attributes, method): (&Vec<syn::Attribute>, &HandlerMethod)| {
        let there = Condition::of(attributes);
        errors.under(&there, || {
            gap(
                &method.signature,
                form,
                takes,
                &there,
                &errors_there,
                private,
                errors,
            )
        })
    };
    handler.handles().map(gap).collect()
}

fn gap(
    signature: &Signature,
    form: Form,
    takes: Takes,
    there: &Condition,
    errors_there: &[Condition],
    private: &Private,
    errors: &Errors,
) -> Option<Gap> {
    if form == Form::Wrong {
        return None;
    }
    let context = context(signature, form, errors).filter(|_| takes_it(signature, takes, errors));
    let result = errors.keep(result(signature))?;
    let error = if errors_there.iter().any(Condition::is_always) {
        None
    } else {
        let error = errors.keep(error_of(result, private))?;
        Some((there.and_none_of(errors_there), error))
    };
    context.map(|context| Gap { context, error })
}

fn misspelt(member: &Member) -> Option<Ident> {
    match &member.content {
        Content::Method(method) => {
            let name = &method.signature.ident;
            nearest(&name.to_string(), &["handle"]).map(|_| name.clone())
        }
        _ => None,
    }
}

/// Returns the condition under which the context is missing: always or never. Returns `None` if the parameters are
/// wrong.
fn context(signature: &Signature, form: Form, errors: &Errors) -> Option<Option<Condition>> {
    let is_reference = |kind: &ReceiverKind| matches!(kind, ReceiverKind::Reference(_, _, None));
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) if is_reference(&receiver.kind) => {}
        Some(FnArg::Receiver(receiver)) => {
            errors.at(receiver, "a handler is shared by all its calls; write `&self`");
            return None;
        }
        _ => {
            errors.at(
                &signature.ident,
                "`handle` takes the handler first; write `handle(&self, request: &…)`",
            );
            return None;
        }
    }
    let after: Vec<_> = signature.inputs.iter().skip(1).collect();
    let Some((_, contexts)) = after.split_first() else {
        errors.at(
            &signature.ident,
            "`handle` takes the request; write `handle(&self, request: &…)`",
        );
        return None;
    };
    let contexts = match form {
        Form::Transactional => contexts.get(1..).unwrap_or_default(),
        Form::Plain | Form::Wrong => contexts,
    };
    let there: Vec<_> = contexts.iter().map(|context| there(context)).collect();
    match there.iter().filter(|there| there.is_always()).count() {
        0 => Some(Some(Condition::default().and_none_of(&there))),
        1 if there.len() == 1 => Some(None),
        _ => {
            let known = if form == Form::Transactional { 4 } else { 3 };
            let more: Punctuated<_, syn::Token![,]> = signature.inputs.iter().skip(known).collect();
            errors.at(
                more,
                "`handle` takes the request and its context and nothing more; keep the rest in a field of the handler",
            );
            None
        }
    }
}

/// Checks that the method takes a request or a batch, as far as its type can be seen; the compiler checks an alias.
fn takes_it(signature: &Signature, takes: Takes, errors: &Errors) -> bool {
    let Some(FnArg::Typed(parameter)) = signature.inputs.get(1) else {
        return true;
    };
    let message = match (takes, visible(&parameter.ty)) {
        (Takes::Batch, Type::Reference(_)) => {
            "with `batch(…)` a handler takes several requests; write `batch: Batch<'_, …>`"
        }
        (Takes::Request, Type::Path(path))
            if path.path.segments.last().is_some_and(|s| s.ident == "Batch") =>
        {
            "a handler that takes a batch says how large it is; write `#[handler(batch(max = 100, within = \"50ms\"))]`"
        }
        _ => return true,
    };
    errors.at(&parameter.ty, message);
    false
}

fn there(parameter: &FnArg) -> Condition {
    match parameter {
        FnArg::Typed(parameter) => Condition::of(&parameter.attrs),
        FnArg::Receiver(receiver) => Condition::of(&receiver.attrs),
    }
}

/// Returns the result type of the method: its return type, or the output of the future that is its return type.
pub(super) fn result(signature: &Signature) -> syn::Result<&Type> {
    match (&signature.output, signature.asyncness) {
        (ReturnType::Default, _) => Err(syn::Error::new_spanned(
            &signature.ident,
            "`handle` returns a result; write `-> Result<(), …>` with your error type",
        )),
        (ReturnType::Type(_, result), Some(_)) => Ok(result),
        (ReturnType::Type(_, future), None) => {
            let output = match visible(future) {
                Type::ImplTrait(future) => future.bounds.iter().find_map(output),
                _ => None,
            };
            let not_async =
                || syn::Error::new_spanned(signature.fn_token, "`handle` is async; write `async fn handle`");
            output.ok_or_else(not_async)
        }
    }
}

/// Returns the `T` of `Future<Output = T>`.
fn output(bound: &TypeParamBound) -> Option<&Type> {
    let TypeParamBound::Trait(bound) = bound else {
        return None;
    };
    match &bound.path.segments.last()?.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
                _ => None,
            })
        }
        _ => None,
    }
}

/// Returns the `E` of `Result<T, E>`. The compiler resolves an alias, under any name.
pub(super) fn error_of(result: &Type, private: &Private) -> syn::Result<TokenStream> {
    // An error about the type is reported where the type was written.
    let span = Span::mixed_site().located_at(result.span());
    let outcome = private.at(span, "Outcome");
    let asked = || Ok(quote_spanned!(span=> <#result as #outcome>::Error));
    let segment = match visible(result) {
        Type::Macro(_) => return asked(),
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let is_type = |segment: &&PathSegment| segment.ident.unraw().to_string().starts_with(char::is_uppercase);
    let Some(segment) = segment.filter(is_type) else {
        return Err(syn::Error::new_spanned(
            result,
            "`handle` returns a result; write `Result<(), …>` with your error type",
        ));
    };
    match types(segment).as_slice() {
        [_, error] if error.to_token_stream().to_string() == "Self :: Error" => Err(syn::Error::new_spanned(
            error,
            "`Self::Error` is what this impl leaves out; name the error type here, or write `type Error = …;`",
        )),
        [_, error] if segment.ident == "Result" => Ok(error.to_token_stream()),
        _ => asked(),
    }
}

/// Returns the type inside invisible groups or parentheses.
pub(super) fn visible(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            visible => return visible,
        };
    }
}

fn types(segment: &PathSegment) -> Vec<&Type> {
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => {
            let types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(argument) => Some(argument),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    }
}
