//! The table of commands: what `--help` prints and what an argument is looked up in.

use std::fmt::Write as _;

use crate::error::{Error, Result};
use crate::{Call, bench, deny, faults, instructions, lint, mutants, protections, services, test};

/// One command of `cargo xtask`.
pub(crate) struct Command {
    /// The name and what may follow it.
    pub(crate) usage: &'static str,
    /// One line for the list.
    pub(crate) summary: &'static str,
    /// What it does.
    pub(crate) run: fn(&Call) -> Result,
}

impl Command {
    fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or(self.usage)
    }
}

const COMMANDS: &[Command] = &[
    Command {
        usage: "lint",
        summary: "formatting, clippy, documentation, the floors, the sizes of files",
        run: lint::run,
    },
    Command {
        usage: "test [-- ARGS]",
        summary: "start what the tests need, run `cargo test` (ARGS go to it), take it down",
        run: test::run,
    },
    Command {
        usage: "bench [CELL …] [--json FILE] [--pairs N] [--peers] | --page",
        summary: "how fast it is, against a raw client where there is one and with --peers beside others; --list names the cells",
        run: bench::run,
    },
    Command {
        usage: "instructions [--write]",
        summary: "how many instructions each hot path takes, and whether it is more than before",
        run: instructions::run,
    },
    Command {
        usage: "faults [ID …] [--seed N] [--soak TIME] [--page]",
        summary: "inject faults (A01, B02 …; all of them) at their full sizes, and say what came of each",
        run: faults::run,
    },
    Command {
        usage: "protections [NAME …] [--page]",
        summary: "take out what protects from a fault, one after the other, and expect its test to fail",
        run: protections::run,
    },
    Command {
        usage: "mutants [FILE …] [--shard K/N]",
        summary: "change the code where it matters most, in every small way, and expect a test to fail",
        run: mutants::run,
    },
    Command {
        usage: "services",
        summary: "start what the tests need, print it as `export` lines, keep it until ctrl-c",
        run: services::run,
    },
    Command {
        usage: "circles [CRATE …] [--root DIR]",
        summary: "files that import each other",
        run: |call| {
            let mut args = call.args.clone();
            let mut root = std::env::current_dir().unwrap_or_default();
            if let Some(at) = args.iter().position(|arg| arg == "--root") {
                root = args.drain(at..at + 2).nth(1).unwrap_or_default().into();
            }
            crate::circles::check(&root, &args)
        },
    },
    Command {
        usage: "deny",
        summary: "licences, bans, sources and advisories of what we depend on",
        run: deny::run,
    },
];

/// The list of commands.
pub(crate) fn text() -> String {
    let mut text = String::from(
        "The chores of this repository: CI runs what you run.\n\nUsage: cargo xtask COMMAND\n\n",
    );
    for command in COMMANDS {
        let _ = writeln!(text, "  {:<42} {}", command.usage, command.summary);
    }
    text
}

/// The command of this name, or an error that names the nearest one.
pub(crate) fn find(name: &str) -> Result<&'static Command> {
    COMMANDS
        .iter()
        .find(|command| command.name() == name)
        .ok_or_else(|| {
            let near = COMMANDS
                .iter()
                .map(|command| (strsim::damerau_levenshtein(command.name(), name), command.name()))
                .min()
                .filter(|(distance, near)| *distance <= near.len() / 2)
                .map(|(_, near)| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            Error::Usage(format!("no command `{name}`{near}\n\n{}", text()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_names_the_nearest() {
        let Err(Error::Usage(text)) = find("tset") else {
            panic!("`tset` is no command")
        };
        assert!(text.contains("did you mean `test`?"), "{text}");
    }

    #[test]
    fn a_far_off_word_names_none() {
        let Err(Error::Usage(text)) = find("frobnicate") else {
            panic!("`frobnicate` is no command")
        };
        assert!(!text.contains("did you mean"), "{text}");
    }
}
