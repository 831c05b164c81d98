//! Generates the function that wraps a handler in its layers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;

use super::layers::{HANDLER, Layer, Types};
use super::model::{Innermost, StepAttribute, StepTiming};
use crate::duration;
use crate::path::Private;

/// Generates the item of `impl HandlerPipeline<R>`.
pub(crate) fn pipeline(
    request: &Type,
    innermost: &Innermost,
    steps: &[StepAttribute],
    private: &Private,
) -> TokenStream {
    // In the macro's scope: an inline policy is the user's expression, and must not see these names.
    let span = Span::mixed_site();
    let [handler, stack] = [HANDLER, "stack"].map(|name| Ident::new(name, span));
    let asked =
        matches!(innermost, Innermost::Batch { .. }) || steps.iter().any(|step| step.condition.is_always());
    let wiring = Ident::new(if asked { "wiring" } else { "_wiring" }, span);

    // Innermost first, because each layer wraps the ones before.
    let around: Vec<_> = steps
        .iter()
        .filter(|step| !innermost.limits_calls(step))
        .collect();
    let layers = around.iter().enumerate().rev().flat_map(|(index, step)| {
        let inside = around.get(index + 1..).unwrap_or_default();
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
    let shared = if all.any(is_named) {
        quote!(#private::Clone::clone(&#handler))
    } else {
        quote!(#handler)
    };
    let service = match innermost {
        Innermost::Handler if steps.iter().any(StepAttribute::is_transaction) => {
            quote!(#private::TransactionalHandlerService::new::<#request>(#shared))
        }
        Innermost::Handler => quote!(#private::HandlerService::new(#shared)),
        Innermost::Batch { max, within } => {
            let within = duration::expression(*within, private);
            let limit = Ident::new("limit", span);
            let limits = steps.iter().filter(|step| innermost.limits_calls(step)).map(|step| {
                let (place, condition) = (place(step, private), &step.condition);
                let after = step.layers.iter().map(|layer| &layer.arguments);
                quote! {
                    #condition
                    let #limit = #private::Some(#private::Wiring::call_timeout(#wiring, #place, #(#after)*));
                }
            });
            quote! {{
                let #limit: #private::Option<#private::Duration> = #private::None;
                #(#limits)*
                #private::Wiring::batch::<#request, Self>(#wiring, #shared, #max, #within, #limit)
            }}
        }
    };
    quote! {
        fn pipeline(
            #handler: #private::Arc<Self>,
            #wiring: &mut #private::Wiring<'_>,
        ) -> #private::Pipeline<#request> {
            let #stack = #service;
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
