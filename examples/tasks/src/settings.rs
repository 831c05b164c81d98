//! Where the settings of the commands come from: what stands here, a file, variables, and the command line last.

use brighter::config::{Config, ConfigErrors, Key, Loader, Section};
use tasks::worker::QUEUE;

use crate::cli;
use crate::failure::Failure;

/// The example's own section.
pub(crate) const SECTION: &str = "tasks";

/// The settings of `tasks api`.
pub(crate) fn of_api(general: &cli::General, options: &cli::Api) -> Result<Config, Failure> {
    load(begin(general, &options.broker, "api"))
}

/// The settings of `tasks worker`.
pub(crate) fn of_worker(general: &cli::General, options: &cli::Worker) -> Result<Config, Failure> {
    let of = |key: &str| format!("subscriptions.{QUEUE}.{key}");
    let mut loader = begin(general, &options.broker, "worker")
        .default_of(of("performers"), 4)
        .default_of(of("buffer"), 50);
    if let Some(queue) = &options.queue {
        loader = loader.set("--queue", of("channel"), queue);
    }
    if let Some(performers) = &options.performers {
        loader = loader.set("--performers", of("performers"), performers);
    }
    if let Some(buffer) = options.buffer {
        loader = loader.set("--buffer", of("buffer"), buffer);
    }
    if let Some(smtp) = &options.smtp {
        loader = loader.set("--smtp", format!("{SECTION}.smtp"), smtp);
    }
    if let Some(address) = options.observe {
        loader = loader.set("--observe", format!("{SECTION}.observe"), address);
    }
    load(loader)
}

/// The settings of `tasks send`.
pub(crate) fn of_send(general: &cli::General, options: &cli::Send) -> Result<Config, Failure> {
    load(begin(general, &options.broker, "send"))
}

fn begin(general: &cli::General, broker: &cli::Broker, role: &str) -> Loader {
    let section = Section::new(
        SECTION,
        [
            Key::one_of("log", &["text", "json"], "how the log is written").default("text"),
            Key::text(
                "broker_file",
                "the file that is the broker, where no RabbitMQ is named; made if missing",
            )
            .default("broker.db"),
            Key::secret(
                "smtp",
                "the server that mails: `smtp://localhost:25`; else a folder has the mails",
            ),
            Key::text(
                "observe",
                "where the worker answers `/livez`, `/readyz` and `/metrics`; else nowhere",
            ),
            Key::secret(
                "otlp",
                "where spans are sent: `http://localhost:4318/v1/traces`; else nowhere",
            ),
            Key::text(
                "spans",
                "the file that spans are appended to, as OTLP in JSON; else none",
            ),
        ],
    );
    let mut loader = brighter::config::loader()
        .section(section)
        // Shorter than the sweeper claims a message for: see `tasks::api::CLAIMED_FOR`.
        .default_of("sqlite_broker.confirm_timeout", "5s")
        .environment();
    // Without the feature there is no such section.
    if cfg!(feature = "rabbitmq") {
        loader = loader
            .default_of("rabbitmq.connection_name", format!("tasks {role}"))
            .default_of("rabbitmq.confirm_timeout", "5s")
            // The transport logs that it waits, and when it need no longer.
            .default_of("rabbitmq.connect_timeout", "forever");
    }
    if let Some(file) = &general.config {
        loader = loader.file(file);
    }
    if let Some(log) = &general.log {
        loader = loader.set("--log", format!("{SECTION}.log"), log);
    }
    if let Some(url) = &general.otlp {
        loader = loader.set("--otlp", format!("{SECTION}.otlp"), url);
    }
    if let Some(file) = &general.otlp_file {
        loader = loader.set("--otlp-file", format!("{SECTION}.spans"), file.display());
    }
    if let Some(url) = &broker.url {
        loader = loader.set("--broker", "rabbitmq.url", url);
    }
    if let Some(file) = &broker.broker_file {
        loader = loader.set("--broker-file", format!("{SECTION}.broker_file"), file.display());
    }
    if let Some(exchange) = &broker.exchange {
        loader = loader.set("--exchange", "rabbitmq.exchange", exchange);
    }
    loader
}

fn load(loader: Loader) -> Result<Config, Failure> {
    loader.load().map_err(|errors| wrong(&errors))
}

/// What is wrong with the settings is a mistake in how the program was called.
pub(crate) fn wrong(errors: &ConfigErrors) -> Failure {
    Failure::usage(errors.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn worker(arguments: &[&str]) -> String {
        let cli = Cli::try_parse_from([&["tasks", "worker"][..], arguments].concat()).unwrap();
        let Some(Command::Worker(options)) = cli.command else {
            panic!("{arguments:?}");
        };
        of_worker(&cli.general, &options).unwrap().to_string()
    }

    fn line<'a>(shown: &'a str, key: &str) -> Vec<&'a str> {
        let line = shown.lines().find(|line| line.starts_with(&format!("{key} =")));
        line.unwrap().splitn(2, " # ").map(str::trim).collect()
    }

    #[test]
    fn a_worker_has_defaults_and_the_command_line_overrides_them() {
        let shown = worker(&[]);
        assert_eq!(line(&shown, "performers"), ["performers = 4", "the program"]);
        assert_eq!(line(&shown, "buffer"), ["buffer = 50", "the program"]);
        let shown = worker(&[
            "--performers",
            "2 to 8",
            "--smtp",
            "smtp://me:hidden@host",
            "--queue",
            "q",
        ]);
        assert_eq!(
            line(&shown, "performers"),
            ["performers = \"2 to 8\"", "--performers"]
        );
        assert_eq!(line(&shown, "smtp"), ["smtp = \"smtp://***@host\"", "--smtp"]);
        assert_eq!(line(&shown, "channel"), ["channel = \"q\"", "--queue"]);
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn the_example_file_is_valid_and_lists_the_subscription() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tasks.toml");
        let shown = worker(&["--config", file]);
        assert!(shown.contains("[subscriptions.task-reminders]"), "{shown}");
        assert!(line(&shown, "delays")[1].contains("tasks.toml:"), "{shown}");
    }
}
