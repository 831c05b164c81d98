//! [`Secret`]: a text that is never shown.

use std::fmt;

/// A text that is never shown: a password, a token, a URL with either. It prints as `***`, and no error contains it.
///
/// ```
/// use brighter_config::Secret;
///
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret} {secret:?}"), "*** ***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns a secret with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for a caller that needs it, such as a client that logs in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the visible part of the text: a URL without its user, password and query; otherwise nothing.
    ///
    /// All text before the last `@` is removed, in any input. So a password with an unescaped `/` or `@` is removed
    /// too.
    pub(super) fn shown(&self) -> String {
        // Of several URLs, the last `@` belongs to the last one.
        let several = self.0.matches("://").count() > 1;
        let shown = if several { None } else { shown(&self.0) };
        shown.unwrap_or_else(|| "***".to_owned())
    }
}

fn shown(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') {
        return None;
    }
    let (hidden, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let query = if end < rest.len() { "?***" } else { "" };
    Some(format!("{scheme}://{hidden}{}{query}", &rest[..end]))
}

/// Returns the text for an error: short, on one line, and without the hidden parts of a URL.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let text = match text.contains("://") {
        true => Secret::new(text).shown(),
        false => text.to_owned(),
    };
    let short: String = text.chars().take(MOST).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", short.escape_debug())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_where_it_leads_and_nothing_else() {
        let shown = |text: &str| Secret::new(text).shown();
        assert_eq!(
            shown("amqp://me:pass@host:5672/%2f?x=hidden"),
            "amqp://***@host:5672/%2f?***"
        );
        assert_eq!(shown("amqp://me:pa/s@s?@host/v"), "amqp://***@host/v");
        assert_eq!(shown("amqp://host"), "amqp://host");
        assert_eq!(shown("hidden"), "***");
        assert_eq!(shown("hid den://x"), "***");
        assert_eq!(shown("amqp://a:hidden@one,amqp://b:hidden@two"), "***");
        assert_eq!(shown("amqp://a:hidden@one, amqp://b:hidden@two"), "***");
    }

    #[test]
    fn what_is_quoted_is_short_and_hides_what_urls_hide() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted("smtp://me:hidden@host"), "`smtp://***@host`");
        assert_eq!(quoted(&"x".repeat(99)), format!("`{}…`", "x".repeat(60)));
    }
}
