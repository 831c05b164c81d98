//! [`ErrorReport`]: an error with its causes, on one line.

use std::borrow::Cow;
use std::error::Error;

use crate::escape::{escaped, escaped_lines};

/// Adds [`report`](Self::report) to every error, and to a [`BoxError`](super::BoxError).
///
/// `{error}` prints the failure without its causes, which are its [`source`](Error::source)s. `report` prints the whole
/// chain.
///
/// ```
/// use brighter::error::ErrorReport;
/// use brighter::outbox::OutboxError;
///
/// let error = OutboxError::Unavailable("connection refused".into());
/// assert_eq!(error.to_string(), "the outbox cannot be reached now; nothing was stored");
/// assert_eq!(error.report(), "the outbox cannot be reached now; nothing was stored: connection refused");
/// ```
pub trait ErrorReport: Error {
    /// Returns the error with every cause behind it, on one line, parted by `: `, each said once. Line breaks, and whatever
    /// else could make a reader of it take it for something else, are escaped.
    fn report(&self) -> String {
        let all = joined(self.to_string(), self.source());
        match escaped(&all) {
            Cow::Borrowed(_) => all,
            Cow::Owned(escaped) => escaped,
        }
    }
}

impl<E: Error + ?Sized> ErrorReport for E {}

/// Returns the error with all its causes, on one line, separated by `: ` and without repetitions.
pub fn report(error: &dyn Error) -> String {
    error.report()
}

/// Returns the same, with line breaks as they are: for a person to read, where an error is a list.
pub fn report_lines(error: &dyn Error) -> String {
    escaped_lines(&joined(error.to_string(), error.source())).into_owned()
}

fn joined(mut text: String, mut cause: Option<&(dyn Error + 'static)>) -> String {
    while let Some(inner) = cause {
        let said = inner.to_string();
        // A transparent error repeats the text of its source, as a wrapped action does.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

/// Implements `Debug` for error types as [`report_lines`]: `fn main() -> Result<(), E>` prints its error by `Debug`.
#[doc(hidden)]
#[macro_export]
macro_rules! __readable_debug {
    ($($error:ty),+) => {
        $(impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::__private::report_lines(self))
            }
        })+
    };
}

#[cfg(test)]
mod tests {
    use super::ErrorReport;
    use crate::channel::{ChannelError, PublishError, SettleError};
    use crate::error::BoxError;

    #[test]
    fn report_is_one_line_whatever_strangers_wrote() {
        let error: BoxError = "unknown field `a\r\nERROR forged\u{1b}[2J\u{202e}`".into();
        let error = PublishError::Disconnected(error);
        let said = error.report();
        assert!(
            said.ends_with("`a\\r\\nERROR forged\\u{1b}[2J\\u{202e}`"),
            "{said}"
        );
        assert!(format!("{error:?}").ends_with("`a\\r\nERROR forged\\u{1b}[2J\\u{202e}`"));
    }

    #[test]
    fn report_says_every_cause_once() {
        let error = SettleError::NotMoved(PublishError::Disconnected("connection refused".into()));
        let all = "the copy was not published; the message was returned to its channel: no connection to the broker: \
                   connection refused";
        assert_eq!(error.report(), all);
        let boxed: BoxError = error.into();
        assert_eq!(boxed.report(), all);
        let borrowed: &dyn std::error::Error = &ChannelError::Closed;
        assert_eq!(borrowed.report(), "the broker is closed");
    }
}
