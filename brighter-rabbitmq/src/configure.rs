//! What a configuration says of RabbitMQ.

use super::url::Nodes;
use super::{ConnectError, ExchangeKind, RabbitMq, RabbitMqBuilder, Tls};
use brighter_config::{Config, ConfigError, ConfigErrors, Problem};
use brighter_core::__private::report;
use brighter_core::channel::{MakeChannel, QueueType};

const SECTION: &str = "rabbitmq";

impl RabbitMqBuilder {
    /// Says how to connect to RabbitMQ, as the section `rabbitmq` has it.
    ///
    /// ```
    /// use brighter::config::Config;
    /// use brighter::transport::rabbitmq::RabbitMqBuilder;
    ///
    /// # fn main() -> Result<(), brighter::config::ConfigErrors> {
    /// let config = Config::loader()
    ///     .variables([("BRIGHTER_RABBITMQ_URL", "amqp://guest:guest@localhost:5672/%2f")])
    ///     .load()?;
    /// let builder = RabbitMqBuilder::from_config(&config)?;
    /// # let _ = builder;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Nobody says where the broker is, or what they say is no URL.
    pub fn from_config(config: &Config) -> Result<Self, ConfigErrors> {
        let entry = config.entry(SECTION);
        let Some((entry, url)) = entry.and_then(|entry| Some((entry, entry.secret("url")?))) else {
            return Err(ConfigErrors::from(ConfigError::new(
                entry.map_or_else(|| config.origin(SECTION, "url"), |entry| entry.origin.clone()),
                Problem::Missing {
                    key: "rabbitmq.url".to_owned(),
                    what: "say where the broker is by `url` or `url_file` in `[rabbitmq]`, `BRIGHTER_RABBITMQ_URL` or \
                           `BRIGHTER_RABBITMQ_URL_FILE`: `amqp://user:password@host:5672/vhost`"
                        .to_owned(),
                },
            )));
        };
        let url = url.expose().to_owned();
        if let Err(error) = Nodes::parse(std::slice::from_ref(&url)) {
            let reason = match error {
                ConnectError::Url { reason } => reason.to_string(),
                other => report(&other),
            };
            return Err(ConfigErrors::from(config.impossible(SECTION, "url", reason)));
        }
        let mut builder = RabbitMq::builder(&url);
        let text = |key| entry.text(key);
        if let Some(name) = text("exchange") {
            builder.exchange = name.to_owned();
        }
        if let Some(kind) = text("exchange_kind") {
            builder.exchange_kind = match kind {
                "direct" => ExchangeKind::Direct,
                "fanout" => ExchangeKind::Fanout,
                _ => ExchangeKind::Topic,
            };
        }
        if let Some(make) = text("make_exchange") {
            builder.make_exchange = MakeChannel::configured(make);
        }
        if let Some(queue_type) = text("queue_type") {
            builder.queue_type = Some(QueueType::configured(queue_type));
        }
        if let Some(timeout) = entry.time_or_none("consumer_timeout") {
            builder.consumer_timeout = timeout;
        }
        if let Some(name) = text("connection_name") {
            builder.connection_name = name.to_owned();
        }
        builder.heartbeat = entry.time("heartbeat").unwrap_or(builder.heartbeat);
        builder.confirm_within = entry.time("confirm_within").unwrap_or(builder.confirm_within);
        if let Some(wait) = entry.time_or_none("wait_for_broker") {
            builder.wait = wait;
        }
        builder.max_message_bytes = entry
            .size("max_message_bytes")
            .unwrap_or(builder.max_message_bytes);
        let keys = ["tls_authority", "tls_certificate", "tls_server_name"];
        if keys.iter().any(|key| entry.has(key)) {
            let mut tls = Tls::new();
            if let Some(path) = entry.path("tls_authority") {
                tls = tls.authority_file(path);
            }
            if let (Some(chain), Some(key)) = (entry.path("tls_certificate"), entry.path("tls_key")) {
                tls = tls.client_certificate_files(chain, key);
            }
            if let Some(name) = text("tls_server_name") {
                tls = tls.server_name(name);
            }
            builder = builder.tls(tls);
        }
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::SCHEMA;

    fn builder(settings: &[(String, &str)]) -> RabbitMqBuilder {
        let mut loader = Config::loader().default_of("rabbitmq.url", "amqp://localhost");
        for (key, value) in settings {
            loader = loader.set("test", format!("rabbitmq.{key}"), value);
        }
        RabbitMqBuilder::from_config(&loader.load().unwrap()).unwrap()
    }

    #[test]
    fn every_key_changes_the_builder() {
        let known = SCHEMA.iter().find(|known| known.name == SECTION).unwrap();
        let plain = shown(&builder(&[]));
        for key in known.keys.iter() {
            let value = match key.name {
                "url" => "amqps://elsewhere",
                "exchange_kind" => "fanout",
                "make_exchange" => "validate",
                "queue_type" => "quorum",
                "consumer_timeout" => "off",
                "wait_for_broker" => "forever",
                "heartbeat" | "confirm_within" => "7s",
                _ => "7",
            };
            let mut settings = vec![(key.name.to_owned(), value)];
            match key.name {
                "tls_certificate" => settings.push(("tls_key".to_owned(), "7")),
                "tls_key" => settings.push(("tls_certificate".to_owned(), "7")),
                _ => {}
            }
            assert_ne!(shown(&builder(&settings)), plain, "{}", key.name);
        }
    }

    #[test]
    fn what_the_table_says_are_the_defaults() {
        let known = SCHEMA.iter().find(|known| known.name == SECTION).unwrap();
        let defaults = known
            .keys
            .iter()
            .filter_map(|key| Some((key.name.to_owned(), key.default?)));
        assert_eq!(
            shown(&builder(&defaults.collect::<Vec<_>>())),
            shown(&builder(&[]))
        );
    }

    /// All fields, which are private for the rest of the crate.
    fn shown(builder: &RabbitMqBuilder) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            builder.urls,
            builder.tls.is_some(),
            builder.exchange,
            builder.exchange_kind,
            builder.make_exchange,
            builder.queue_type,
            builder.consumer_timeout,
            builder.connection_name,
            builder.heartbeat,
            builder.confirm_within,
            builder.wait,
            builder.max_message_bytes
        )
    }

    #[test]
    fn a_url_that_is_none_is_told_with_its_variable_and_without_its_password() {
        let config = Config::loader()
            .variables([("BRIGHTER_RABBITMQ_URL", "http://me:hidden@host")])
            .load()
            .unwrap();
        let error = RabbitMqBuilder::from_config(&config).unwrap_err().to_string();
        assert_eq!(
            error,
            "BRIGHTER_RABBITMQ_URL: `rabbitmq.url` cannot be ***: it must begin with `amqp://` or `amqps://`"
        );
    }
}
