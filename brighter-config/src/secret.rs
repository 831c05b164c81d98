//! [`Secret`]: a text that is never shown.

use std::borrow::Cow;
use std::fmt;

use brighter_core::__private::redact;

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

    /// Returns the part that may be shown: of a URL where it leads, and nothing of any other secret.
    pub(super) fn shown(&self) -> String {
        match redact::VisibleUrl::of(&self.0) {
            Some(url) => url.to_string(),
            None => redact::HIDDEN.to_owned(),
        }
    }
}

/// The longest part of a text that an error repeats.
const MOST: usize = 60;

/// Cuts a name to the length that an error may repeat.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST) {
        // A URL that is cut off could show what it hides as a whole.
        Some(_) if text.contains("://") => redact::text(text),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// Returns the text for an error: short, on one line, and without the hidden parts of a URL.
pub(super) fn quoted(text: &str) -> String {
    let text = redact::text(text);
    let short = cut(&text);
    let (short, more) = short
        .strip_suffix('…')
        .map_or((&*short, ""), |short| (short, "…"));
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
    fn quotes_are_short_and_hide_credentials_of_urls() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted("smtp://me:hidden@host"), "`smtp://***@host`");
        assert_eq!(quoted(&"x".repeat(99)), format!("`{}…`", "x".repeat(60)));
        assert_eq!(
            quoted(&format!("smtp://{}:hidden@host", "u".repeat(60))),
            "`smtp://***@host`"
        );
        assert_eq!(
            cut(&format!("smtp://{}:hidden@host", "u".repeat(60))),
            "smtp://***@host"
        );
    }
}
