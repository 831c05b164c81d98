//! The servers that tests talk to: found on the machine or set up for one run.

mod database;
pub(crate) mod install;
mod pika;
mod promtool;
mod rabbitmq;

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use crate::Call;
use crate::error::{Error, Result, failed};
use crate::stop::Stop;

/// A server that is up. Dropping it takes down what was started for it.
pub(crate) trait Service: Send {
    /// One line for people: its name, the version it answers with now, and where it came from. Asks the server,
    /// so that an error means that it is not there. Never holds a password.
    fn describe(&self) -> Result<String>;

    /// The environment by which the tests find it; `None` takes a variable away.
    fn environment(&self) -> Vec<(&'static str, Option<String>)>;
}

/// Every service, up.
pub(crate) struct Services(Vec<Box<dyn Service>>);

/// Finds a service or sets it up.
type Start = fn(&Stop) -> Result<Box<dyn Service>>;

const ALL: &[(&str, Start)] = &[
    ("rabbitmq", rabbitmq::start),
    ("postgres", database::postgres),
    ("mysql", database::mysql),
    ("pika", pika::start),
    ("promtool", promtool::start),
];

/// Starts every service that the tests need.
pub(crate) fn start(stop: &Stop) -> Result<Services> {
    start_some(&ALL.iter().map(|(name, _)| *name).collect(), stop)
}

/// Starts those with these names, all at the same time: a run waits for the slowest.
pub(crate) fn start_some(names: &BTreeSet<&str>, stop: &Stop) -> Result<Services> {
    if let Some(name) = names
        .iter()
        .find(|name| ALL.iter().all(|(known, _)| known != *name))
    {
        return Err(failed(format_args!("there is no service `{name}`")));
    }
    let wanted = ALL.iter().filter(|(name, _)| names.contains(name));
    let started: Vec<Result<Box<dyn Service>>> = thread::scope(|scope| {
        let starting: Vec<_> = wanted.map(|(_, start)| scope.spawn(|| start(stop))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|_| Err(failed("xtask panicked while it started a service")))
        };
        starting.into_iter().map(join).collect()
    });
    let (mut services, mut errors) = (Vec::new(), Vec::new());
    for result in started {
        match result {
            Ok(service) => services.push(service),
            Err(Error::Stopped) => return Err(Error::Stopped),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok(Services(services))
    } else {
        Err(failed(errors.join("\n")))
    }
}

/// `cargo xtask services`.
pub(crate) fn run(call: &Call) -> Result {
    if let Some(arg) = call.args.first() {
        return Err(Error::Usage(format!(
            "`services` takes no arguments, but was given `{arg}`"
        )));
    }
    let services = start(&call.stop)?;
    services.report()?;
    for (name, value) in services.environment() {
        match value {
            Some(value) => println!("export {name}={}", quoted(&value)),
            None => println!("unset {name}"),
        }
    }
    eprintln!("services: up; ctrl-c takes them down");
    while call.stop.tick().is_ok() {}
    Ok(())
}

impl Services {
    /// Prints one line for each service; an error if one of them does not answer.
    pub(crate) fn report(&self) -> Result {
        let mut silent = Vec::new();
        for service in &self.0 {
            match service.describe() {
                Ok(line) => eprintln!("services: {line}"),
                Err(error) => silent.push(error.to_string()),
            }
        }
        if silent.is_empty() {
            Ok(())
        } else {
            Err(failed(silent.join("\n")))
        }
    }

    /// Gives a command the environment of every service.
    pub(crate) fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for (name, value) in self.environment() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn environment(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        self.0.iter().flat_map(|service| service.environment())
    }
}

/// A word that a POSIX shell reads back unchanged.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quote_survives_the_shell() {
        assert_eq!(quoted("amqp://it's"), r"'amqp://it'\''s'");
    }
}
