//! Durations in text form: `"5s"`.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

use crate::path::Private;

const FORM: &str = "write a whole number and `ms`, `s`, `m` or `h`, like `\"250ms\"` or `\"5s\"`";

/// Parses the text as a duration, or returns the mistake.
pub(crate) fn parse(text: &LitStr) -> syn::Result<Duration> {
    let value = text.value();
    let wrong = |why: &str| Err(syn::Error::new_spanned(text, format!("`{value}` {why}; {FORM}")));

    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let milliseconds: u64 = match unit {
        _ if number.is_empty() => return wrong("is no length of time"),
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return wrong("has no unit"),
        _ => return wrong(&format!("has the unknown unit `{unit}`")),
    };
    match number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(milliseconds))
    {
        Some(0) => wrong("is no time at all"),
        Some(total) => Ok(Duration::from_millis(total)),
        None => wrong("is too long"),
    }
}

/// Returns the expression for the duration.
pub(crate) fn expression(duration: Duration, private: &Private) -> TokenStream {
    // A number of milliseconds in a u64 has fewer seconds than a u64 holds.
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote!(#private::Duration::new(#seconds, #nanoseconds))
}
