//! [`Servers`]: all that the tests of one run need.

use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow, bail};

use crate::keeper::Lifeline;
use crate::{mariadb, postgres, rabbitmq, server, tools};

/// Something that tests need, and that is there. Dropping it takes down what was started for it.
pub(crate) trait Running: Send {
    /// Returns one line for people: the name, the version that it answers with now, and where it is from. It is an
    /// error if there is no answer. The line holds no password.
    fn describe(&self) -> Result<String>;

    /// Returns the values of [`Need::variables`], as far as it has them.
    fn variables(&self) -> Vec<(&'static str, String)>;

    /// Returns what takes it down, if there is anything to take down.
    fn into_lifeline(self: Box<Self>) -> Option<Lifeline>;
}

/// Something that tests need.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// By which tests find it.
    pub(crate) variables: &'static [&'static str],
    pub(crate) start: fn() -> Result<Box<dyn Running>>,
}

pub(crate) const NEEDS: &[Need] = &[
    Need {
        name: "rabbitmq",
        variables: &[rabbitmq::KIND.url, rabbitmq::CTL],
        start: || server::find_or_start(&rabbitmq::KIND),
    },
    Need {
        name: "postgres",
        variables: &[postgres::KIND.url],
        start: || server::find_or_start(&postgres::KIND),
    },
    Need {
        name: "mysql",
        variables: &[mariadb::KIND.url],
        start: || server::find_or_start(&mariadb::KIND),
    },
    Need {
        name: "pika",
        variables: &[tools::PIKA],
        start: tools::pika,
    },
    Need {
        name: "promtool",
        variables: &[tools::PROMTOOL],
        start: tools::promtool,
    },
];

/// What the tests of one run need, up. Dropping it takes down what was started.
pub struct Servers(Vec<(&'static Need, Box<dyn Running>)>);

impl Servers {
    /// Finds or starts those with these names, or all if there are none.
    pub fn start(names: &[&str]) -> Result<Self> {
        if let Some(name) = names
            .iter()
            .find(|name| NEEDS.iter().all(|need| need.name != **name))
        {
            bail!("there is no server `{name}`");
        }
        let wanted = NEEDS
            .iter()
            .filter(|need| names.is_empty() || names.contains(&need.name));
        // At the same time: a run waits for the slowest.
        let started: Vec<_> = thread::scope(|scope| {
            let starting: Vec<_> = wanted.map(|need| (need, scope.spawn(need.start))).collect();
            let joined = starting.into_iter().map(|(need, thread)| (need, thread.join()));
            joined.collect()
        });
        let (mut servers, mut errors) = (Vec::new(), Vec::new());
        for (need, result) in started {
            match result {
                Ok(Ok(running)) => servers.push((need, running)),
                Ok(Err(error)) => errors.push(format!("{error:#}")),
                Err(_) => errors.push(format!("the start of {} panicked", need.name)),
            }
        }
        told(errors)?;
        Ok(Self(servers))
    }

    /// Prints one line for each.
    pub fn report(&self) -> Result<()> {
        let mut errors = Vec::new();
        for (_, server) in &self.0 {
            match server.describe() {
                Ok(line) => eprintln!("servers: {line}"),
                Err(error) => errors.push(format!("{error:#}")),
            }
        }
        told(errors)
    }

    /// Returns the variables by which tests find the servers; `None` takes away what belongs to another server.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        self.0.iter().flat_map(|(need, server)| {
            let mut values = server.variables();
            need.variables.iter().map(move |name| {
                let at = values.iter().position(|(of, _)| of == name);
                (*name, at.map(|at| values.swap_remove(at).1))
            })
        })
    }

    /// Gives a command the variables of the servers.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for (name, value) in self.variables() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

fn told(errors: Vec<String>) -> Result<()> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(anyhow!(errors.join("\n"))),
    }
}
