//! A walk over the public types that can hold a secret, with secrets planted in every way in which one can stand in a URL.
//!
//! Each secret has two parts with a character between them that takes some parser or other apart, and neither part may be
//! seen: not by `Display`, not by `Debug`, and not by any cause of an error.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::time::Duration;

use brighter::channel::Broker;
use brighter::config::{Key, Loader, Secret, Section};
use brighter::dispatcher::{Control, ControlCommand, ControlSecret, Nodes};
use brighter::prelude::*;
use brighter::store::mysql::{MySqlInbox, MySqlOutbox};
use brighter::store::postgres::{PostgresInbox, PostgresOutbox};
use brighter::store::sqlite::{SqliteInbox, SqliteOutbox};
use brighter::store::{InboxOptions, OutboxOptions};
use brighter::transport::rabbitmq::{RabbitMq, RabbitMqBuilder, Tls, without_credentials};
use brighter::{CommandProcessor, Dispatcher, SqliteBroker};
use brighter_tests::databases::{MySql, Postgres};
use futures_util::StreamExt;
use futures_util::stream;

/// The two parts of every secret, and what they are in hexadecimal digits and encoded.
const PARTS: [&str; 4] = ["zq7hun", "ter9kx", "%7Aq7hun", "2D2D2D"];

const BETWEEN: [&str; 14] = [
    "", "%40", "%2F", "%3A", "/", "@", "?", "#", ":", ",", "&", " ", "%zz", "%00",
];

const SCHEMES: [&str; 6] = ["amqp", "amqps", "postgres", "postgresql", "mysql", "mariadb"];

/// `S` is the scheme and `P` the secret; nothing answers at the place.
const FORMS: [&str; 36] = [
    // Where users and passwords belong.
    "S://app:P@127.0.0.1:1/db",
    "S://P@127.0.0.1:1/db",
    "S://:P@127.0.0.1:1",
    "S://P:app@127.0.0.1:1/db?heartbeat=5",
    "S://app:P@[::1]:1/db",
    // Without an `@`, or with one elsewhere.
    "S://app:P127.0.0.1:1/db",
    "S://app:P",
    "S://app:P/db",
    "S://:P",
    "S://app@127.0.0.1:P/db",
    "app:P@127.0.0.1:1",
    "P",
    // In the query and behind it.
    "S://127.0.0.1:1/db?password=P",
    "S://127.0.0.1:1/db?user=app&password=P",
    "S://127.0.0.1:1/db?sslpassword=P",
    "S://127.0.0.1:1/db?sslmode=P",
    "S://127.0.0.1:1/db?ssl-mode=P",
    "S://127.0.0.1:1/db?statement-cache-capacity=P",
    "S://127.0.0.1:1/db?port=P",
    "S://127.0.0.1:1/db?hostaddr=P",
    "S://127.0.0.1:1/db?charset=P",
    "S://127.0.0.1:1/db?auth_mechanism=P",
    "S://127.0.0.1:1/db?heartbeat=P",
    "S://127.0.0.1:1/db?frame_max=P",
    "S://127.0.0.1:1/db?P",
    "S://127.0.0.1:1/db#P",
    // Several nodes.
    "S://a:P@127.0.0.1:1/v,S://b:P@127.0.0.1:2/v",
    "S://127.0.0.1:1/v, S://b:P@127.0.0.1:2/v",
    "S://a:P@127.0.0.1:1,b:P@127.0.0.1:2",
    // No URL, or a malformed one.
    "S:app:P@127.0.0.1",
    "S//app:P@127.0.0.1",
    " S://app:P@127.0.0.1:1",
    "http://app:P@127.0.0.1:1",
    "S://app:P@127.0.0.1:port/db",
    "S://app:P@[::1/db",
    "host=127.0.0.1 password=P",
];

fn secret(between: &str) -> String {
    format!("{}{between}{}", PARTS[0], PARTS[1])
}

fn urls(schemes: &[&str]) -> Vec<String> {
    let mut urls = BTreeSet::new();
    for scheme in schemes {
        for form in FORMS {
            // An `@` makes a host of what follows it, in a URL that has no other behind it.
            let ends_in_secret =
                form.starts_with("S://") && !form.contains("P@") && !form.contains(['?', '#']);
            for between in BETWEEN
                .iter()
                .filter(|between| !(ends_in_secret && **between == "@"))
            {
                // `S` and `P` stand in no other word of a form.
                urls.insert(form.replace('P', &secret(between)).replace('S', scheme));
            }
        }
        // A part in another spelling.
        urls.insert(format!("{scheme}://app:%7Aq7hun@127.0.0.1:1/db?sslmode=%7Aq7hun"));
    }
    urls.into_iter().collect()
}

/// What was seen.
#[derive(Default)]
struct Walk {
    types: BTreeSet<&'static str>,
    planted: BTreeSet<String>,
    looks: usize,
    shown: Vec<String>,
}

impl Walk {
    fn text(&mut self, of: &'static str, planted: &str, text: &str) {
        self.types.insert(of);
        self.planted.insert(planted.to_owned());
        self.looks += 1;
        if let Some(part) = PARTS.iter().find(|part| text.contains(**part)) {
            self.shown
                .push(format!("{of}, of {planted}, shows {part}: {text}"));
        }
    }

    fn debug<T: Debug>(&mut self, planted: &str, value: &T) {
        let of = std::any::type_name::<T>();
        self.text(of, planted, &format!("{value:?} {value:#?}"));
    }

    fn display<T: Debug + Display>(&mut self, planted: &str, value: &T) {
        self.debug(planted, value);
        self.text(std::any::type_name::<T>(), planted, &value.to_string());
    }

    fn error<E: Error + 'static>(&mut self, planted: &str, error: &E) {
        self.display(planted, error);
        let mut cause = error.source();
        while let Some(found) = cause {
            let text = format!("{found} {found:?} {found:#?}");
            self.text(std::any::type_name::<E>(), planted, &text);
            cause = found.source();
        }
    }

    fn end(&self, what: &str, types: usize, planted: usize) {
        println!(
            "{what}: {} types, {} planted secrets, {} looks, {} shown",
            self.types.len(),
            self.planted.len(),
            self.looks,
            self.shown.len()
        );
        let some: Vec<_> = self.shown.iter().take(20).cloned().collect();
        assert!(
            some.is_empty(),
            "{} shown:\n{}",
            self.shown.len(),
            some.join("\n")
        );
        assert!(self.types.len() >= types, "{:#?}", self.types);
        assert!(self.planted.len() >= planted, "{}", self.planted.len());
    }
}

#[tokio::test]
async fn no_secret_is_shown_of_rabbitmq() {
    let mut walk = Walk::default();
    for url in urls(&SCHEMES) {
        walk.text("without_credentials", &url, &without_credentials(&url));
        // A URL in place of a name. Other texts cannot be told from names.
        let named = if url.contains("://") {
            url.clone()
        } else {
            String::new()
        };
        let builder = RabbitMq::builder(&url).exchange(named.clone(), Default::default());
        walk.debug(&url, &builder);
        walk.debug(&url, &RabbitMq::cluster([url.clone(), url.clone()]));
        // It connects to nothing: that comes after a setting that cannot be.
        let error = builder
            .heartbeat_interval(Duration::ZERO)
            .connect_lazily()
            .unwrap_err();
        walk.error(&url, &error);
        let tls = Tls::new().server_name(named.clone()).authority_file(named);
        walk.debug(&url, &tls);
        let error = RabbitMq::builder("amqps://127.0.0.1:1")
            .tls(tls)
            .connect_lazily()
            .unwrap_err();
        walk.error(&url, &error);
    }
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        secret("\n")
    );
    for tls in [
        Tls::new().authority(key.clone()),
        Tls::new().authority(format!("-----BEGIN {}", secret("\n"))),
        Tls::new().authority_file(key.clone()),
        Tls::new().client_certificate(key.clone(), key.clone()),
        Tls::new().client_certificate_files(key.clone(), key.clone()),
    ] {
        walk.debug("a key", &tls);
        let error = RabbitMq::builder("amqps://127.0.0.1:1")
            .tls(tls)
            .connect_lazily()
            .unwrap_err();
        walk.error("a key", &error);
    }
    // Brokers that are not there.
    for form in [
        "amqp://app:P@127.0.0.1:1/v",
        "amqp://P@127.0.0.1:1/v",
        "amqp://a:P@127.0.0.1:1/v,amqp://b:P@127.0.0.1:1/v",
    ] {
        for between in ["", "%40", "%2F", "%3A"] {
            let url = form.replace('P', &secret(between));
            let error = RabbitMq::builder(&url)
                .connect_timeout(Duration::ZERO)
                .connect()
                .await;
            walk.error(&url, &error.unwrap_err());
            let broker = RabbitMq::builder(&url).connect_lazily().unwrap();
            walk.debug(&url, &broker);
            walk.debug(&url, &broker.status());
            let processor = CommandProcessor::builder()
                .broker(broker.clone())
                .build()
                .unwrap();
            walk.debug(&url, &processor);
            let health = processor.health().await;
            walk.display(&url, &health);
            walk.text("Health as JSON", &url, &serde_json::to_string(&health).unwrap());
            broker.close().await;
        }
    }
    walk.end("rabbitmq", 8, 2_500);
}

#[tokio::test]
async fn no_secret_is_shown_of_a_configuration() {
    let mut walk = Walk::default();
    let loader = || {
        let shop = Section::new(
            "shop",
            [
                Key::secret("token", "a token"),
                Key::text("title", "a title"),
                Key::count("count", 1..9, "a count"),
                Key::one_of("word", &["one", "two"], "a word"),
                Key::times("times", "times"),
                Key::range("range", 1..=9, "a range"),
                Key::rate("rate", "a rate"),
                Key::flag("flag", "a flag"),
                Key::table_name("table", "a table"),
            ],
        );
        brighter::config::loader().section(shop)
    };
    let folder = tempfile::tempdir().unwrap();
    let load = |walk: &mut Walk, planted: &str, loader: Loader| {
        walk.debug(planted, &loader);
        match loader.load() {
            Ok(config) => {
                walk.display(planted, &config);
                for table in ["rabbitmq", "shop", "control"]
                    .iter()
                    .filter_map(|name| config.table(name))
                {
                    walk.debug(planted, &table);
                    walk.display(planted, table.origin());
                }
                walk.error(planted, &config.impossible("shop", "token", "it is wrong"));
                walk.error(planted, &config.impossible("shop", "title", "it is wrong"));
                if let Ok(builder) =
                    RabbitMqBuilder::from_config(&config).map_err(|errors| walk.error(planted, &errors))
                {
                    walk.debug(planted, &builder);
                }
                if let Ok(Some(secret)) =
                    ControlSecret::from_config(&config).map_err(|errors| walk.error(planted, &errors))
                {
                    walk.debug(planted, &secret);
                }
            }
            Err(errors) => {
                walk.error(planted, &errors);
                errors.iter().for_each(|error| {
                    walk.error(planted, error);
                    walk.display(planted, &error.origin);
                    walk.error(planted, &error.problem);
                });
            }
        }
    };
    let variables = |names: &[&str], url: &str| -> Vec<(String, String)> {
        let names = names.iter();
        names
            .map(|name| (format!("BRIGHTER_{name}"), url.to_owned()))
            .collect()
    };
    for url in urls(&["amqp"]) {
        walk.display(&url, &Secret::new(url.clone()));
        let secrets = ["RABBITMQ_URL", "SHOP_TOKEN", "CONTROL_SECRET"];
        load(&mut walk, &url, loader().variables(variables(&secrets, &url)));
        // In place of the names of their files.
        let files = secrets.map(|name| format!("{name}_FILE"));
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        load(&mut walk, &url, loader().variables(variables(&files, &url)));
        // Where nobody expects one. Only a URL can be told from any other text.
        if url.contains("://") {
            let others = [
                "TITLE", "COUNT", "WORD", "TIMES", "RANGE", "RATE", "FLAG", "TABLE",
            ];
            let others = others.map(|name| format!("SHOP_{name}"));
            let mut others: Vec<_> = others.iter().map(String::as_str).collect();
            load(&mut walk, &url, loader().variables(variables(&others[..1], &url)));
            others.push("CONFIG");
            load(&mut walk, &url, loader().variables(variables(&others, &url)));
        }
    }
    // Files, with secrets in every place: once for every form.
    let once = |url: &&String| {
        url.contains("://")
            && !["%", ",", "&", " ", ":ter"]
                .iter()
                .any(|between| url.contains(between))
    };
    for url in urls(&["amqp"]).iter().filter(once) {
        let quoted = format!("{url:?}");
        for (kind, text) in [
            ("toml", format!("[rabbitmq]\nurl = {quoted}\n")),
            ("toml", format!("[rabbitmq]\nurl = \"{url}\n")),
            ("toml", format!("[rabbitmq]\nurl = {url}\n")),
            ("toml", format!("[rabbitmq]\n{quoted} = 1\n")),
            ("toml", format!("[{quoted}]\n")),
            ("toml", format!("[subscriptions.{quoted}]\nurl = 1\n")),
            (
                "toml",
                format!("[shop]\ntoken = [{quoted}]\ntimes = [{quoted}]\ncount = {quoted}\n"),
            ),
            ("yaml", format!("rabbitmq:\n  url: {url}\n")),
            ("yaml", format!("rabbitmq: {url}\n")),
            ("yaml", format!("rabbitmq:\n  {quoted}: 1\n  {quoted}: 2\n")),
            ("yaml", format!("rabbitmq:\n  url: \"{url}\n")),
            ("yaml", format!("{quoted}\n")),
            (
                "yaml",
                format!("shop:\n  token_file: {quoted}\n  count: {quoted}\n"),
            ),
        ] {
            let path = folder.path().join(format!("settings.{kind}"));
            std::fs::write(&path, text).unwrap();
            load(&mut walk, url, loader().file(path));
        }
    }
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}", secret("\n"));
    for name in [
        "RABBITMQ_TLS_KEY",
        "RABBITMQ_TLS_AUTHORITY",
        "SHOP_TITLE",
        "SHOP_COUNT",
        "SHOP_TOKEN_FILE",
    ] {
        load(
            &mut walk,
            "a key",
            loader().variables([(format!("BRIGHTER_{name}"), key.clone())]),
        );
    }
    walk.end("configuration", 10, 450);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_shown_of_a_database() {
    let mut walk = Walk::default();
    let asked = urls(&["postgres", "mysql"])
        .into_iter()
        .flat_map(|url| [(url.clone(), true), (url, false)]);
    // Where nothing answers, each is tried for five seconds.
    let opened = stream::iter(asked).map(|(url, is_postgres)| async move {
        let outcomes = async {
            match is_postgres {
                true => (
                    PostgresOutbox::connect(url.clone()).await.map(drop).err(),
                    PostgresInbox::connect(url.clone()).await.map(drop).err(),
                ),
                false => (
                    MySqlOutbox::connect(url.clone()).await.map(drop).err(),
                    MySqlInbox::connect(url.clone()).await.map(drop).err(),
                ),
            }
        };
        let outcomes = tokio::time::timeout(Duration::from_secs(120), outcomes).await;
        (url, outcomes.expect("every call has a deadline"))
    });
    let mut opened = opened.buffer_unordered(500);
    while let Some((url, (outbox, inbox))) = opened.next().await {
        walk.error(&url, &outbox.expect("nothing answers there"));
        walk.error(&url, &inbox.expect("nothing answers there"));
    }
    for url in urls(&["postgres", "mysql"]) {
        walk.debug(&url, &PostgresOutbox::connect(url.clone()));
        walk.debug(&url, &MySqlInbox::connect(url.clone()));
        walk.debug(&url, &SqliteBroker::open(url.clone()));
    }
    // What holds connections to a server that has a password.
    let (postgres, mysql) = (Postgres::new().await, MySql::new().await);
    let password = |url: String| -> String {
        let user = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('@'))
            .unwrap()
            .0
            .to_owned();
        user.split_once(':')
            .map(|(_, password)| password.to_owned())
            .unwrap_or_default()
    };
    let passwords = [
        password(brighter_tests::databases::postgres_url()),
        password(brighter_tests::databases::mysql_url()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let texts = [
        format!(
            "{:?}",
            PostgresOutbox::from_pool(postgres.pool().await).await.unwrap()
        ),
        format!(
            "{:?}",
            PostgresInbox::from_pool(postgres.pool().await).await.unwrap()
        ),
        format!("{:?}", MySqlOutbox::from_pool(mysql.pool().await).await.unwrap()),
        format!("{:?}", MySqlInbox::from_pool(mysql.pool().await).await.unwrap()),
        format!(
            "{:?}",
            SqliteInbox::from_pool(sqlite.pool().clone()).await.unwrap()
        ),
        format!(
            "{sqlite:?} {:?} {:?}",
            OutboxOptions::default(),
            InboxOptions::default()
        ),
    ];
    for text in texts {
        for password in passwords.iter().filter(|password| password.len() > 3) {
            assert!(!text.contains(password.as_str()), "{text}");
        }
    }
    walk.end("databases", 5, 800);
}

#[tokio::test]
async fn no_secret_is_shown_of_control() {
    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(topic = "Secrets.Asked")]
    struct Asked;

    struct Handles;

    #[handler]
    impl Handler<Asked> for Handles {
        async fn handle(&self, _: &Asked) -> Result<(), std::io::Error> {
            Ok(())
        }
    }

    let mut walk = Walk::default();
    for between in BETWEEN {
        let planted = format!("{}{}", secret(between), "x".repeat(32));
        let secret = ControlSecret::new(&planted).unwrap();
        walk.debug(&planted, &secret);
        walk.error(
            &planted,
            &ControlSecret::new(super::secrets::secret(between)).unwrap_err(),
        );
        let control = Control::topic("ops", secret);
        walk.debug(&planted, &control);
        let broker = InMemoryBroker::new();
        let processor = CommandProcessor::builder()
            .handler(Handles)
            .broker(broker.clone())
            .build()
            .unwrap();
        let builder = Dispatcher::builder(processor)
            .subscription(Subscription::<Asked>::new("asked"))
            .control(control.clone().node("one"));
        walk.debug(&planted, &builder);
        walk.debug(&planted, &builder.build().unwrap());
        // Nobody listens yet.
        let sent = control.send(&broker, Nodes::All, ControlCommand::StopAll).await;
        walk.error(&planted, &sent.unwrap_err());
    }
    walk.end("control", 6, BETWEEN.len());
}
