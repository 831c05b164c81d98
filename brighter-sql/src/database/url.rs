//! The URL of a database server, and errors about it that show no secret of it.

use std::borrow::Cow;
use std::str::FromStr;

use super::error::DatabaseError;
use super::value::Sql;
use brighter_core::__private::redact::{RedactedError, decoded};
use brighter_core::error::BoxError;

/// A database that is reached by a URL.
pub(crate) trait ByUrl: Sql {
    /// An example of a URL.
    const EXAMPLE: &'static str;

    /// Whether sqlx reads this parameter of its URLs. It writes the value of another into the log.
    fn knows(parameter: &str) -> bool;
}

/// The URL of a database is none that can be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the URL of the database cannot be used: it must look like `{example}`, with special characters escaped as in `%40` for `@`"
)]
struct UrlError {
    example: &'static str,
    source: RedactedError,
}

/// Reads the options of a connection.
pub(super) fn options<D: ByUrl, O: FromStr<Err = sqlx::Error>>(url: &str) -> Result<O, DatabaseError> {
    let known = without_unknown(url, D::knows);
    known.parse().map_err(|error| {
        let error = UrlError {
            example: D::EXAMPLE,
            source: RedactedError::new(&error, url),
        };
        DatabaseError::Other(error.into())
    })
}

/// Takes out of an error what is secret in the URL of the connection. One that tells nothing of it stays what it is.
pub(super) fn redacted(error: DatabaseError, url: &str) -> DatabaseError {
    error.map_source(|source| {
        let copy = RedactedError::new(&*source, url);
        match copy.differs_from(&*source) {
            true => BoxError::from(copy),
            false => source,
        }
    })
}

/// Returns the URL without unknown parameters. The log names those whose names are not secrets.
fn without_unknown(url: &str, knows: fn(&str) -> bool) -> Cow<'_, str> {
    let Some(at) = url.find(['?', '#']).filter(|at| url[*at..].starts_with('?')) else {
        return url.into();
    };
    let (place, query) = (&url[..at], &url[at + 1..]);
    let (query, fragment) = query.split_at(query.find('#').unwrap_or(query.len()));
    let name = |pair: &str| decoded(pair.split_once('=').map_or(pair, |(name, _)| name));
    let (known, unknown): (Vec<_>, Vec<_>) = query.split('&').partition(|pair| knows(&name(pair)));
    for pair in unknown.iter().filter(|pair| pair.contains('=')) {
        let parameter = name(pair);
        let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
        if parameter.len() <= 40 && parameter.chars().all(is_name) {
            tracing::warn!(
                parameter,
                "the URL of the database has a parameter that is not known here"
            );
        }
    }
    match known.is_empty() {
        true => format!("{place}{fragment}").into(),
        false => format!("{place}?{}{fragment}", known.join("&")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_nobody_reads_are_left_out() {
        let knows = |name: &str| matches!(name, "user" | "ssl-mode");
        for (url, known) in [
            ("postgres://host/db", "postgres://host/db"),
            ("postgres://host/db?user=me", "postgres://host/db?user=me"),
            ("postgres://host/db?sslpassword=hunter2", "postgres://host/db"),
            (
                "postgres://host?a=1&ssl%2Dmode=x&hunter2&user=me#f",
                "postgres://host?ssl%2Dmode=x&user=me#f",
            ),
            ("postgres://host#a?b=1", "postgres://host#a?b=1"),
        ] {
            assert_eq!(without_unknown(url, knows), known, "{url}");
        }
    }
}
