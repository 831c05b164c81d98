//! The configuration section of RabbitMQ.

use std::time::Duration;

use super::headers::Headers;
use super::url::BrokerNodes;
use super::{ConnectError, ExchangeKind, RabbitMq, RabbitMqBuilder, Tls};
use brighter_config::{Config, ConfigError, ConfigErrors, Key, Origin, Problem, Section};
use brighter_core::__private::report;
use brighter_core::channel::{DeclareMode, QueueType};

const SECTION: &str = "rabbitmq";
const EXCHANGE_KINDS: &[&str] = &["topic", "direct", "fanout"];
const WITHOUT_KEY: &str = "a certificate is of no use without its key";

impl RabbitMqBuilder {
    /// Returns the section `rabbitmq`, with every key that [`from_config`](Self::from_config) reads.
    /// `brighter::config::loader()` includes it.
    pub fn section() -> Section {
        let second = Duration::from_secs(1);
        Section::new(
            SECTION,
            [
                Key::secret(
                    "url",
                    "where the broker is: `amqp://user:password@host:5672/vhost`, or several with commas between them",
                ).synonyms(&["uri", "host", "hosts", "address", "amqp_url", "connection_string", "password"]),
                Key::text(
                    "exchange",
                    "the exchange that all share who speak with each other",
                )
                .documented_default("brighter"),
                Key::one_of(
                    "exchange_kind",
                    EXCHANGE_KINDS,
                    "how it compares topics with routing keys",
                )
                .documented_default("topic"),
                Key::one_of(
                    "declare_exchange",
                    DeclareMode::WORDS,
                    "whether the exchange is made, looked for, or taken for granted",
                )
                .synonyms(&["make_exchange"])
                .documented_default("create"),
                Key::one_of(
                    "headers",
                    Headers::WORDS,
                    "the headers that messages are published with: all, with a colon too for .NET's synchronous gateway, \
                     or only what differs from a default",
                )
                .synonyms(&["both_spellings"])
                .documented_default("full"),
                Key::one_of(
                    "queue_type",
                    QueueType::WORDS,
                    "how channels are kept that do not say; else the virtual host's default",
                ),
                Key::time_or(
                    "consumer_timeout",
                    second..,
                    "off",
                    "the broker's own `consumer_timeout`, which it does not tell",
                )
                .documented_default("30m"),
                Key::text(
                    "connection_name",
                    "what the broker's lists show; else the name of the program",
                ).synonyms(&["client_name", "client_provided_name"]),
                Key::time(
                    "heartbeat_interval",
                    second..,
                    "a lost network is noticed within twice this",
                ).synonyms(&["heartbeat", "requested_heartbeat"])
                .documented_default("10s"),
                Key::time(
                    "confirm_timeout",
                    Duration::from_millis(1)..,
                    "how long a publish may wait for its confirm",
                ).synonyms(&["confirms_timeout", "publisher_confirms"])
                .documented_default("30s"),
                Key::time_or(
                    "rebalance_interval",
                    second..,
                    "off",
                    "how often a connection that had to leave its node looks whether that is back",
                )
                .documented_default("60s"),
                Key::time_or(
                    "connect_timeout",
                    Duration::ZERO..,
                    "forever",
                    "how long a start waits for a broker that is away",
                ).synonyms(&["connection_timeout"])
                .documented_default("30s"),
                Key::count(
                    "max_message_bytes",
                    1..=u64::from(u32::MAX),
                    "the largest body that is published",
                ).synonyms(&["max_message_size"])
                .documented_default("16777216"),
                Key::text(
                    "tls_authority",
                    "a file of the certificates to trust, in place of the system's",
                ).synonyms(&["ca", "ca_file", "ca_cert", "cacert", "ssl_ca"]),
                Key::text(
                    "tls_certificate",
                    "a file of this client's certificate and those between it and its authority",
                ).synonyms(&["cert", "client_cert", "certificate", "ssl_cert"])
                .needs("tls_key", WITHOUT_KEY),
                Key::text("tls_key", "the file of its key").synonyms(&["key", "client_key", "private_key", "ssl_key"]).needs("tls_certificate", WITHOUT_KEY),
                Key::text(
                    "tls_server_name",
                    "the name in the server's certificate, if it is not the host's",
                ),
            ],
        )
        .synonyms(&["amqp", "rabbit", "rabbit_mq", "broker"])
    }

    /// Returns a builder with the settings of the section `rabbitmq`.
    ///
    /// ```
    /// use brighter::transport::rabbitmq::RabbitMqBuilder;
    ///
    /// # fn main() -> Result<(), brighter::config::ConfigErrors> {
    /// let config = brighter::config::loader()
    ///     .variables([("BRIGHTER_RABBITMQ_URL", "amqp://guest:guest@localhost:5672/%2f")])
    ///     .load()?;
    /// let builder = RabbitMqBuilder::from_config(&config)?;
    /// # let _ = builder;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error if no source sets the URL of the broker, or if it is not a URL.
    pub fn from_config(config: &Config) -> Result<Self, ConfigErrors> {
        let table = config.table(SECTION);
        let Some((table, url)) = table.and_then(|table| Some((table, table.secret("url")?))) else {
            return Err(ConfigErrors::from(ConfigError::new(
                table.map_or(Origin::Default, |table| table.origin().clone()),
                Problem::Missing {
                    key: "rabbitmq.url".to_owned(),
                    what: "say where the broker is by `url` or `url_file` in `[rabbitmq]`, `BRIGHTER_RABBITMQ_URL` or \
                           `BRIGHTER_RABBITMQ_URL_FILE`: `amqp://user:password@host:5672/vhost`"
                        .to_owned(),
                },
            )));
        };
        let url = url.expose().to_owned();
        if let Err(error) = BrokerNodes::parse(std::slice::from_ref(&url)) {
            let reason = match error {
                ConnectError::Url { reason } => reason.to_string(),
                other => report(&other),
            };
            return Err(ConfigErrors::from(table.impossible("url", reason)));
        }
        let mut builder = RabbitMq::builder(&url);
        let text = |key| table.text(key);
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
        if let Some(mode) = text("declare_exchange") {
            builder.declare_exchange = DeclareMode::configured(mode);
        }
        if let Some(word) = text("headers") {
            builder = builder.headers(Headers::configured(word));
        }
        if let Some(queue_type) = text("queue_type") {
            builder.queue_type = Some(QueueType::configured(queue_type));
        }
        if let Some(timeout) = table.time_or_none("consumer_timeout") {
            builder.consumer_timeout = timeout;
        }
        if let Some(name) = text("connection_name") {
            builder.connection_name = name.to_owned();
        }
        builder.heartbeat_interval = table
            .time("heartbeat_interval")
            .unwrap_or(builder.heartbeat_interval);
        builder.confirm_timeout = table.time("confirm_timeout").unwrap_or(builder.confirm_timeout);
        if let Some(interval) = table.time_or_none("rebalance_interval") {
            builder.rebalance_interval = interval;
        }
        if let Some(wait) = table.time_or_none("connect_timeout") {
            builder.connect_timeout = wait;
        }
        builder.max_message_bytes = table
            .count_usize("max_message_bytes")
            .unwrap_or(builder.max_message_bytes);
        let keys = ["tls_authority", "tls_certificate", "tls_server_name"];
        if keys.iter().any(|key| table.has(key)) {
            let mut tls = Tls::new();
            if let Some(path) = table.path("tls_authority") {
                tls = tls.authority_file(path);
            }
            if let (Some(chain), Some(key)) = (table.path("tls_certificate"), table.path("tls_key")) {
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
    use brighter_config::Loader;

    fn loader() -> Loader {
        Loader::new().section(RabbitMqBuilder::section())
    }

    fn builder(settings: &[(String, &str)]) -> RabbitMqBuilder {
        let mut loader = loader().default_of("rabbitmq.url", "amqp://localhost");
        for (key, value) in settings {
            loader = loader.set("test", format!("rabbitmq.{key}"), value);
        }
        RabbitMqBuilder::from_config(&loader.load().unwrap()).unwrap()
    }

    #[test]
    fn every_key_changes_the_builder() {
        let section = RabbitMqBuilder::section();
        let plain = shown(&builder(&[]));
        for key in section.keys() {
            let value = match key.name() {
                "url" => "amqps://elsewhere",
                "exchange_kind" => "fanout",
                "declare_exchange" => "validate",
                "headers" => "lean",
                "queue_type" => "quorum",
                "consumer_timeout" | "rebalance_interval" => "off",
                "connect_timeout" => "forever",
                "heartbeat_interval" | "confirm_timeout" => "7s",
                _ => "7",
            };
            let mut settings = vec![(key.name().to_owned(), value)];
            match key.name() {
                "tls_certificate" => settings.push(("tls_key".to_owned(), "7")),
                "tls_key" => settings.push(("tls_certificate".to_owned(), "7")),
                _ => {}
            }
            assert_ne!(shown(&builder(&settings)), plain, "{}", key.name());
        }
    }

    #[test]
    fn the_table_shows_the_real_defaults() {
        let section = RabbitMqBuilder::section();
        let defaults = section
            .keys()
            .iter()
            .filter_map(|key| Some((key.name().to_owned(), key.default_text()?)));
        assert_eq!(
            shown(&builder(&defaults.collect::<Vec<_>>())),
            shown(&builder(&[]))
        );
    }

    /// All fields, which are private to this crate.
    fn shown(builder: &RabbitMqBuilder) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            builder.urls,
            builder.tls.is_some(),
            builder.exchange,
            builder.exchange_kind,
            builder.declare_exchange,
            builder.headers,
            builder.queue_type,
            builder.consumer_timeout,
            builder.connection_name,
            builder.heartbeat_interval,
            builder.confirm_timeout,
            builder.rebalance_interval,
            builder.connect_timeout,
            builder.max_message_bytes
        )
    }

    #[test]
    fn an_invalid_url_names_its_variable_and_hides_its_password() {
        let config = loader()
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
