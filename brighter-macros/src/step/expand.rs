//! Generates the function that wraps a handler in its layers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;

use super::layers::{HANDLER, Layer, Types};
use super::model::{StepAttribute, StepTiming};
use crate::path::Private;

/// Generates the item of `impl HandlerPipeline<R>`.
pub(crate) fn pipeline(request: &Type, steps: &[StepAttribute], private: &Private) -> TokenStream {
    // In the macro's scope: an inline policy is the user's expression, and must not see these names.
    let span = Span::mixed_site();
    let [handler, stack] = [HANDLER, "stack"].map(|name| Ident::new(name, span));
    let asked = steps.iter().any(|step| step.condition.is_always());
    let wiring = Ident::new(if asked { "wiring" } else { "_wiring" }, span);

    // Innermost first, because each layer wraps the ones before.
    let layers = steps.iter().enumerate().rev().flat_map(|(index, step)| {
        let inside = steps.get(index + 1..).unwrap_or_default();
        let has_attempts = inside.iter().any(|step| step.attribute.may_hide_failures());
        let (place, condition) = (place(step, private), &step.condition);
        let (wiring, stack) = (&wiring, &stack);
        step.layers.iter().rev().map(move |layer| {
            let span = layer.at.map_or(span, |at| span.located_at(at));
            let (method, arguments) = (Ident::new(layer.method, span), &layer.arguments);
            let (types, more) = match layer.types {
                Types::None => (TokenStream::new(), None),
                Types::Request => (quote!(::<#request>), None),
                Types::RequestAndMethod => (quote_spanned!(span=> ::<#request, _, _>), None),
                Types::RequestAndTransaction => {
                    let handler = private.at(span, "TransactionalHandler");
                    let types =
                        quote_spanned!(span=> ::<#request, <Self as #handler<#request>>::Transaction, _>);
                    (types, Some(quote!(, #has_attempts)))
                }
            };
            let [layer, asked] = ["Layer", "Wiring"].map(|name| private.at(span, name));
            quote_spanned! {span=>
                #condition
                let #stack = #layer::layer(&#asked::#method #types (#wiring, #place, #arguments #more), #stack);
            }
        })
    });
    let mut all = steps.iter().flat_map(|step| &step.layers);
    let is_named = |layer: &Layer| {
        matches!(
            layer.types,
            Types::RequestAndMethod | Types::RequestAndTransaction
        )
    };
    let innermost = if all.any(is_named) {
        quote!(#private::Clone::clone(&#handler))
    } else {
        quote!(#handler)
    };
    let innermost = match steps.iter().any(StepAttribute::is_transaction) {
        true => quote!(#private::TransactionalHandlerService::new::<#request>(#innermost)),
        false => quote!(#private::HandlerService::new(#innermost)),
    };
    quote! {
        fn pipeline(
            #handler: #private::Arc<Self>,
            #wiring: &mut #private::Wiring<'_>,
        ) -> #private::Pipeline<#request> {
            let #stack = #innermost;
            #(#layers)*
            #private::Pipeline::new(#stack)
        }
    }
}

fn place(step: &StepAttribute, private: &Private) -> TokenStream {
    let number = step.number;
    let timing = match step.timing {
        StepTiming::Before => quote!(Before),
        StepTiming::After => quote!(After),
    };
    quote!(#private::Step { number: #number, timing: #private::Timing::#timing })
}
