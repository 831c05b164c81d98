//! `cargo xtask instructions`: how many instructions each hot path takes, counted by valgrind, and whether one takes
//! more than it did. Counts repeat on a busy machine, where times do not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::stop::Stop;

/// What each path took when somebody last wrote it down.
const WRITTEN: &str = "tests/micro/instructions.txt";
/// How often each path is walked.
const TIMES: u64 = 500;
/// By how many hundredths a path may get longer: another compiler, another libc and another processor may count a
/// little otherwise.
const TOLERANCE: u64 = 12;

/// Counts, and compares with what is written down, or writes it down anew.
pub(crate) fn run(write: bool, stop: &Stop) -> Result<()> {
    if shell::read(Command::new("valgrind").arg("--version")).is_err() {
        brighter_test_servers::install("valgrind", &["valgrind"])?;
    }
    shell::run(
        &mut shell::locked(&["build", "--release", "--package", "brighter-micro"]),
        stop,
    )?;
    let program = shell::released(&shell::target(), "brighter-micro");
    let mut counted = Counts::new();
    for line in shell::read(&mut Command::new(&program))?.lines() {
        stop.tick()?;
        let name = line.split('\t').next().unwrap_or(line);
        counted.insert(name.to_owned(), count(&program, name)?);
    }
    if write {
        let text: String = counted
            .iter()
            .map(|(name, count)| format!("{name} {count}\n"))
            .collect();
        return fs::write(WRITTEN, text).with_context(|| format!("could not write {WRITTEN}"));
    }
    let written = fs::read_to_string(WRITTEN).with_context(|| format!("could not read {WRITTEN}"))?;
    let (table, longer) = compare(&parse(&written)?, &counted);
    eprint!("{table}");
    if !longer.is_empty() {
        bail!(
            "instructions: {}\nmake it shorter; or, if it is worth it, run `cargo xtask instructions --write` and say \
             why in the commit",
            longer.join("\n")
        );
    }
    Ok(())
}

type Counts = BTreeMap<String, u64>;

/// How many instructions it takes to walk a path once.
fn count(program: &Path, name: &str) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--toggle-collect=brighter_micro::counted", "--log-fd=1"])
        .arg(program)
        .args([name, &TIMES.to_string()]);
    let said = shell::read(&mut valgrind)?;
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    match collected.and_then(|(_, count)| count.trim().parse::<u64>().ok()) {
        Some(count) if count > 0 => Ok(count / TIMES),
        _ => bail!("valgrind counted nothing of `{name}`: {said}"),
    }
}

fn parse(written: &str) -> Result<Counts> {
    let parse = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    let lines = written.lines();
    lines
        .map(|line| parse(line).with_context(|| format!("{WRITTEN} has a line `{line}`")))
        .collect()
}

/// A table for people, and what is longer than it may be.
fn compare(written: &Counts, counted: &Counts) -> (String, Vec<String>) {
    let (mut table, mut longer) = (String::new(), Vec::new());
    for (name, count) in counted {
        let before = written.get(name).copied();
        let _ = writeln!(
            table,
            "{name:<20} {count:>9}  {}",
            before.map_or_else(String::new, |before| format!("(written down: {before})"))
        );
        match before {
            Some(before) if *count * 100 > before * (100 + TOLERANCE) => longer.push(format!(
                "`{name}` takes {count} instructions, and took {before}: more than {TOLERANCE} % longer"
            )),
            Some(_) => {}
            None => longer.push(format!("`{name}` is not written down in {WRITTEN}")),
        }
    }
    for name in written.keys().filter(|name| !counted.contains_key(*name)) {
        longer.push(format!("`{name}` is written down in {WRITTEN} and is no path"));
    }
    (table, longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longer(written: &str, counted: &str) -> Vec<String> {
        compare(&parse(written).unwrap(), &parse(counted).unwrap()).1
    }

    #[test]
    fn counts_beyond_the_tolerance_are_named() {
        assert_eq!(longer("a 100\nb 100\n", "a 112\nb 50\n"), Vec::<String>::new());
        let said = longer("a 100\nb 100\n", "a 113\nb 100\n");
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("`a` takes 113 instructions, and took 100"),
            "{said:?}"
        );
    }

    #[test]
    fn every_path_is_written_down_and_nothing_else() {
        assert!(longer("", "a 1\n")[0].contains("`a` is not written down"));
        assert!(longer("a 1\n", "")[0].contains("is no path"));
        assert!(parse("a b\n").is_err());
    }
}
