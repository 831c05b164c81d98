//! `#[use_policy(retry, step = 2)]`, `#[use_policy([retry, circuit_breaker], step = 2)]`,
//! `#[use_policy(Retry::times(3), step = 2)]`

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Attribute as Written, Expr, Lit};

use super::attribute::{Attribute, Role};
use super::layers::Layer;
use crate::args::Args;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "use_policy",
    example: "use_policy(retry, step = 1)",
    keys: &[],
    never_after: Some("a policy is around what it protects"),
    role: Role::Policy,
    layers,
};

fn layers(args: &mut Args, written: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let given = args.positional();
    match given.as_slice() {
        [policies] => several(policies, private, errors),
        [] => {
            let example = ATTRIBUTE.example;
            errors.at(
                &written.meta,
                format!("`use_policy` needs a policy; write `#[{example}]`"),
            );
            Vec::new()
        }
        [first, .., last] => {
            let all: TokenStream = [first.clone(), last.clone()].into_iter().collect();
            errors.at(
                all,
                "several policies are a list, the left around the right: `[a, b]`",
            );
            Vec::new()
        }
    }
}

fn several(tokens: &TokenStream, private: &Private, errors: &Errors) -> Vec<Layer> {
    match syn::parse2(tokens.clone()).map(visible) {
        Ok(Expr::Array(list)) if list.elems.is_empty() => {
            errors.at(
                tokens,
                "name at least one policy, like `[retry, circuit_breaker]`",
            );
            Vec::new()
        }
        Ok(Expr::Array(list)) => list
            .elems
            .iter()
            .filter_map(|policy| one(policy, private, errors))
            .collect(),
        Ok(policy) => one(&policy, private, errors).into_iter().collect(),
        Err(error) => {
            errors.push(error);
            Vec::new()
        }
    }
}

/// Returns the expression inside invisible groups.
fn visible(expression: Expr) -> Expr {
    match expression {
        Expr::Group(group) => visible(*group.expr),
        visible => visible,
    }
}

/// Returns the layer of one policy. A bare word, or a text for a name that is not a word, is looked up in the registry
/// when the pipeline is built. Any other expression makes a policy.
fn one(policy: &Expr, private: &Private, errors: &Errors) -> Option<Layer> {
    let name = match policy {
        Expr::Group(group) => return one(&group.expr, private, errors),
        Expr::Path(path) => path.path.get_ident().map(|name| name.unraw().to_string()),
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => {
                errors.at(
                    policy,
                    "a policy is a name, like `retry`, or an expression that makes one",
                );
                return None;
            }
        },
        _ => None,
    };
    Some(match name {
        Some(name) => Layer::new("named_policy", name.to_token_stream()),
        None => Layer::new("inline_policy", quote!(#private::stringify!(#policy), #policy)),
    })
}
