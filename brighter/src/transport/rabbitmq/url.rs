//! The URL of a broker: read strictly, and shown without its secret.

use std::fmt;

use lapin::uri::AMQPUri;

use super::ConnectError;
use crate::message::MAX_NAME_BYTES;

/// Where a broker is, and who we are to it. Prints without the credentials.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) uri: AMQPUri,
    shown: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, ConnectError> {
        let wrong = |reason: &str| ConnectError::Url {
            reason: reason.into(),
        };
        if !["amqp://", "amqps://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(wrong("it must begin with `amqp://` or `amqps://`"));
        }
        // What the parser says may repeat the URL, and with it the password.
        let mut uri: AMQPUri = url.parse().map_err(|_| {
            wrong("it must look like `amqp://user:password@host:5672/vhost`, with `/` in a vhost as `%2f`, and other special characters escaped alike")
        })?;
        if let Some(host) = ipv6(url) {
            // lapin takes every IPv6 address for `localhost`.
            uri.authority.host = host.to_owned();
        }
        if uri.authority.host.is_empty() {
            return Err(wrong("it names no host"));
        }
        if uri.vhost.len() > MAX_NAME_BYTES {
            return Err(wrong("its virtual host has more than 255 bytes"));
        }
        let shown = without_credentials(url);
        Ok(Self { uri, shown })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn ipv6(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(host, _)| host)
}

/// The URL without user, password, query and fragment: fit for a log.
///
/// Whatever the text is, what stands before its last `@` is left out: a password with a bare `/` or `@` in it
/// does not come through.
///
/// ```
/// use brighter::transport::rabbitmq::without_credentials;
///
/// let shown = without_credentials("amqp://guest:secret@localhost:5672/%2f?heartbeat=5");
/// assert_eq!(shown, "amqp://localhost:5672/%2f");
/// ```
#[must_use]
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => (scheme, rest),
        _ => ("", url),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let place = rest.split(['?', '#']).next().unwrap_or_default();
    let place: String = place.chars().filter(|c| !c.is_control()).collect();
    match scheme {
        "" => place,
        scheme => format!("{scheme}://{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_come_through() {
        for (url, shown) in [
            ("amqp://u:secret@host:1/v", "amqp://host:1/v"),
            ("amqps://u:sec/ret@host", "amqps://host"),
            ("amqp://u:sec@ret@host/%2f", "amqp://host/%2f"),
            ("amqp://u:sec#ret@host", "amqp://host"),
            ("amqp://host/v?password=secret", "amqp://host/v"),
            ("u:secret@host", "host"),
            ("amqp://[::1]:5672", "amqp://[::1]:5672"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
    }

    #[test]
    fn nonsense_is_refused_without_repeating_it() {
        for url in [
            "",
            "localhost",
            "http://u:secret@host",
            "amqp:u:secret@host",
            "amqp://u:secret@host:port/",
            "amqp://u:secret@host:99999/",
            "amqp://u:secret@host/?heartbeat=secret",
            "amqp://u:secret%ff@host/",
            &format!("amqp://u:secret@host/{}", "v".repeat(256)),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, ConnectError::Url { .. }), "{url}");
            let said = format!("{error} {error:?}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn addresses_are_read() {
        let address = Address::parse("amqp://u:secret@[::1]:5673/%2f").unwrap();
        assert_eq!(address.uri.authority.host, "::1");
        assert_eq!(address.uri.vhost, "/");
        assert_eq!(
            format!("{address:?} {address}"),
            "amqp://[::1]:5673/%2f amqp://[::1]:5673/%2f"
        );
        assert_eq!(Address::parse("amqp://host").unwrap().uri.vhost, "/");
    }
}
