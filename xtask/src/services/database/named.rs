//! A server that the environment names: nothing is started, nothing is taken down.

use super::{Kind, with_version};
use crate::error::{Doing, Result, failed};
use crate::services::Service;

/// The server behind the variable of its kind.
pub(super) struct Named {
    kind: &'static Kind,
    /// `host:port`; the rest of the URL, with its password, is not kept.
    address: String,
}

/// The named server, if the environment names one.
pub(super) fn from_environment(kind: &'static Kind) -> Result<Option<Named>> {
    match std::env::var(kind.url) {
        Ok(url) if !url.is_empty() => {
            let address = address(kind, &url)?;
            Ok(Some(Named { kind, address }))
        }
        _ => Ok(None),
    }
}

fn address(kind: &Kind, url: &str) -> Result<String> {
    let variable = kind.url;
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if kind.schemes.contains(&scheme) => rest,
        _ => {
            let schemes = kind.schemes.join(":// or ");
            return Err(failed(format_args!("{variable} must begin with {schemes}://")));
        }
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.is_empty() {
        return Err(failed(format_args!("{variable} names no host")));
    }
    // The colons of an IPv6 address stand inside brackets; one after them begins the port.
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    Ok(match has_port {
        true => host.to_owned(),
        false => format!("{host}:{}", kind.port),
    })
}

impl Service for Named {
    fn describe(&self) -> Result<String> {
        let Self { kind, address } = self;
        let variable = kind.url;
        let version = (kind.probe)(address).doing(format_args!("use the server that {variable} names"))?;
        Ok(format!(
            "{}, {address}, named by {variable}",
            with_version(kind, version)
        ))
    }

    /// Nothing: the tests inherit what the environment already has.
    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::address;
    use crate::services::database::{mariadb, postgres};

    #[test]
    fn only_the_address_is_kept_of_a_url() {
        for (kind, url, expected) in [
            (&postgres::KIND, "postgres://localhost/app", "localhost:5432"),
            (&postgres::KIND, "postgresql://me:p@ss@db:5433", "db:5433"),
            (&mariadb::KIND, "mysql://me:secret@db/app?x=y", "db:3306"),
            (&mariadb::KIND, "mariadb://[::1]:7/", "[::1]:7"),
        ] {
            assert_eq!(address(kind, url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn a_refused_url_is_not_repeated() {
        let error = address(&mariadb::KIND, "http://me:secret@db").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
