//! What may be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tasks::mail::DEFAULT_SENDER;

const EXAMPLES: &str = "\
Examples:
  tasks                                         everything in one process, no servers: a story, line by line

  tasks worker --config tasks.toml --print-config   what holds, and where it comes from
  tasks worker --mail-dir mail                  mails what arrives, as files in a folder
  tasks api --database tasks.db                 takes reminders by HTTP
  curl -i localhost:8080/reminders --json '{\"task_name\":\"Pay\",\"due\":\"now\",\"recipient\":\"ada@example.com\"}'
  tasks send --task Pay --due now --to ada@example.com --count 1000

  export TASKS_BROKER=amqp://guest:guest@localhost:5672/%2f
                                                from here on, all of them over RabbitMQ

Logs go to standard error; RUST_LOG says how much.";

/// Reminders that are posted, survive, and are mailed: brighter end to end. Without a command: the demo.
#[derive(Debug, Parser)]
#[command(name = "tasks", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) general: General,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(crate) struct General {
    /// The settings, as TOML or YAML; else what BRIGHTER_CONFIG names. BRIGHTER_… variables override it
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Show every setting and where it comes from, passwords masked, and end
    #[arg(long, global = true)]
    pub(crate) print_config: bool,

    /// How to write the log: text, or json with one object a line
    #[arg(long, value_name = "FORM", global = true)]
    pub(crate) log: Option<String>,

    /// Send spans there, by OTLP over HTTP: http://localhost:4318/v1/traces
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) otlp: Option<String>,

    /// Append spans to this file, as OTLP in JSON, one batch a line
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) otlp_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Takes reminders by HTTP, keeps them, and sends them through the broker
    Api(Api),
    /// Takes reminders from the broker and mails them
    Worker(Worker),
    /// Posts reminders without the API: through an outbox of its own, and prints their ids
    Send(Send),
}

#[derive(Debug, Args)]
pub(crate) struct Broker {
    /// Where RabbitMQ is: amqp://user:password@host:5672/vhost, with `/` in a vhost as `%2f`; without it, the broker
    /// is a file
    // The password must be in no help text.
    #[arg(
        long = "broker",
        value_name = "URL",
        env = "TASKS_BROKER",
        hide_env_values = true
    )]
    pub(crate) url: Option<String>,

    /// The file that is the broker, where there is no RabbitMQ; made if missing [default: broker.db]
    #[arg(long, value_name = "FILE")]
    pub(crate) broker_file: Option<PathBuf>,

    /// The exchange that API and worker share [default: brighter]
    #[arg(long, value_name = "NAME")]
    pub(crate) exchange: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Api {
    #[command(flatten)]
    pub(crate) broker: Broker,

    /// The SQLite file that holds the reminders and the outbox; made if missing
    #[arg(long, value_name = "FILE", default_value = "tasks.db")]
    pub(crate) database: PathBuf,

    /// Where to listen; port 0 takes one that is free. The address is the first line of the output
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) broker: Broker,

    /// The queue to read; workers that name the same one share its work [default: task-reminders]
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,

    /// How many reminders to mail at the same time: a number, or a range as in "2 to 8" [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) performers: Option<String>,

    /// How many reminders each performer may have waiting in memory [default: 50]
    #[arg(long, value_name = "N")]
    pub(crate) buffer: Option<u16>,

    /// Where to answer /livez, /readyz and /metrics; port 0 takes one that is free
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) observe: Option<SocketAddr>,

    /// The folder for the mails, one <id>.eml each; made if missing
    #[arg(long, value_name = "FOLDER", default_value = "mail")]
    pub(crate) mail_dir: PathBuf,

    /// Mail through this server, not to a folder: smtp://localhost:25, smtps://user:password@host:465
    #[arg(long, value_name = "URL", env = "TASKS_SMTP", hide_env_values = true)]
    pub(crate) smtp: Option<String>,

    /// Who writes the mails
    #[arg(long, value_name = "MAILBOX", default_value = DEFAULT_SENDER)]
    pub(crate) from: String,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) broker: Broker,

    /// The SQLite file that holds the reminders and the outbox; made if missing
    #[arg(long, value_name = "FILE", default_value = "tasks.db")]
    pub(crate) database: PathBuf,

    /// What is to be done
    #[arg(long, value_name = "TEXT")]
    pub(crate) task: String,

    /// By when
    #[arg(long, value_name = "TEXT")]
    pub(crate) due: String,

    /// Whom to remind
    #[arg(long, value_name = "MAILBOX")]
    pub(crate) to: String,

    /// How many
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) count: usize,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_the_demo() {
        assert!(Cli::try_parse_from(["tasks"]).unwrap().command.is_none());
    }
}
