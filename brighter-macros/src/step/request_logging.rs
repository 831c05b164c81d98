//! `#[request_logging(step = 1, timing = before, fields = debug)]`

use proc_macro2::{Ident, TokenStream};
use syn::Attribute as Written;

use super::attribute::{Attribute, Role};
use super::layers::{Layer, Types};
use crate::args::{Args, Given};
use crate::nearest::advice;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "request_logging",
    example: "request_logging(step = 1)",
    keys: &["fields"],
    never_after: None,
    role: Role::Other,
    layers,
};

fn layers(args: &mut Args, _: &Written, _: &Private, errors: &Errors) -> Vec<Layer> {
    let mut method = "request_logging";
    if let Given::Value(word, _) = args.value::<Ident>("fields", "debug", errors) {
        if word == "debug" {
            method = "request_logging_with_fields";
        } else {
            let advice = advice(&word.to_string(), &["debug"]);
            errors.at(
                &word,
                format!("fields are written as `Debug` shows them, or not at all{advice}"),
            );
        }
    }
    vec![Layer::new(method, TokenStream::new()).with(Types::Request)]
}
