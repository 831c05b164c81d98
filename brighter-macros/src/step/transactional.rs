//! `#[transactional(context = "payments", on_duplicate = warn, isolation = serializable, pool = orders, step = 1)]`

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute as Written, LitStr, Member};

use super::attribute::{Attribute, Role};
use super::layers::{HANDLER, Layer, Types};
use super::use_inbox::context;
use crate::args::{Args, Given};
use crate::nearest::advice;
use crate::path::Private;
use crate::shell::Errors;

/// The name of the attribute.
pub(crate) const NAME: &str = "transactional";

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: NAME,
    example: "transactional(step = 1)",
    keys: &["context", "on_duplicate", "isolation", "read_only", "pool"],
    never_after: Some("a transaction is around its handler"),
    role: Role::Transaction,
    layers,
};

fn layers(args: &mut Args, written: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let read_only = args.flag("read_only").is_some();
    let name = args.value::<LitStr>("context", "\"payments\"", errors);
    let duplicates = args.value::<Ident>("on_duplicate", "warn", errors);
    if read_only {
        const NOTHING: &str =
            "a transaction that only reads records nothing, so it knows no duplicates; remove this";
        if let Given::Value(_, arg) = &name {
            errors.at(arg, NOTHING);
        }
        if let Given::Value(_, arg) = &duplicates {
            errors.at(arg, NOTHING);
        }
    }
    let isolation = isolation(
        args.value::<Ident>("isolation", "serializable", errors),
        private,
        errors,
    );
    let pool = pool(args.value::<Member>("pool", "field", errors), private);
    let at = match &duplicates {
        Given::Value(word, _) => word.span(),
        Given::Missing | Given::Wrong => written.path().span(),
    };
    let (method, context) = if read_only {
        ("transactional_read_only", None)
    } else {
        (
            on_duplicate(&duplicates, errors),
            Some(context(name, private, errors)),
        )
    };
    let context = context.map(|context| quote!(#context,));
    let arguments = quote!(#context #isolation, #pool);
    vec![
        Layer::new(method, arguments)
            .with(Types::RequestAndTransaction)
            .at(at),
    ]
}

fn on_duplicate(given: &Given<Ident>, errors: &Errors) -> &'static str {
    let Given::Value(word, _) = given else {
        return "transactional_or_warn";
    };
    match word.to_string().as_str() {
        "warn" => "transactional_or_warn",
        "reject" => "transactional_or_reject",
        "replay" => "transactional_or_replay",
        other => {
            let advice = advice(other, &["warn", "reject", "replay"]);
            errors.at(word, format!("unknown way with a duplicate `{other}`{advice}"));
            // It requires nothing more of the request, so no other error is reported.
            "transactional_or_reject"
        }
    }
}

fn isolation(given: Given<Ident>, private: &Private, errors: &Errors) -> TokenStream {
    let Given::Value(word, _) = given else {
        return quote!(#private::None);
    };
    let level = match word.to_string().as_str() {
        "read_committed" => quote!(ReadCommitted),
        "repeatable_read" => quote!(RepeatableRead),
        "serializable" => quote!(Serializable),
        other => {
            let advice = advice(other, &["read_committed", "repeatable_read", "serializable"]);
            errors.at(&word, format!("unknown isolation level `{other}`{advice}"));
            return quote!(#private::None);
        }
    };
    quote!(#private::Some(#private::IsolationLevel::#level))
}

/// Returns the pool: that of a field of the handler, or none for that of the outbox.
fn pool(given: Given<Member>, private: &Private) -> TokenStream {
    let Given::Value(field, _) = given else {
        return quote!(#private::None);
    };
    let handler = Ident::new(HANDLER, Span::mixed_site());
    // An error about the field or its type is reported where it is named.
    let span = Span::mixed_site().located_at(field.span());
    let cloned = private.at(span, "Clone");
    quote_spanned!(span=> #private::Some(#cloned::clone(&#handler.#field)))
}
