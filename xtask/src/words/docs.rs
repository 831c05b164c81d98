//! The documentation of an item begins with words that stand alone.

use anyhow::Result;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ImplItem, Item, Lit, Meta, TraitItem};

use super::{Finding, Source};

/// Beginnings that lean on another item, or turn the sentence round.
const REFUSED: &[&str] = &[
    "As",
    "Gives whether",
    "Has",
    "It",
    "Like",
    "Says",
    "Such",
    "That",
    "The same",
    "Those",
    "What",
    "Who",
    "Whoever",
    "Whose",
];

/// Finds the items of a file whose documentation begins otherwise.
pub(super) fn check(source: &Source) -> Result<Vec<Finding>> {
    let mut reader = Reader {
        file: &source.path,
        findings: Vec::new(),
    };
    reader.items(&source.parsed()?.items);
    Ok(reader.findings)
}

struct Reader<'f> {
    file: &'f str,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Struct(item) => {
                    self.look(&item.attrs);
                    for field in &item.fields {
                        self.look(&field.attrs);
                    }
                }
                Item::Enum(item) => {
                    self.look(&item.attrs);
                    for variant in &item.variants {
                        self.look(&variant.attrs);
                        for field in &variant.fields {
                            self.look(&field.attrs);
                        }
                    }
                }
                Item::Trait(item) => {
                    self.look(&item.attrs);
                    for one in &item.items {
                        if let TraitItem::Fn(function) = one {
                            self.look(&function.attrs);
                        }
                    }
                }
                Item::Impl(item) => {
                    for one in &item.items {
                        if let ImplItem::Fn(function) = one {
                            self.look(&function.attrs);
                        }
                    }
                }
                Item::Mod(module) => {
                    let items = module.content.as_ref();
                    items.into_iter().for_each(|(_, items)| self.items(items));
                }
                Item::Type(item) => self.look(&item.attrs),
                Item::Fn(item) => self.look(&item.attrs),
                Item::Const(item) => self.look(&item.attrs),
                Item::Static(item) => self.look(&item.attrs),
                _ => {}
            }
        }
    }

    fn look(&mut self, attributes: &[Attribute]) {
        let Some((line, first)) = attributes.iter().find_map(doc) else {
            return;
        };
        let first = first.trim();
        let refused = REFUSED.iter().find(|refused| {
            let rest = first.strip_prefix(**refused);
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '`'))
        });
        if let Some(refused) = refused {
            self.findings.push(Finding {
                file: self.file.to_owned(),
                line,
                what: format!(
                    "documentation begins with `{refused}`: begin with a verb (`Returns …`) or with the thing"
                ),
            });
        }
    }
}

/// Returns the line and the text of an attribute that documents.
fn doc(attribute: &Attribute) -> Option<(usize, String)> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(value) if pair.path.is_ident("doc") => match &value.lit {
            Lit::Str(text) => Some((attribute.span().start().line, text.value())),
            _ => None,
        },
        _ => None,
    }
}
