//! RabbitMQ: a broker that the environment names, else a private one, else a container.

mod container;
mod named;
mod private;

use std::time::{Duration, Instant};

use private_rabbitmq::Install;

use super::{Service, install};
use crate::error::{Error, Result, failed};
use crate::stop::Stop;

/// Where the tests find the broker.
const URL: &str = "BRIGHTER_TEST_RABBITMQ_URL";
/// A `rabbitmqctl` for that broker, where there is one.
const CTL: &str = "BRIGHTER_TEST_RABBITMQ_CTL";

/// How long a broker may take to start.
const START: Duration = Duration::from_secs(60);

const NOT_HERE: &str = "\
the tests need a RabbitMQ broker and none could be found or set up. Do one of these: install RabbitMQ (Debian, Ubuntu: \
`apt-get install rabbitmq-server`; macOS: `brew install rabbitmq`; it need not be running, a private one is started); \
or start Docker or Podman; or name a broker that the tests may use, as in \
`BRIGHTER_TEST_RABBITMQ_URL=amqp://guest:guest@localhost:5672/%2f cargo xtask test`.";

/// Finds a broker or sets one up, in the order of least surprise.
pub(super) fn start(stop: &Stop) -> Result<Box<dyn Service>> {
    if let Some(named) = named::from_environment()? {
        return Ok(Box::new(named));
    }
    let mut tried = Vec::new();
    if Install::find().is_none()
        && let Err(error) = install::install("RabbitMQ", &["rabbitmq-server"], stop)
    {
        tried.push(keep_stop(error)?);
    }
    if let Some(install) = Install::find() {
        // What is installed but does not start is a mistake to be seen, not one to be worked around.
        return Ok(Box::new(private::Private::start(&install, stop)?));
    }
    match container::Container::start(stop) {
        Ok(container) => return Ok(Box::new(container)),
        Err(error) => tried.push(keep_stop(error)?),
    }
    Err(failed(format_args!(
        "{NOT_HERE}\nTried:\n  {}",
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

/// Waits until a broker speaks AMQP, for as long as what runs it is alive.
fn until_up(address: &str, stop: &Stop, mut alive: impl FnMut() -> Result) -> Result {
    let deadline = Instant::now() + START;
    loop {
        let Err(error) = private_rabbitmq::version(address) else {
            return Ok(());
        };
        alive()?;
        if Instant::now() > deadline {
            return Err(failed(format_args!(
                "RabbitMQ was not up within {} s: {error}",
                START.as_secs()
            )));
        }
        stop.tick()?;
    }
}
