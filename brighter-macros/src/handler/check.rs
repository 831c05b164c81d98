//! What an `impl Handler<…>` must look like, and what it left out.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{
    FnArg, GenericArgument, Path, PathArguments, PathSegment, ReceiverKind, ReturnType, Signature, Type,
    TypeParamBound,
};

use super::attr::Steps;
use super::model::HandlerImpl;
use crate::nearest::nearest;
use crate::path::PRIVATE;
use crate::shell::Errors;
use crate::step::{self, Step};

/// What `#[handler]` fills in.
pub(super) struct Gaps {
    /// The parameter `cx` is missing.
    pub(super) context: bool,
    /// `type Error` is missing, and this is it.
    pub(super) error: Option<TokenStream>,
}

/// Takes the steps of the method. Steps elsewhere are mistakes.
pub(super) fn steps(handler: &mut HandlerImpl, steps: Steps, errors: &Errors) -> Vec<Step> {
    let misplaced = |attributes: &mut Vec<syn::Attribute>, advice: &str| {
        for attribute in attributes.extract_if(.., |attribute| step::is_step(attribute)) {
            let name = attribute.path().to_token_stream();
            errors.at(
                &attribute,
                format!("`#[{name}]` is a step of the method `handle`; {advice}"),
            );
        }
    };
    misplaced(&mut handler.attributes, "move it down, above `async fn handle`");
    let mut taken = Vec::new();
    let forgotten = handler.handle().is_none();
    for member in &mut handler.members {
        if forgotten {
            // Of that there is something else to say.
            member.attributes.retain(|attribute| !step::is_step(attribute));
        } else if !member.is_handle() {
            misplaced(&mut member.attributes, "move it there");
        } else if steps == Steps::OnStruct {
            misplaced(
                &mut member.attributes,
                "with `on_struct` the steps stand on the type; move it below its `#[handler(…)]`",
            );
        } else {
            taken.extend(step::take(&mut member.attributes, errors));
        }
    }
    taken
}

/// The `R` of `Handler<R>`.
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

/// What is missing of the method and can be filled in; or nothing, if something is wrong that cannot.
pub(super) fn gaps(handler: &HandlerImpl, errors: &Errors) -> Option<Gaps> {
    let Some(method) = handler.handle() else {
        let near = handler.members.iter().find_map(misspelt);
        let message = "a handler needs its method: `async fn handle(&self, request: &…) -> Result<(), …>`";
        match near {
            Some(name) => errors.at(&name, format!("`{name}` is not `handle`; {message}")),
            None => errors.at(&handler.trait_, message),
        }
        return None;
    };
    let signature = &method.signature;
    let parameters = parameters(signature, errors);
    let result = errors.keep(result(signature))?;
    let error = if handler.has_error() {
        None
    } else {
        Some(errors.keep(error_of(result))?)
    };
    parameters.map(|parameters| Gaps {
        context: parameters == 1,
        error,
    })
}

fn misspelt(member: &super::model::Member) -> Option<Ident> {
    match &member.content {
        super::model::Content::Method(method) => {
            let name = &method.signature.ident;
            nearest(&name.to_string(), &["handle"]).map(|_| name.clone())
        }
        _ => None,
    }
}

/// How many parameters there are after `&self`, if that many may be.
fn parameters(signature: &Signature, errors: &Errors) -> Option<usize> {
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
    match signature.inputs.len() - 1 {
        count @ (1 | 2) => Some(count),
        0 => {
            errors.at(
                &signature.ident,
                "`handle` takes the request; write `handle(&self, request: &…)`",
            );
            None
        }
        _ => {
            let more: Punctuated<_, syn::Token![,]> = signature.inputs.iter().skip(3).collect();
            errors.at(
                more,
                "`handle` takes the request and its context and nothing more; keep the rest in a field of the handler",
            );
            None
        }
    }
}

/// What the method comes to: its return type, or the output of the future that is its return type.
pub(super) fn result(signature: &Signature) -> syn::Result<&Type> {
    match (&signature.output, signature.asyncness) {
        (ReturnType::Default, _) => Err(syn::Error::new_spanned(
            &signature.ident,
            "`handle` returns a result; write `-> Result<(), …>` with your error type",
        )),
        (ReturnType::Type(_, result), Some(_)) => Ok(result),
        (ReturnType::Type(_, future), None) => {
            let output = match &**future {
                Type::ImplTrait(future) => future.bounds.iter().find_map(output),
                _ => None,
            };
            let not_async =
                || syn::Error::new_spanned(signature.fn_token, "`handle` is async; write `async fn handle`");
            output.ok_or_else(not_async)
        }
    }
}

/// The `T` of `Future<Output = T>`.
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

/// The `E` of `Result<T, E>`. Of an alias with fewer parameters the compiler is asked.
pub(super) fn error_of(result: &Type) -> syn::Result<TokenStream> {
    let segment = match result {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let is_result = |segment: &&PathSegment| segment.ident.to_string().ends_with("Result");
    let Some(segment) = segment.filter(is_result) else {
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
        _ => Ok(quote!(<#result as #PRIVATE::Outcome>::Error)),
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
