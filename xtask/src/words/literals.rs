//! Texts of errors and events: they begin in lower case, have no full stop at the end, and use the words of the field.

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};

use super::text::has_words;
use super::{Finding, Source};

/// Words in lower case that a reader of an error or of the log stops at, each with what to write instead.
const WORDS: &[(&str, &str)] = &[
    ("asks for too much", "say what does not fit"),
    ("came for nobody", "write \"no caller waits for …\""),
    ("do its part", "write \"… operation failed\""),
    ("given back", "write \"returned to its channel\""),
    ("in hand", "write \"in flight\""),
    ("may die of it", "say what happened"),
    ("nobody", "name what is missing"),
    ("tried again", "write \"retried\""),
    ("trying on", "write \"retrying\""),
    ("whom", "name the caller"),
];

/// Finds texts of `#[error(…)]` that are not plain.
pub(super) fn errors(source: &Source) -> Result<Vec<Finding>> {
    let tokens = source.tokens()?;
    let mut findings = Vec::new();
    walk(source, tokens, &mut findings);
    Ok(findings)
}

fn walk(source: &Source, tokens: TokenStream, findings: &mut Vec<Finding>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    if let [TokenTree::Ident(name), TokenTree::Group(arguments)] = &tokens[..]
        && name == "error"
        && let Some(TokenTree::Literal(text)) = arguments.stream().into_iter().next()
        && let Ok(value) = syn::parse_str::<syn::LitStr>(&text.to_string())
    {
        findings.extend(check(source, text.span().start().line, &value.value()));
    }
    for token in tokens {
        if let TokenTree::Group(group) = token {
            walk(source, group.stream(), findings);
        }
    }
}

/// Checks one text.
pub(super) fn check(source: &Source, line: usize, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first = text.chars();
    let (first, second) = (first.next(), first.next());
    // A name, as `TLS`, may begin it.
    let is_capital = first.is_some_and(char::is_uppercase) && second.is_some_and(char::is_lowercase);
    if is_capital && !text.starts_with("Rabbit") {
        findings.push(source.finding(line, format!("`{text}` begins with a capital letter")));
    }
    if text.ends_with('.') {
        findings.push(source.finding(line, format!("`{text}` ends with a full stop")));
    }
    let lower = text.to_lowercase();
    for (words, advice) in WORDS {
        if has_words(&lower, words) {
            findings.push(source.finding(line, format!("`{words}` in `{text}`: {advice}")));
        }
    }
    findings
}
