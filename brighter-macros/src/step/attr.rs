//! From the attributes of an item to its steps.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use syn::{LitInt, Path};

use super::model::{Attribute, Step, Timing};
use crate::args::{Args, Given};
use crate::nearest::advice;
use crate::shell::Errors;

/// The attribute of the table that this path names: `use_policy`, or `brighter::use_policy`.
fn known(path: &Path) -> Option<&'static Attribute> {
    let ours = path.segments.len() == 1 || path.segments.first()?.ident == "brighter";
    let name = &path.segments.last()?.ident;
    super::ALL.iter().find(|attribute| ours && name == attribute.name)
}

pub(crate) fn is_step(attribute: &syn::Attribute) -> bool {
    known(attribute.path()).is_some()
}

/// Takes the steps out of an item's attributes, with their layers.
pub(crate) fn take(attributes: &mut Vec<syn::Attribute>, errors: &Errors) -> Vec<Step> {
    attributes
        .extract_if(.., |attribute| is_step(attribute))
        .filter_map(|attribute| parse(known(attribute.path())?, &attribute, errors))
        .collect()
}

fn parse(kind: &'static Attribute, attribute: &syn::Attribute, errors: &Errors) -> Option<Step> {
    let mut args = Args::of(attribute, errors);
    let number = args.value::<LitInt>("step", "1", errors);
    let timing = args.value::<Ident>("timing", "before", errors);
    let layers = (kind.layers)(&mut args, attribute, errors);
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
        Ok(number) if number > 0 && at.suffix().is_empty() => Some(Step {
            attribute: kind,
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

fn timing_of(kind: &Attribute, timing: Given<Ident>, errors: &Errors) -> Timing {
    let Given::Value(word, arg) = timing else {
        return Timing::Before;
    };
    match word.to_string().as_str() {
        "before" => Timing::Before,
        "after" => {
            if let Some(reason) = kind.never_after {
                errors.at(arg, format!("{reason}; leave `timing` out"));
            }
            Timing::After
        }
        other => {
            let advice = advice(other, &["before", "after"]);
            errors.at(&word, format!("unknown timing `{other}`{advice}"));
            Timing::Before
        }
    }
}

/// The tokens of an item without any step attribute, whatever else they are: for an item that cannot be
/// parsed, or that is not for us.
pub(crate) fn strip(tokens: TokenStream) -> TokenStream {
    let mut stripped = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match (&token, tokens.peek()) {
            (TokenTree::Punct(pound), Some(TokenTree::Group(group)))
                if pound.as_char() == '#' && names_step(group) =>
            {
                tokens.next();
            }
            (TokenTree::Group(group), _) => {
                let mut inner = Group::new(group.delimiter(), strip(group.stream()));
                inner.set_span(group.span());
                stripped.extend([TokenTree::Group(inner)]);
            }
            _ => stripped.extend([token]),
        }
    }
    stripped
}

fn names_step(group: &Group) -> bool {
    let path = |input: syn::parse::ParseStream<'_>| {
        let path = input.call(Path::parse_mod_style)?;
        input.parse::<TokenStream>()?;
        Ok(path)
    };
    syn::parse::Parser::parse2(path, group.stream()).is_ok_and(|path| known(&path).is_some())
}
