//! The arguments of an attribute: `retry, step = 2`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Expr, Meta, Token};

use crate::nearest::advice;
use crate::shell::Errors;

/// The arguments that have not been taken yet. Each is parsed when it is taken, so that a mistake in one argument, or a
/// half-typed one, affects no other.
#[derive(Default)]
pub(crate) struct Args {
    list: Vec<Arg>,
    /// Whether a part is not a list of arguments, which has been reported.
    broken: bool,
}

/// An argument: `value`, or `key = value`.
pub(crate) struct Arg {
    pub(crate) key: Option<Ident>,
    equals: Option<Token![=]>,
    pub(crate) value: TokenStream,
}

/// The kind of values of an attribute, which decides where one ends: `A < B, C >` is one type, or two comparisons.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    Types,
    Expressions,
}

impl Args {
    /// Returns the arguments between the parentheses of an attribute.
    pub(crate) fn of(attribute: &Attribute, values: Values, errors: &Errors) -> Self {
        match &attribute.meta {
            Meta::Path(_) => Self::default(),
            Meta::List(list) => Self::parse(list.tokens.clone(), values),
            Meta::NameValue(pair) => {
                let name = pair.path.to_token_stream();
                errors.at(
                    pair.eq_token,
                    format!("the arguments go in parentheses: `#[{name}(…)]`"),
                );
                Self {
                    broken: true,
                    ..Self::default()
                }
            }
        }
    }

    pub(crate) fn parse(tokens: TokenStream, values: Values) -> Self {
        let list = (|input: ParseStream<'_>| {
            let mut list = Vec::new();
            while !input.is_empty() {
                list.push(Arg::parse(input, values)?);
                input.parse::<Option<Token![,]>>()?;
            }
            Ok(list)
        })
        .parse2(tokens)
        .unwrap_or_default(); // Splitting at commas cannot fail.
        Self { list, broken: false }
    }

    /// Adds more arguments.
    pub(crate) fn extend(&mut self, more: Self) {
        self.list.extend(more.list);
        self.broken |= more.broken;
    }

    /// Splits the arguments into those with a key, and those without.
    pub(crate) fn split(self) -> (Vec<Arg>, Vec<Arg>) {
        self.list.into_iter().partition(|arg| arg.key.is_some())
    }

    /// Returns whether an argument was not understood: it may be the one that seems to be missing.
    pub(crate) fn misread(&self) -> bool {
        self.broken || !self.list.is_empty()
    }

    /// Takes the remaining arguments without a key.
    pub(crate) fn positional(&mut self) -> Vec<TokenStream> {
        self.take(|arg| arg.key.is_none())
            .into_iter()
            .map(|arg| arg.value)
            .collect()
    }

    /// Takes the word `name` without a value.
    pub(crate) fn flag(&mut self, name: &str) -> Option<TokenStream> {
        let found = self.take(|arg| arg.key.is_none() && arg.value.to_string() == name);
        found.into_iter().next().map(|arg| arg.value)
    }

    /// Takes each `name` and `name(…)` without a key.
    pub(crate) fn called(&mut self, name: &str) -> Vec<TokenStream> {
        let is_call = |arg: &Arg| {
            let mut tokens = arg.value.clone().into_iter();
            let named = matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == name);
            let called = matches!(tokens.next(), None | Some(TokenTree::Group(_)));
            arg.key.is_none() && named && called && tokens.next().is_none()
        };
        self.take(is_call).into_iter().map(|arg| arg.value).collect()
    }

    /// Takes `key = …` and parses the value, or reports what is expected there: `expected` is an example.
    pub(crate) fn value<T: Parse>(&mut self, key: &str, expected: &str, errors: &Errors) -> Given<T> {
        self.value_by(key, T::parse, expected, errors)
    }

    /// Takes an argument like [`Args::value`], with another parser than the type's own.
    pub(crate) fn value_by<T>(
        &mut self,
        key: &str,
        parser: impl Parser<Output = T>,
        expected: &str,
        errors: &Errors,
    ) -> Given<T> {
        let mut found = self
            .take(|arg| arg.key.as_ref().is_some_and(|found| found == key))
            .into_iter();
        let Some(first) = found.next() else {
            return Given::Missing;
        };
        for again in found {
            errors.at(again.key, format!("`{key}` is given twice; remove one"));
        }
        match parser.parse2(first.value.clone()) {
            Ok(value) => Given::Value(value, first),
            Err(_) => {
                errors.at(&first, format!("expected `{key} = {expected}`"));
                Given::Wrong
            }
        }
    }

    /// Reports the remaining arguments as mistakes.
    pub(crate) fn finish(self, known: &[&str], errors: &Errors) {
        for arg in self.list {
            let word = match &arg.key {
                Some(key) => key.to_string(),
                None => first_word(&arg.value),
            };
            if known.contains(&word.as_str()) {
                errors.at(
                    arg,
                    format!("`{word}` does not stand like this; write `{word} = …`"),
                );
            } else {
                let tokens = arg
                    .key
                    .as_ref()
                    .map_or(arg.value.clone(), |key| key.to_token_stream());
                errors.at(
                    tokens,
                    format!("unknown argument `{word}`{}", advice(&word, known)),
                );
            }
        }
    }

    fn take(&mut self, wanted: impl Fn(&Arg) -> bool) -> Vec<Arg> {
        self.list.extract_if(.., |arg| wanted(arg)).collect()
    }
}

/// The result of [`Args::value`].
pub(crate) enum Given<T> {
    Value(T, Arg),
    Missing,
    /// The argument is invalid, and has been reported.
    Wrong,
}

impl<T> Given<T> {
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Value(value, _) => Some(value),
            Self::Missing | Self::Wrong => None,
        }
    }
}

impl Arg {
    fn parse(input: ParseStream<'_>, values: Values) -> syn::Result<Self> {
        let keyed = input.peek(Ident::peek_any)
            && input.peek2(Token![=])
            && !(input.peek2(Token![==]) || input.peek2(Token![=>]));
        Ok(Self {
            key: keyed.then(|| input.call(Ident::parse_any)).transpose()?,
            equals: keyed.then(|| input.parse()).transpose()?,
            value: match values {
                Values::Types => type_until_comma(input)?,
                Values::Expressions => expression_until_comma(input)?,
            },
        })
    }
}

impl ToTokens for Arg {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        self.equals.to_tokens(tokens);
        self.value.to_tokens(tokens);
    }
}

/// Returns the tokens of an expression, up to the comma after it. Other or half-typed tokens end as a type does.
fn expression_until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let ahead = input.fork();
    if ahead.parse::<Expr>().is_err() || !(ahead.is_empty() || ahead.peek(Token![,])) {
        return type_until_comma(input);
    }
    let mut tokens = TokenStream::new();
    while !input.is_empty() && input.cursor() != ahead.cursor() {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

/// Returns the tokens up to the next comma that is not between `<` and `>`, which are not groups for the compiler. A
/// `<` without its `>` opens nothing.
fn type_until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let ahead = input.fork();
    let (tokens, closed) = until_comma(&ahead, true)?;
    if closed {
        input.advance_to(&ahead);
        return Ok(tokens);
    }
    Ok(until_comma(input, false)?.0)
}

/// Returns the tokens up to the next comma, and whether every `<` before it is closed.
fn until_comma(input: ParseStream<'_>, nested: bool) -> syn::Result<(TokenStream, bool)> {
    let mut tokens = TokenStream::new();
    let mut depth = 0_usize;
    let mut arrow = false;
    while !(input.is_empty() || depth == 0 && input.peek(Token![,])) {
        let token: TokenTree = input.parse()?;
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' if nested => depth += 1,
                '>' if !arrow => depth = depth.saturating_sub(1),
                _ => {}
            }
            arrow = matches!(punct.as_char(), '-' | '=');
        } else {
            arrow = false;
        }
        tokens.extend([token]);
    }
    Ok((tokens, depth == 0))
}

fn first_word(tokens: &TokenStream) -> String {
    match tokens.clone().into_iter().next() {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => tokens.to_string(),
    }
}
