//! Lines of the log: no field stands in a span and in an event within it, and the text is plain.

use std::collections::BTreeSet;

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};

use super::literals;
use super::{Finding, Source};

const EVENTS: &[&str] = &["debug", "error", "event", "info", "trace", "warn"];
const SPANS: &[&str] = &[
    "debug_span",
    "error_span",
    "info_span",
    "op",
    "span",
    "trace_span",
    "warn_span",
];

/// Files, by the beginnings of their paths, that log within a span of another file, and the fields of that span.
const WITHIN: &[(&str, &[&str])] = &[
    ("brighter-rabbitmq/src/connection/reconnect_task.rs", &["channel"]),
    ("brighter/src/dispatcher/circle.rs", &["id", "subscription"]),
    (
        "brighter/src/dispatcher/control/handler.rs",
        &["id", "subscription"],
    ),
    ("brighter/src/dispatcher/handling.rs", &["id", "subscription"]),
    ("brighter/src/dispatcher/reply.rs", &["id", "subscription"]),
    ("brighter/src/layer/", &["id", "subscription"]),
    ("brighter/src/policy/", &["id", "subscription"]),
    ("brighter/src/processor/relay/", &["id", "subscription"]),
];

/// Finds fields that a line would have twice, and texts of events that are not plain.
pub(super) fn check(source: &Source) -> Result<Vec<Finding>> {
    let tokens = source.tokens()?;
    let mut calls = Vec::new();
    collect(tokens, &mut calls);
    let mut of_spans: BTreeSet<String> = BTreeSet::new();
    for (beginning, fields) in WITHIN {
        if source.path.starts_with(beginning) {
            of_spans.extend(fields.iter().map(|field| (*field).to_owned()));
        }
    }
    for call in &calls {
        if SPANS.contains(&call.name.as_str()) {
            of_spans.extend(call.fields.iter().cloned());
        }
    }
    let mut findings = Vec::new();
    let events = calls.iter().filter(|call| EVENTS.contains(&call.name.as_str()));
    for event in events {
        let mut seen = BTreeSet::new();
        for field in &event.fields {
            let what = if of_spans.contains(field) {
                format!(
                    "the field `{field}` of this event is in the span around it as well: leave it out here"
                )
            } else if !seen.insert(field) {
                format!("the field `{field}` stands twice in this event: keep one")
            } else {
                continue;
            };
            findings.push(source.finding(event.line, what));
        }
        for (line, text) in &event.texts {
            findings.extend(literals::check(source, *line, text));
        }
    }
    Ok(findings)
}

/// A call of a macro of `tracing`.
struct Call {
    name: String,
    line: usize,
    fields: Vec<String>,
    texts: Vec<(usize, String)>,
}

/// Collects the calls, also of those within other macros.
fn collect(tokens: TokenStream, calls: &mut Vec<Call>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Ident(name) = token
            && let Some(TokenTree::Punct(mark)) = tokens.get(at + 1)
            && mark.as_char() == '!'
            && let Some(TokenTree::Group(arguments)) = tokens.get(at + 2)
        {
            let name_text = name.to_string();
            if EVENTS.contains(&name_text.as_str()) || SPANS.contains(&name_text.as_str()) {
                let line = name.span().start().line;
                calls.push(call(name_text, line, arguments.stream()));
            }
        }
        if let TokenTree::Group(group) = token {
            collect(group.stream(), calls);
        }
    }
}

fn call(name: String, line: usize, arguments: TokenStream) -> Call {
    let mut call = Call {
        name,
        line,
        fields: Vec::new(),
        texts: Vec::new(),
    };
    let mut argument = Vec::new();
    for token in arguments {
        match token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => {
                call.add(&argument);
                argument.clear();
            }
            token => argument.push(token),
        }
    }
    call.add(&argument);
    call
}

impl Call {
    /// Adds an argument: `%field`, `?field`, `field`, `field = value`, `parent: …`, or the text.
    fn add(&mut self, argument: &[TokenTree]) {
        // After the text of an event come the arguments of its format, and after the name of a span its fields.
        if !self.texts.is_empty() && EVENTS.contains(&self.name.as_str()) {
            return;
        }
        if let [TokenTree::Literal(text)] = argument {
            if let Ok(value) = syn::parse_str::<syn::LitStr>(&text.to_string()) {
                self.texts.push((text.span().start().line, value.value()));
            }
            return;
        }
        let rest = match argument {
            [TokenTree::Punct(mark), rest @ ..] if matches!(mark.as_char(), '%' | '?') => rest,
            all => all,
        };
        let mut field = String::new();
        for token in rest {
            match token {
                TokenTree::Ident(part) => field += &part.to_string(),
                TokenTree::Punct(mark) if mark.as_char() == '.' => field.push('.'),
                TokenTree::Punct(mark) if mark.as_char() == '=' => break,
                // `target: …` and `parent: …` are no fields, nor is a path or a call.
                _ => return,
            }
        }
        if !field.is_empty() {
            self.fields.push(field);
        }
    }
}
