//! The databases: for each a server that the environment names, else a private one, else one in a container.

mod container;
mod mariadb;
mod named;
mod postgres;
mod private;
mod probe;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Service, install};
use crate::error::{Error, Result, failed};
use crate::stop::Stop;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);

/// What there is to know of one kind of database.
struct Kind {
    name: &'static str,
    /// The variable by which the tests find the server.
    url: &'static str,
    schemes: &'static [&'static str],
    /// Where it listens unless told otherwise.
    port: u16,
    /// The database of a server set up here that the URL names.
    database: &'static str,
    /// What apt calls the packages with the programs.
    packages: &'static [&'static str],
    image: &'static str,
    /// What the image wants to know of the user whose password this is.
    image_environment: fn(password: &str) -> Vec<String>,
    image_user: &'static str,
    /// The programs, if they are on this machine.
    find: fn() -> Option<Programs>,
    /// How to make the data folder and to start a server on it.
    prepare: fn(&Programs, &private::Place) -> Result<Command>,
    /// What ends the server without a trace on the machine; its data is thrown away.
    end: &'static str,
    /// Asks a server whether it can be used; gives its version, if it tells before anyone logs in.
    probe: fn(address: &str) -> Result<Option<String>>,
    /// What to do about it when there is none.
    advice: &'static str,
}

/// The programs of an installed server.
struct Programs {
    server: PathBuf,
    /// Makes a data folder.
    initialise: PathBuf,
}

/// Finds a PostgreSQL server or sets one up.
pub(super) fn postgres(stop: &Stop) -> Result<Box<dyn Service>> {
    start(&postgres::KIND, stop)
}

/// Finds a MySQL or MariaDB server or sets one up.
pub(super) fn mysql(stop: &Stop) -> Result<Box<dyn Service>> {
    start(&mariadb::KIND, stop)
}

fn start(kind: &'static Kind, stop: &Stop) -> Result<Box<dyn Service>> {
    if let Some(named) = named::from_environment(kind)? {
        return Ok(Box::new(named));
    }
    let mut tried = Vec::new();
    if (kind.find)().is_none()
        && let Err(error) = install::install(kind.name, kind.packages, stop)
    {
        tried.push(keep_stop(error)?);
    }
    if let Some(programs) = (kind.find)() {
        // What is installed but does not start is a mistake to be seen, not one to be worked around.
        return Ok(Box::new(private::Private::start(kind, &programs, stop)?));
    }
    match container::Container::start(kind, stop) {
        Ok(container) => return Ok(Box::new(container)),
        Err(error) => tried.push(keep_stop(error)?),
    }
    let (name, url, advice) = (kind.name, kind.url, kind.advice);
    Err(failed(format_args!(
        "the tests need a {name} server and none could be found or set up. Do one of these: {advice}; or start Docker \
         or Podman; or name in {url} a server on which the tests may make databases of their own.\nTried:\n  {}",
        tried.join("\n  ")
    )))
}

/// A failure is one more thing that was tried; a signal ends it all.
fn keep_stop(error: Error) -> Result<String> {
    match error {
        Error::Stopped => Err(error),
        Error::Usage(text) | Error::Failed(text) => Ok(text),
    }
}

/// Waits until a server can be used, for as long as what runs it is alive.
fn until_up(kind: &Kind, address: &str, stop: &Stop, mut alive: impl FnMut() -> Result) -> Result {
    let deadline = Instant::now() + START;
    loop {
        let Err(error) = (kind.probe)(address) else {
            return Ok(());
        };
        alive()?;
        if Instant::now() > deadline {
            let (name, seconds) = (kind.name, START.as_secs());
            return Err(failed(format_args!(
                "{name} was not up within {seconds} s: {error}"
            )));
        }
        stop.tick()?;
    }
}

/// The name with the version behind it, if there is one.
fn with_version(kind: &Kind, version: Option<String>) -> String {
    match version {
        Some(version) => format!("{} {version}", kind.name),
        None => kind.name.to_owned(),
    }
}
