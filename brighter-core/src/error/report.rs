//! [`ErrorReport`]: an error with its causes, on one line.

use std::error::Error;

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
    /// Returns the error with all its causes, on one line, separated by `: ` and without repetitions.
    fn report(&self) -> String {
        joined(self.to_string(), self.source())
    }
}

impl<E: Error + ?Sized> ErrorReport for E {}

/// Returns the error with all its causes, on one line, separated by `: ` and without repetitions.
pub fn report(error: &dyn Error) -> String {
    error.report()
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

/// Implements `Debug` for error types as [`report`]: `fn main() -> Result<(), E>` prints its error by `Debug`.
#[doc(hidden)]
#[macro_export]
macro_rules! __readable_debug {
    ($($error:ty),+) => {
        $(impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::__private::report(self))
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
