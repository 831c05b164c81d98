//! A server: one that the environment names, else a private one, else one in a container.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::container::Container;
use crate::install;
use crate::keeper::{Keeper, Lifeline, folder};
use crate::programs::{free_port, password};
use crate::servers::Running;
use crate::system::System;

/// What there is to know of one kind of server.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The variable by which the tests find it.
    pub(crate) url: &'static str,
    pub(crate) schemes: &'static [&'static str],
    /// Where it listens unless told otherwise.
    pub(crate) port: u16,
    /// The path of the URL of a server that is started here.
    pub(crate) path: &'static str,
    /// Asks the server at an address whether it can be used. Returns its version, if it tells it before a login.
    pub(crate) ask: fn(address: &str) -> Result<Option<String>>,
    pub(crate) is_installed: fn() -> bool,
    /// The packages of Debian that have the programs.
    pub(crate) packages: &'static [&'static str],
    /// Starts a private one.
    pub(crate) start: fn() -> Result<Box<dyn Running>>,
    pub(crate) image: &'static str,
    /// The variable by which the image takes the password of [`image_user`](Self::image_user).
    pub(crate) image_password: &'static str,
    pub(crate) image_user: &'static str,
    pub(crate) advice: &'static str,
}

impl Kind {
    /// Returns the line for people.
    pub(crate) fn describe(&self, address: &str, origin: &str) -> Result<String> {
        let version = (self.ask)(address)?.map_or_else(String::new, |version| format!(" {version}"));
        Ok(format!("{}{version}, {origin}", self.name))
    }

    pub(crate) fn url(&self, user: &str, password: &str, address: &str) -> String {
        format!("{}://{user}:{password}@{address}/{}", self.schemes[0], self.path)
    }
}

/// Finds a server or starts one.
pub(crate) fn find_or_start(kind: &'static Kind) -> Result<Box<dyn Running>> {
    if let Ok(url) = std::env::var(kind.url)
        && !url.is_empty()
    {
        let address = address(kind, &url)?;
        return Ok(Box::new(Named { kind, address, url }));
    }
    let mut tried = Vec::new();
    if let Some(root) = System::of_environment().root() {
        // Another version than the one that was asked for would be no answer.
        return (kind.start)()
            .with_context(|| format!("could not start {} of {}", kind.name, root.display()));
    }
    if !(kind.is_installed)() {
        tried.extend(install::install(kind.name, kind.packages).err());
    }
    if (kind.is_installed)() {
        // What is installed but does not start is a mistake to be seen, not one to be worked around.
        return (kind.start)();
    }
    match Container::start(kind) {
        Ok(container) => return Ok(Box::new(container)),
        Err(error) => tried.push(error),
    }
    let tried: String = tried.iter().map(|error| format!("\n  {error:#}")).collect();
    bail!(
        "the tests need {}, and none could be found or set up. Do one of these: {} (it need not run, a private one is \
         started); or start Docker or Podman; or name in {} one that the tests may use.\nTried:{tried}",
        kind.name,
        kind.advice,
        kind.url,
    )
}

/// A server that the environment names: nothing is started or taken down.
struct Named {
    kind: &'static Kind,
    /// `host:port`, which may be shown.
    address: String,
    url: String,
}

/// The `host:port` of a URL. An error does not repeat the URL, for it may hold a password.
fn address(kind: &Kind, url: &str) -> Result<String> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if kind.schemes.contains(&scheme) => rest,
        _ => bail!("{} must begin with {}://", kind.url, kind.schemes.join(":// or ")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.is_empty() {
        bail!("{} names no host", kind.url);
    }
    // The colons of an IPv6 address stand inside brackets.
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    Ok(match has_port {
        true => host.to_owned(),
        // RabbitMQ's TLS is one port below.
        false if url.starts_with("amqps") => format!("{host}:{}", kind.port - 1),
        false => format!("{host}:{}", kind.port),
    })
}

impl Running for Named {
    fn describe(&self) -> Result<String> {
        let Self { kind, address, url } = self;
        let origin = format!("{address}, named by {}", kind.url);
        if url.starts_with("amqps") {
            return Ok(format!(
                "{} (not asked, as it is behind TLS), {origin}",
                kind.name
            ));
        }
        let described = kind.describe(address, &origin);
        described.with_context(|| format!("could not use the server that {} names", kind.url))
    }

    /// Those that the environment already has, so that a `rabbitmqctl` beside the URL stays.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let ctl = std::env::var(crate::rabbitmq::CTL).ok();
        let ctl = ctl.map(|ctl| (crate::rabbitmq::CTL, ctl));
        ctl.into_iter()
            .chain([(self.kind.url, self.url.clone())])
            .collect()
    }

    fn into_lifeline(self: Box<Self>) -> Option<Lifeline> {
        None
    }
}

/// The user of a private database server, who may do everything.
pub(crate) const USER: &str = "brighter";

/// A private database server.
pub(crate) struct Database {
    kind: &'static Kind,
    keeper: Keeper,
    address: String,
    password: String,
}

/// Where a private database server lives.
pub(crate) struct Place<'a> {
    /// Whose programs run it.
    pub(crate) system: &'a System,
    pub(crate) folder: &'a Path,
    pub(crate) port: u16,
    pub(crate) password: &'a str,
}

impl Database {
    /// Starts the server of the command that `prepare` returns; the signal `end` ends it without a trace.
    pub(crate) fn start(
        kind: &'static Kind,
        end: &'static str,
        prepare: impl FnOnce(&Place<'_>) -> Result<Command>,
    ) -> Result<Box<dyn Running>> {
        let (folder, [port], password) = (folder(kind.name)?, free_port()?, password()?);
        let system = &System::of_environment();
        let mut server = prepare(&Place {
            system,
            folder: folder.path(),
            port,
            password: &password,
        })?;
        let keeper = Keeper::start(kind.name, folder, server.env("END", end))?;
        let address = format!("127.0.0.1:{port}");
        keeper.until_up(|| (kind.ask)(&address))?;
        Ok(Box::new(Self {
            kind,
            keeper,
            address,
            password,
        }))
    }
}

impl Running for Database {
    fn describe(&self) -> Result<String> {
        let described = self.kind.describe(&self.address, "private, started for this run");
        described.map_err(|error| self.keeper.with_log(error))
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.kind.url(USER, &self.password, &self.address);
        vec![(self.kind.url, url)]
    }

    fn into_lifeline(self: Box<Self>) -> Option<Lifeline> {
        Some(self.keeper.into_lifeline())
    }
}

#[cfg(test)]
mod tests {
    use super::address;
    use crate::{mariadb, postgres, rabbitmq};

    #[test]
    fn only_the_address_is_kept_of_a_url() {
        for (kind, url, expected) in [
            (
                &rabbitmq::KIND,
                "amqp://me:p@ss@rabbit:5673/%2f?heartbeat=5",
                "rabbit:5673",
            ),
            (&rabbitmq::KIND, "amqps://me:secret@rabbit/vhost", "rabbit:5671"),
            (&rabbitmq::KIND, "amqp://[::1]/", "[::1]:5672"),
            (&postgres::KIND, "postgresql://localhost/app", "localhost:5432"),
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
