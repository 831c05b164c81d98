//! Snapshot tests of every macro's output, also for broken and half-typed input.
//!
//! `UPDATE=1 cargo test -p brighter-macros` writes the snapshots anew.

mod broken;
mod expansion;

use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::message::Derive;
use crate::shell::{Errors, expand};
use crate::{alone, handler, message};

type Attribute = fn(TokenStream, TokenStream, &Errors) -> TokenStream;

const HANDLER: Attribute = handler::handler;
const DERIVE: Attribute = |args, item, errors| message::derive(args, &item, errors);
const COMMAND: Attribute = |_, item, errors| message::request(Derive::Command, item, errors);
const EVENT: Attribute = |_, item, errors| message::request(Derive::Event, item, errors);
const MESSAGE: Attribute = |_, item, errors| message::request(Derive::Message, item, errors);
const ALONE: Attribute = |_, item, errors| alone::alone("use_policy", item, errors);

/// Compares the output with the snapshot of that name.
fn becomes(name: &str, attribute: Attribute, args: &str, item: &str) {
    let tokens = expand(|errors| attribute(args.parse().unwrap(), item.parse().unwrap(), errors));
    let found = format!(
        "({args})\n{}\n\n// becomes\n\n{}",
        item.trim_end(),
        pretty(&tokens)
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/snapshots/{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name} is not as in its snapshot; it is now\n\n{found}"
    );
}

fn pretty(tokens: &TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        // Half-typed code cannot be parsed as a file: its tokens are printed, one line for each outermost item.
        Err(_) => {
            let mut text = String::new();
            for token in tokens.clone() {
                text.push_str(&token.to_string());
                let ends = match &token {
                    TokenTree::Group(_) => true,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    _ => false,
                };
                text.push(if ends { '\n' } else { ' ' });
            }
            text
        }
    }
}

#[test]
#[should_panic(expected = "not reported")]
fn errors_that_are_not_reported_are_a_bug() {
    drop(Errors::default());
}
