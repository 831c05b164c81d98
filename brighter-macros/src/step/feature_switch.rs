//! `#[feature_switch(name, off = skip, step = 1)]`

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute as Written, LitStr};

use super::attribute::{Attribute, Role};
use super::layers::{Layer, Types};
use crate::args::{Args, Given};
use crate::nearest::advice;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "feature_switch",
    example: "feature_switch(name, step = 1)",
    keys: &["off"],
    never_after: Some("a switch decides before the request is handled"),
    role: Role::Other,
    layers,
};

fn layers(args: &mut Args, written: &Written, _: &Private, errors: &Errors) -> Vec<Layer> {
    let off = args.value::<Ident>("off", "skip", errors);
    let Some(given) = ATTRIBUTE.only(args, "the name of a switch", written, errors) else {
        return Vec::new();
    };
    let word = syn::parse2::<Ident>(given.clone()).map(|word| word.unraw().to_string());
    let text = || syn::parse2::<LitStr>(given.clone()).map(|text| text.value());
    let Ok(name) = word.or_else(|_| text()) else {
        errors.at(
            given,
            "a switch is a name, like `new_prices`, or a text, like `\"new-prices\"`",
        );
        return Vec::new();
    };
    let method = match off {
        Given::Value(word, _) => match word.to_string().as_str() {
            "skip" => "switch_or_skip",
            "dont_ack" => "switch_or_dont_ack",
            other => {
                let advice = advice(other, &["skip", "dont_ack"]);
                errors.at(&word, format!("unknown way to be off `{other}`{advice}"));
                // Requires nothing more of the request, so no other error is reported.
                "switch_or_dont_ack"
            }
        },
        Given::Missing => "switch_or_skip",
        Given::Wrong => "switch_or_dont_ack",
    };
    vec![Layer::new(method, name.to_token_stream()).with(Types::Request)]
}
