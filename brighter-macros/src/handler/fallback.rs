//! An impl that cannot be completed, repaired as far as needed for the compiler to be silent about it: the
//! mistake has been reported.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, PatType, ReturnType, Type};

use super::expand::add_context;
use super::model::{Content, HandlerImpl, Member};
use super::{check, model::Method};
use crate::condition::Condition;
use crate::path::Private;

/// Gives the impl a `handle` of the right form. What the user wrote stays within it, so that an editor still
/// knows the types in it.
pub(super) fn repair(handler: &mut HandlerImpl, request: &Type, private: &Private) {
    let inside = handler.handles().map(|(attributes, method)| {
        let condition = Condition::of(attributes);
        let signature = &method.signature;
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(PatType { attrs, pat, ty, .. }) => Some(quote!(#(#attrs)* let #pat: #ty)),
            FnArg::Receiver(_) => None,
        });
        let result = match &signature.output {
            ReturnType::Type(_, result) if !matches!(**result, Type::ImplTrait(_)) => {
                result.to_token_stream()
            }
            ReturnType::Type(..) => quote!(_),
            ReturnType::Default => quote!(()),
        };
        let body = &method.body;
        quote! {
            #condition
            {
                #(#parameters = #private::unimplemented!();)*
                let _: #result = async #body.await;
            }
        }
    });
    let inside: TokenStream = inside.collect();
    let there = handler.errors();
    if !there.iter().any(Condition::is_always) {
        let missing = Condition::default().and_none_of(&there);
        handler.add(Content::Error(quote!(#missing type Error = #private::BoxError;)));
    }
    handler
        .members
        .retain(|member| !matches!(member.content, Content::Method(_)));
    handler.add(Content::Other(quote! {
        #[allow(unused, clippy::all)]
        async fn handle(
            &self,
            _: &#request,
            _: &#private::Context,
        ) -> #private::Result<<#request as #private::Request>::Reply, Self::Error> {
            #inside
            #private::unimplemented!()
        }
    }));
}

/// Fills in what a method leaves out that should have been under `#[handler]` and is not: who leaves out `cx`
/// leaves out `type Error` too.
pub(crate) fn complete(method: TokenStream, private: &Private) -> TokenStream {
    completed(method.clone(), private).unwrap_or(method)
}

fn completed(method: TokenStream, private: &Private) -> syn::Result<TokenStream> {
    let mut member: Member = syn::parse2(method)?;
    let mut error = None;
    if let Content::Method(method) = &mut member.content
        && let Method { signature, .. } = &mut **method
        && signature.inputs.len() == 2
    {
        error = Some(check::error_of(check::result(signature)?, private)?);
        add_context(signature, &Condition::default(), private);
    }
    let error = error.map(|error| quote!(type Error = #error;));
    Ok(quote!(#error #member))
}
