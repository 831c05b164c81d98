//! Shows texts that may hold a secret without it: URLs, and errors of libraries that repeat what they were given.
//!
//! What cannot be read for certain is not shown at all. A password with a bare `/`, `?` or `@` in it can be taken apart in
//! several ways, and each of them would show a part of it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// The text in place of a secret.
pub const HIDDEN: &str = "***";

/// Schemes whose path is a name that an operator wants to see: a virtual host, a database. The path of another may be a
/// secret by itself, as that of a webhook is.
const NAMED_PATHS: [&str; 6] = ["amqp", "amqps", "postgres", "postgresql", "mysql", "mariadb"];

/// The visible parts of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleUrl<'a> {
    scheme: &'a str,
    has_user: bool,
    /// Host and port; nothing if it is not certain which part of the URL they are.
    host: Option<&'a str>,
    /// With its `/`, or nothing if it is not to be seen.
    path: &'a str,
    hides_path: bool,
    has_query: bool,
}

impl<'a> VisibleUrl<'a> {
    /// Takes a URL apart; nothing, if the text is none.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        // A longer text before it is no scheme, and may be anything.
        if scheme.is_empty() || scheme.len() > 20 || !scheme.chars().all(is_scheme) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let query = after.find(['?', '#']).unwrap_or(after.len());
        let (path, query) = after.split_at(query);
        // With an `@` further on, or another URL, the authority may have ended too early.
        let is_certain = is_host(host) && !after.contains('@') && !after.contains("://");
        let shows_path = is_certain && path.chars().all(is_in_path) && NAMED_PATHS.contains(&scheme);
        Some(Self {
            scheme,
            has_user: user.is_some(),
            host: is_certain.then_some(host),
            path: if shows_path { path } else { "" },
            hides_path: is_certain && !shows_path && path.len() > 1,
            has_query: is_certain && !query.is_empty(),
        })
    }

    /// Returns the URL without marks for what is left out: an address for a log.
    #[must_use]
    pub fn address(&self) -> String {
        let host = self.host.unwrap_or(HIDDEN);
        format!("{}://{host}{}", self.scheme, self.path)
    }
}

/// With a mark for each part that is hidden.
impl fmt::Display for VisibleUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        let Some(host) = self.host else {
            return f.write_str(HIDDEN);
        };
        if self.has_user {
            write!(f, "{HIDDEN}@")?;
        }
        write!(f, "{host}{}", self.path)?;
        if self.hides_path {
            write!(f, "/{HIDDEN}")?;
        }
        if self.has_query {
            write!(f, "?{HIDDEN}")?;
        }
        Ok(())
    }
}

/// A name or an address, with a port or without.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some("0"))),
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("0")),
        },
    };
    let is_part = match text.starts_with('[') {
        true => |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.'),
        false => |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'),
    };
    host.chars().all(is_part) && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

fn is_in_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~' | '%')
}

/// Shows a text that may be, or hold, a URL or a private key, without what is secret in it.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    // `user:password@host` without a scheme.
    let has_user = || text.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    if text.contains("-----BEGIN") || has_user() && !text.contains("://") {
        return HIDDEN.into();
    }
    if !text.contains("://") {
        return text.into();
    }
    VisibleUrl::of(text).map_or(HIDDEN.into(), |url| url.to_string().into())
}

/// An error of a library, with everything that a URL could hide taken out of its texts. Its causes stay.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedError {
    text: String,
    source: Option<Box<RedactedError>>,
}

impl RedactedError {
    /// Copies an error and its causes, without any part of this URL that may be secret: its password, or its user where
    /// that stands alone, and the values of its query, as they stand and decoded.
    #[must_use]
    pub fn new(error: &(dyn Error + 'static), url: &str) -> Self {
        Self::without(error, &secrets(url))
    }

    /// Whether the copy differs from the error, so that a secret was taken out.
    #[must_use]
    pub fn differs_from(&self, error: &(dyn Error + 'static)) -> bool {
        let is_cause = |cause: &Self| error.source().is_some_and(|error| cause.differs_from(error));
        self.text != error.to_string() || self.source.as_deref().is_some_and(is_cause)
    }

    fn without(error: &(dyn Error + 'static), secrets: &[String]) -> Self {
        let mut text = error.to_string();
        for secret in secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        Self {
            text,
            source: error
                .source()
                .map(|source| Box::new(Self::without(source, secrets))),
        }
    }
}

/// Every part of the URL that may be secret, the longest first, so that none is left half.
fn secrets(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut parts = vec![url, rest];
    let delimiters = [':', '/', '?', '#', '@', '&', '=', ';', ',', ' ', '[', ']'];
    match VisibleUrl::of(url).and_then(|url| url.host) {
        // The host is no secret where it is certain, and an error that does not tell it helps nobody.
        Some(host) => {
            let (user, after) = rest.rsplit_once('@').unwrap_or(("", rest));
            let after = after.strip_prefix(host).unwrap_or(after);
            // A server tells the user whom it refused, and that helps. Without a password it may be a token.
            let secret = user.split_once(':').map_or(user, |(_, password)| password);
            parts.push(secret);
            parts.extend(secret.split(delimiters));
            let query = after.find(['?', '#']).map_or("", |at| &after[at + 1..]);
            let values = query.split(['&', '#', ';']);
            let values = values.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
            parts.extend(values.clone());
            parts.extend(values.flat_map(|value| value.split(delimiters)));
        }
        None => parts.extend(rest.split(delimiters)),
    }
    let mut found: Vec<String> = Vec::new();
    for part in parts {
        for part in [part.to_owned(), decoded(part)] {
            // As an error has it that quotes what it was given.
            found.push(part.escape_debug().to_string());
            found.push(part.escape_default().to_string());
            found.push(part);
        }
    }
    found.retain(|part| !part.is_empty());
    found.sort_by_key(|part| std::cmp::Reverse(part.len()));
    found.dedup();
    found
}

/// Decodes percent-encoding, such as `%40` for `@`, and `+` as a space.
#[must_use]
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (bytes, rest) = match (first, byte) {
            (b'%', Some(byte)) => (push(bytes, byte), &after[2..]),
            (b'+', _) => (push(bytes, b' '), after),
            (other, _) => (push(bytes, *other), after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn push(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RedactedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_show_where_they_lead_and_nothing_else() {
        for (url, shown) in [
            (
                "amqp://u:hunter2@host:5672/%2f?heartbeat=5",
                "amqp://***@host:5672/%2f?***",
            ),
            ("amqps://host", "amqps://host"),
            ("amqp://[::1]:5672/v", "amqp://[::1]:5672/v"),
            ("amqp://hunter2@host", "amqp://***@host"),
            ("mysql://u:hun%74er2@host/db#hunter2", "mysql://***@host/db?***"),
            ("postgres://host/db?password=hunter2", "postgres://host/db?***"),
            ("https://hooks.example/T0/hunter2", "https://hooks.example/***"),
            ("https://example/", "https://example"),
            // A URL that cannot be read for certain.
            ("amqp://guest:hunter2localhost:5672/", "amqp://***"),
            ("amqp://guest:hunter2", "amqp://***"),
            ("amqp://guest:hunter2/v", "amqp://***"),
            ("amqp://u:hun/ter2@host", "amqp://***"),
            ("amqp://u:hun?ter2@host", "amqp://***"),
            ("amqp://u:hun#ter2@host", "amqp://***"),
            ("amqp://host/v?password=p@hunter2", "amqp://***"),
            ("amqp://u@host:hunter2/v", "amqp://***"),
            ("amqp://host;password=hunter2", "amqp://***"),
            ("postgres://host/db;password=hunter2", "postgres://host/***"),
            ("amqp://u:hunter2@a,amqp://u:hunter2@b", "amqp://***"),
            ("amqp://a:1/v,amqp://u:hunter2@b", "amqp://***"),
            ("amqp://host:99999", "amqp://***"),
        ] {
            assert_eq!(VisibleUrl::of(url).unwrap().to_string(), shown, "{url}");
        }
        for text in [
            "hunter2",
            "host=x password=hunter2",
            "hun ter2://x",
            "://hunter2",
            "",
        ] {
            assert_eq!(VisibleUrl::of(text), None, "{text}");
        }
        let address = |url| VisibleUrl::of(url).unwrap().address();
        assert_eq!(address("amqp://u:hunter2@host:1/v?x=hunter2"), "amqp://host:1/v");
        assert_eq!(address("amqp://u:hunter2"), "amqp://***");
    }

    #[test]
    fn texts_hide_urls_and_keys_and_nothing_else() {
        assert_eq!(text("orders"), "orders");
        assert_eq!(text("smtp://me:hunter2@host"), "smtp://***@host");
        assert_eq!(text("see smtp://me:hunter2@host"), "***");
        assert_eq!(text("me:hunter2@host"), "***");
        assert_eq!(text("me@host"), "me@host");
        assert_eq!(text("-----BEGIN PRIVATE KEY-----\nhunter2"), "***");
    }

    #[test]
    fn whatever_an_error_repeats_of_a_url_is_taken_out() {
        for between in [
            "", "%40", "%2F", "/", "@", "?", "#", ":", ",", "&", " ", "%zz", "%00", "%22", "+", "=", ";",
        ] {
            let secret = format!("hun{between}ter2");
            for url in [
                format!("mysql://app:{secret}@host/db"),
                format!("mysql://{secret}@host/db"),
                format!("mysql://host/db?mode={secret}"),
                format!("mysql://host/db?mode=x&{secret}#y"),
                format!("mysql://host/db?mode=x#{secret}"),
                format!("mysql:app:{secret}@host"),
            ] {
                // Before a colon is the name of a user, which may be told.
                // And before an equals sign that of a parameter.
                if url.starts_with("mysql://hun") && between == ":"
                    || url.contains("&hun=")
                    || url.contains("#hun=")
                {
                    continue;
                }
                let read = decoded(&secret);
                let told = format!("{secret} {secret:?} {read} {read:?} {}", read.escape_default());
                let error = RedactedError::new(&std::io::Error::other(told), &url);
                let text = error.to_string();
                assert!(!text.contains("hun") && !text.contains("ter2"), "{url}: {text}");
            }
        }
    }

    #[test]
    fn errors_keep_causes_and_lose_urls() {
        let url = "postgres://me:hun%74er2@host/db?sslmode=hun%74er3&sslpassword=hunter4";
        let quoted = std::io::Error::other(format!("unknown {:?}", "hun\0ter\"5"));
        let redacted = RedactedError::new(&quoted, "mysql://host/db?ssl-mode=hun%00ter%225");
        assert_eq!(redacted.to_string(), "unknown \"***\"");
        let cause = std::io::Error::other("hunter3 is no mode; host, hun%74er2, hunter2 and hunter4");
        let error = RedactedError::new(&cause, url);
        assert_eq!(error.to_string(), "*** is no mode; host, ***, *** and ***");
        let outer = RedactedError {
            text: "outer".into(),
            source: Some(Box::new(error)),
        };
        let copied = RedactedError::new(&outer, url);
        assert_eq!(
            copied.source().unwrap().to_string(),
            "*** is no mode; host, ***, *** and ***"
        );
    }
}
