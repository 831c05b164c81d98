//! Converts the attributes of an item to its steps.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::{LitInt, Path};

use super::attribute::Attribute;
use super::model::{StepAttribute, StepTiming};
use super::table::ALL;
use crate::args::{Args, Given, Values};
use crate::condition::{self, Condition};
use crate::library;
use crate::nearest::advice;
use crate::path::Private;
use crate::shell::Errors;

/// Returns the attribute of the table with this path: `use_policy`, or `brighter::use_policy`.
fn known(path: &Path, private: &Private) -> Option<&'static Attribute> {
    let ours = path.segments.len() == 1 || private.is_parent_of(path);
    let name = &path.segments.last()?.ident;
    ALL.iter().find(|attribute| ours && name == attribute.name)
}

/// Removes the step attributes, and returns each with the condition of the `cfg_attr`s around it.
pub(crate) fn extract(
    attributes: &mut Vec<syn::Attribute>,
    private: &Private,
) -> Vec<(Condition, syn::Attribute)> {
    condition::extract(attributes, &|attribute| {
        known(attribute.path(), private).is_some()
    })
}

/// Removes the steps from the attributes of an item with this condition, and returns them with their layers.
pub(crate) fn take(
    attributes: &mut Vec<syn::Attribute>,
    there: &Condition,
    private: &Private,
    errors: &Errors,
) -> Vec<StepAttribute> {
    let steps = extract(attributes, private).into_iter();
    let parsed = steps.filter_map(|(condition, attribute)| {
        let condition = there.and(&condition);
        let kind = known(attribute.path(), private)?;
        errors.under(&condition, || {
            parse(kind, &attribute, &condition, private, errors)
        })
    });
    parsed.collect()
}

fn parse(
    kind: &'static Attribute,
    attribute: &syn::Attribute,
    condition: &Condition,
    private: &Private,
    errors: &Errors,
) -> Option<StepAttribute> {
    let mut args = Args::of(attribute, Values::Expressions, errors);
    let number = args.value::<LitInt>("step", "1", errors);
    let timing = args.value::<Ident>("timing", "before", errors);
    let layers = (kind.layers)(&mut args, attribute, private, errors);
    if let Given::Value(path, arg) = args.value_by(library::KEY, Path::parse_mod_style, "path", errors) {
        let path = path.to_token_stream().to_string().replace(' ', "");
        errors.at(
            arg,
            format!(
                "a step has the crate of its handler; write `#[handler(crate = {path})]` and remove this"
            ),
        );
    }
    let keys: Vec<_> = [kind.keys, &["step", "timing"]].concat();
    let misread = args.misread();
    args.finish(&keys, errors);

    let timing = timing_of(kind, timing, errors);
    if layers.is_empty() {
        return None; // Reported, with the whole attribute as an example.
    }
    let at = match number {
        Given::Value(at, _) => at,
        Given::Missing if !misread => {
            errors.at(
                &attribute.meta,
                format!(
                    "`{}` needs its place in the pipeline, 1 is outermost; write `#[{}]`",
                    kind.name, kind.example
                ),
            );
            return None;
        }
        Given::Missing | Given::Wrong => return None,
    };
    match at.base10_parse::<u32>() {
        Ok(number) if number > 0 && at.suffix().is_empty() => Some(StepAttribute {
            attribute: kind,
            condition: condition.clone(),
            timing,
            number,
            at,
            layers,
        }),
        _ => {
            errors.at(&at, "a step is a whole number from 1, which is outermost");
            None
        }
    }
}

fn timing_of(kind: &Attribute, timing: Given<Ident>, errors: &Errors) -> StepTiming {
    let Given::Value(word, arg) = timing else {
        return StepTiming::Before;
    };
    match word.to_string().as_str() {
        "before" => StepTiming::Before,
        "after" => {
            if let Some(reason) = kind.never_after {
                errors.at(arg, format!("{reason}; leave `timing` out"));
            }
            StepTiming::After
        }
        other => {
            let advice = advice(other, &["before", "after"]);
            errors.at(&word, format!("unknown timing `{other}`{advice}"));
            StepTiming::Before
        }
    }
}

/// Returns the tokens of an item without step attributes, for an item that cannot be parsed or is of another kind.
pub(crate) fn strip(tokens: TokenStream, private: &Private) -> TokenStream {
    let mut stripped = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match (&token, tokens.peek()) {
            (TokenTree::Punct(pound), Some(TokenTree::Group(group))) if pound.as_char() == '#' => {
                match without_steps(&token, group, private) {
                    Some(rest) => {
                        tokens.next();
                        stripped.extend(rest);
                    }
                    None => stripped.extend([token]),
                }
            }
            (TokenTree::Group(group), _) => {
                let mut inner = Group::new(group.delimiter(), strip(group.stream(), private));
                inner.set_span(group.span());
                stripped.extend([TokenTree::Group(inner)]);
            }
            _ => stripped.extend([token]),
        }
    }
    stripped
}

/// Returns an attribute without the steps in it; `None` if it is a step itself.
fn without_steps(pound: &TokenTree, group: &Group, private: &Private) -> Option<TokenStream> {
    let parse = syn::Attribute::parse_outer;
    let mut attributes = parse.parse2(quote!(#pound #group)).ok()?;
    let found = !extract(&mut attributes, private).is_empty();
    found.then(|| quote!(#(#attributes)*))
}
