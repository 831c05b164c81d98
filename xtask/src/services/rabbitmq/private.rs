//! A broker of our own from an installed RabbitMQ, as a service of the tests.

use private_rabbitmq::{Broker, Install, Settings};

use super::{CTL, URL};
use crate::error::Result;
use crate::services::Service;
use crate::stop::Stop;

/// A broker started for this run.
pub(super) struct Private(Broker);

impl Private {
    /// Starts a broker and waits until it speaks AMQP.
    pub(super) fn start(install: &Install, stop: &Stop) -> Result<Self> {
        let broker = Broker::launch(install, Settings::default())?;
        broker.until_up(|| stop.tick())?;
        Ok(Self(broker))
    }
}

impl Service for Private {
    fn describe(&self) -> Result<String> {
        let version = self.0.version()?;
        Ok(format!("RabbitMQ {version}, private, started for this run"))
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            (URL, Some(self.0.url())),
            (CTL, Some(self.0.ctl().display().to_string())),
        ]
    }
}
