//! [`Secret`]: what must not be seen.

use std::fmt;

/// Text that must not be seen: a password, a token, a URL with either. It prints as `***` everywhere, and is in no
/// error.
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
    /// Keeps this text to itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever has to be told it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be seen of it: of a URL all but its user, its password and its query; nothing of any other.
    ///
    /// Whatever the text is, what stands before its last `@` is left out, so that a password with a bare `/` or `@`
    /// in it does not come through.
    pub(super) fn shown(&self) -> String {
        // Of several URLs the last `@` is that of the last.
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

/// The text as an error may repeat it: short, on one line, and without what a URL hides.
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
