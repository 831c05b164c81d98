//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::dead::DeadCommand;
use crate::outbox::OutboxCommand;
use crate::status::StatusArgs;
use crate::stores::DatabaseArgs;

/// Dead letters and the outbox of brighter from the command line
///
/// The address of the database is in DATABASE_URL (sqlite:PATH, postgres://… or mysql://…), and that of the broker in
/// BROKER_URL (amqp://… or sqlite:PATH). A variable with _FILE behind its name tells a file with the address. No command
/// takes an address as an argument, and none prints one.
///
/// Exit codes: 0 done, 1 failed, 2 refused and nothing changed, 3 partly done, 4 drift found.
#[derive(Debug, Parser)]
#[command(name = "brighter", version, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// Write one line of JSON in place of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(subcommand)]
    pub(crate) command: CliCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Look at dead letters, and send them back, keep them or remove them
    Dead {
        #[command(subcommand)]
        command: DeadCommand,
    },
    /// Look at the outbox, and send its messages again
    Outbox {
        #[command(subcommand)]
        command: OutboxCommand,
    },
    /// Show the desk, the outbox and the broker at a glance
    Status(StatusArgs),
    /// Print the tables of the stores as SQL
    #[command(disable_help_flag = true)]
    Ddl {
        /// The database (sqlite, postgres or mysql) and options; --help tells them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}
