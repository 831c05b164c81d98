//! The URL of a broker: parsed strictly, and shown without its credentials.

use std::fmt;

use lapin::uri::{AMQPScheme, AMQPUri};

use super::ConnectError;
use brighter_core::__private::redact::{HIDDEN, VisibleUrl};
use brighter_core::message::MAX_NAME_BYTES;

/// The nodes of a broker. A connection to any one of them suffices.
#[derive(Clone)]
pub(super) struct BrokerNodes(Vec<Address>);

impl BrokerNodes {
    /// Parses the URLs. Each text may contain several, separated by commas.
    pub(super) fn parse(urls: &[String]) -> Result<Self, ConnectError> {
        let found: Result<Vec<_>, _> = urls
            .iter()
            .flat_map(|urls| split(urls))
            .map(Address::parse)
            .collect();
        match found? {
            none if none.is_empty() => Err(ConnectError::of_round(Vec::new())),
            some => Ok(Self(some)),
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Address> {
        self.0.iter_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Address> {
        self.0.iter()
    }

    /// Returns whether there are several nodes.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }
}

impl fmt::Display for BrokerNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, address) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for BrokerNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// Reads URLs, and returns what is shown of them. Not for people: it is the entry of a fuzz target.
///
/// # Errors
/// One of them is none of a broker.
#[doc(hidden)]
pub fn read_urls(urls: &str) -> Result<String, ConnectError> {
    let nodes = BrokerNodes::parse(&[urls.to_owned()])?;
    Ok(format!("{nodes} {nodes:?}"))
}

/// Splits at the commas that precede a URL: a password may contain other commas.
pub(super) fn split(urls: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begin = 0;
    for (at, _) in urls.match_indices(',') {
        let next = urls[at + 1..].trim_start();
        if SCHEMES.iter().any(|scheme| next.starts_with(scheme)) {
            found.push(urls[begin..at].trim());
            begin = at + 1;
        }
    }
    found.push(urls[begin..].trim());
    found
}

/// The largest frame, unless the URL sets another: the value that RabbitMQ itself proposes.
///
/// lapin reserves buffers for 32 frames in each direction before it connects, which costs nothing until they are used.
/// If it must learn the size from the broker, it fills the buffers with zeros afterwards: 8 MB for each connection.
const FRAME_MAX: u32 = 131_072;

const SCHEMES: [&str; 2] = ["amqp://", "amqps://"];

/// The address of a node, with the credentials. Prints without the credentials.
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
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(wrong("it must begin with `amqp://` or `amqps://`"));
        }
        // The error of the parser may contain the URL, and with it the password.
        let mut uri: AMQPUri = url.parse().map_err(|_| {
            wrong("it must look like `amqp://user:password@host:5672/vhost`, with `/` in a vhost as `%2f`, and other special characters escaped alike")
        })?;
        if let Some(host) = ipv6(url) {
            // lapin parses every IPv6 address as `localhost`.
            uri.authority.host = host.to_owned();
        }
        if uri.authority.host.is_empty() {
            return Err(wrong("it names no host"));
        }
        if uri.vhost.len() > MAX_NAME_BYTES {
            return Err(wrong("its virtual host has more than 255 bytes"));
        }
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        let shown = without_credentials(url);
        Ok(Self { uri, shown })
    }

    pub(super) fn speaks_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
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

/// Returns the URL without user, password, query and fragment, so that it can be logged.
///
/// Of a URL that can be read in several ways, as with a bare `/` or `@` in its password, or whose host is none, `***`
/// stands in place of all that follows the scheme. A text that is no URL is `***`.
///
/// ```
/// use brighter::transport::rabbitmq::without_credentials;
///
/// let shown = without_credentials("amqp://guest:secret@localhost:5672/%2f?heartbeat=5");
/// assert_eq!(shown, "amqp://localhost:5672/%2f");
/// assert_eq!(without_credentials("amqp://guest:secret"), "amqp://***");
/// ```
#[must_use]
pub fn without_credentials(url: &str) -> String {
    match VisibleUrl::of(url) {
        Some(url) => url.address(),
        None => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_come_through() {
        for (url, shown) in [
            ("amqp://u:secret@host:1/v", "amqp://host:1/v"),
            ("amqps://u:sec/ret@host", "amqps://***"),
            ("amqp://u:sec@ret@host/%2f", "amqp://host/%2f"),
            ("amqp://u:sec#ret@host", "amqp://***"),
            ("amqp://u:secret", "amqp://***"),
            ("amqp://host/v?password=secret", "amqp://host/v"),
            ("u:secret@host", "***"),
            ("amqp://[::1]:5672", "amqp://[::1]:5672"),
            ("", "***"),
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

    #[test]
    fn a_frame_has_the_size_that_the_url_says() {
        let frame_max = |url| Address::parse(url).unwrap().uri.query.frame_max;
        assert_eq!(frame_max("amqp://host"), Some(FRAME_MAX));
        assert_eq!(frame_max("amqp://host/%2f?heartbeat=5"), Some(FRAME_MAX));
        assert_eq!(frame_max("amqp://host?frame_max=8192"), Some(8192));
    }
}
