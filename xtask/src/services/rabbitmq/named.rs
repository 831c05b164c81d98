//! A broker that the environment names: nothing is started, nothing is taken down.

use super::URL;
use crate::error::{Doing, Result, failed};
use crate::services::Service;

/// The broker behind `BRIGHTER_TEST_RABBITMQ_URL`.
#[derive(Debug)]
pub(super) struct Named {
    /// `host:port`; the rest of the URL, with its password, is not kept.
    address: String,
    tls: bool,
}

/// The named broker, if the environment names one.
pub(super) fn from_environment() -> Result<Option<Named>> {
    match std::env::var(URL) {
        Ok(url) if !url.is_empty() => Named::parse(&url).map(Some),
        _ => Ok(None),
    }
}

impl Named {
    fn parse(url: &str) -> Result<Self> {
        let (tls, rest) = match url.split_once("://") {
            Some(("amqp", rest)) => (false, rest),
            Some(("amqps", rest)) => (true, rest),
            _ => return Err(failed(format_args!("{URL} must begin with amqp:// or amqps://"))),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.is_empty() {
            return Err(failed(format_args!("{URL} names no host")));
        }
        // The colons of an IPv6 address stand inside brackets; one after them begins the port.
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        let address = match (has_port, tls) {
            (true, _) => host.to_owned(),
            (false, true) => format!("{host}:5671"),
            (false, false) => format!("{host}:5672"),
        };
        Ok(Self { address, tls })
    }
}

impl Service for Named {
    fn describe(&self) -> Result<String> {
        let address = &self.address;
        if self.tls {
            return Ok(format!(
                "RabbitMQ (version not asked for, as it is behind TLS), {address}, named by {URL}"
            ));
        }
        let version =
            private_rabbitmq::version(address).doing(format_args!("use the broker that {URL} names"))?;
        Ok(format!("RabbitMQ {version}, {address}, named by {URL}"))
    }

    /// Nothing: the tests inherit what the environment already has.
    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Named;

    #[test]
    fn only_the_address_is_kept_of_a_url() {
        for (url, address, tls) in [
            ("amqp://localhost", "localhost:5672", false),
            ("amqp://me:p@ss@rabbit:5673/%2f?heartbeat=5", "rabbit:5673", false),
            ("amqps://me:secret@rabbit/vhost", "rabbit:5671", true),
            ("amqp://[::1]/", "[::1]:5672", false),
            ("amqp://[::1]:7/", "[::1]:7", false),
        ] {
            let named = Named::parse(url).unwrap();
            assert_eq!((named.address.as_str(), named.tls), (address, tls), "{url}");
        }
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        let error = Named::parse("http://me:secret@rabbit").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
