//! `#[timeout("5s", step = 2)]`

use syn::{Attribute as Written, LitStr};

use super::attribute::{Attribute, Role};
use super::layers::Layer;
use crate::args::Args;
use crate::duration;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "timeout",
    example: "timeout(\"5s\", step = 1)",
    keys: &[],
    never_after: Some("a timeout is around what it limits"),
    role: Role::CallLimit,
    layers,
};

fn layers(args: &mut Args, written: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let mut given = args.positional().into_iter();
    let Some(text) = given.next() else {
        let example = ATTRIBUTE.example;
        errors.at(
            &written.meta,
            format!("`timeout` needs a length of time; write `#[{example}]`"),
        );
        return Vec::new();
    };
    for more in given {
        errors.at(more, "a timeout has one length of time; remove this");
    }
    let Ok(text) = syn::parse2::<LitStr>(text.clone()) else {
        errors.at(text, "a length of time is a text, like `\"5s\"`");
        return Vec::new();
    };
    let Some(after) = errors.keep(duration::parse(&text)) else {
        return Vec::new();
    };
    vec![Layer::new("timeout", duration::expression(after, private))]
}
