//! `cargo xtask fuzz`: what strangers write, given to libFuzzer.
//!
//! The targets are in `tests/fuzz`, and their programs in `fuzz`, which are built by cargo-fuzz on the compiler of this
//! repository: what it needs of an unstable compiler is switched on by `RUSTC_BOOTSTRAP`.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::stop::Stop;
use crate::{shell, tools};

const TOOL: &str = "cargo-fuzz@0.13.2";

/// The programs of the targets, one file each.
const PROGRAMS: &str = "fuzz/fuzz_targets";
/// What was found to be worth keeping, from run to run. The seeds themselves are made by the code.
const CORPUS: &str = "fuzz/corpus";
/// The inputs that a target could not take.
const FINDINGS: &str = "fuzz/artifacts";

/// The largest input: what RabbitMQ puts into a frame by default, which is more than any other target needs.
const LARGEST: &str = "131072";
/// What a worker of tokio has, in KiB, so that deep recursion is found.
const STACK: &str = "2048";
/// An input that takes longer is a finding.
const LONGEST: &str = "10";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The targets; all if there are none.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each runs, such as 30s or 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::faults::duration, default_value = "1m")]
    time: Duration,
    /// How many run at the same time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
}

/// What came of a target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    /// How many edges of the program were taken.
    coverage: u64,
    corpus: u64,
    findings: Vec<PathBuf>,
}

/// Builds the programs, and runs the targets that are named, or all.
pub(crate) fn run(args: &Args, stop: &Stop) -> Result<()> {
    let targets = chosen(&args.targets, all()?)?;
    let tool = tools::install(TOOL, stop)?;
    let built = shell::target().join("fuzz");
    let built = std::path::absolute(&built).context("could not find the folder of builds")?;
    shell::run(&mut build(&tool, &built), stop)?;
    shell::run(
        &mut shell::locked(&["build", "--quiet", "--package", "brighter-fuzz-targets"]),
        stop,
    )?;
    let waiting = Mutex::new(VecDeque::from(targets));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || -> Result<Vec<(String, Outcome)>> {
        let mut done = Vec::new();
        while let Some(target) = next() {
            let outcome = fuzz(&built, &target, args.time, stop)?;
            done.push((target, outcome));
        }
        Ok(done)
    };
    let mut outcomes = std::thread::scope(|scope| {
        let running: Vec<_> = (0..args.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for one in running {
            let done = one.join().ok().context("a thread that ran targets panicked")?;
            outcomes.extend(done?);
        }
        anyhow::Ok(outcomes)
    })?;
    outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
    print!("{}", table(&outcomes));
    match outcomes.iter().map(|(_, outcome)| outcome.findings.len()).sum() {
        0 => Ok(()),
        findings => bail!("fuzz: {findings} inputs that a target cannot take; see above"),
    }
}

/// Returns the targets that have a program.
fn all() -> Result<Vec<String>> {
    let programs = fs::read_dir(PROGRAMS).with_context(|| format!("could not read {PROGRAMS}"))?;
    let names = programs.map(|entry| {
        let path = entry?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
        anyhow::Ok(name.unwrap_or_default())
    });
    let mut names: Vec<_> = names.collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

fn chosen(named: &[String], all: Vec<String>) -> Result<Vec<String>> {
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`: there are {}", all.join(", "));
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

fn build(tool: &Path, built: &Path) -> Command {
    let mut build = Command::new(tool);
    // No line of ours is unsafe, so nothing is found by an address sanitizer that its cost would not find twice.
    build
        .args([
            "build",
            "--sanitizer",
            "none",
            "--codegen-units",
            "16",
            "--target-dir",
        ])
        .arg(built)
        .env("RUSTC_BOOTSTRAP", "1");
    build
}

/// Runs one target on its seeds and on what was kept of earlier runs.
fn fuzz(built: &Path, target: &str, time: Duration, stop: &Stop) -> Result<Outcome> {
    let seeds = built.join("seeds").join(target);
    let (corpus, findings) = (Path::new(CORPUS).join(target), Path::new(FINDINGS).join(target));
    for folder in [&seeds, &corpus, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    let before = files(&findings)?;
    let program = shell::target().join("debug/brighter-fuzz-targets");
    shell::run(Command::new(program).arg(target).arg(&seeds), stop)?;
    let log = built.join(format!("{target}.log"));
    let finished = shell::run_logged(
        &mut program_of(built, target, time, &[&corpus, &seeds]),
        &log,
        stop,
    )?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let mut outcome = read(&text);
    outcome.findings = files(&findings)?;
    outcome.findings.retain(|file| !before.contains(file));
    if !finished && outcome.findings.is_empty() {
        bail!("`{target}` ended early, and left no input: see {}", log.display());
    }
    for finding in &outcome.findings {
        let (program, log) = (program_at(built, target), log.display());
        eprintln!(
            "{target}: to see it, run `{} {}`; {log} says more",
            program.display(),
            finding.display()
        );
    }
    Ok(outcome)
}

fn program_at(built: &Path, target: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    built.join(triple).join("release").join(target)
}

fn program_of(built: &Path, target: &str, time: Duration, folders: &[&Path]) -> Command {
    // The shell's own `ulimit`, for the stack of the main thread is as large as the limit is when it starts.
    let mut program = Command::new("sh");
    program
        .args(["-c", "ulimit -s \"$0\" && exec \"$@\"", STACK])
        .arg(program_at(built, target))
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-max_len={LARGEST}"))
        .arg(format!("-timeout={LONGEST}"))
        .args(["-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={FINDINGS}/{target}/"))
        .args(folders);
    program
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Reads what libFuzzer has said: `#123 NEW cov: 45 ft: 67 corp: 8/90b …`, and its statistics at the end.
fn read(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in log.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |word: &str| {
            let at = words.iter().position(|other| *other == word)?;
            words.get(at + 1)?.split('/').next()?.parse().ok()
        };
        if let Some(count) = words.first().and_then(|word| word.strip_prefix('#')) {
            outcome.executions = count.parse().unwrap_or(outcome.executions);
            outcome.coverage = after("cov:").unwrap_or(outcome.coverage);
            outcome.corpus = after("corp:").unwrap_or(outcome.corpus);
        }
        outcome.executions = after("stat::number_of_executed_units:").unwrap_or(outcome.executions);
    }
    outcome
}

fn table(outcomes: &[(String, Outcome)]) -> String {
    let mut table = format!(
        "{:<16}{:>14}{:>10}{:>8}{:>10}\n",
        "target", "executions", "coverage", "corpus", "findings"
    );
    for (target, outcome) in outcomes {
        let Outcome {
            executions,
            coverage,
            corpus,
            findings,
        } = outcome;
        table += &format!(
            "{target:<16}{executions:>14}{coverage:>10}{corpus:>8}{:>10}\n",
            findings.len()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_libfuzzer_is_read() {
        let log = "INFO: Loaded 1 modules\n#0\tREAD units: 20\n#21\tINITED cov: 310 ft: 500 corp: 12/80Kb exec/s: 0\n\
            #4096\tREDUCE cov: 318 ft: 522 corp: 15/81Kb lim: 131072 exec/s: 2048\n\
            #9000\tDONE   cov: 320 ft: 530 corp: 16/82Kb lim: 131072 exec/s: 900\nDone 9000 runs in 10 second(s)\n\
            stat::number_of_executed_units: 9001\nstat::average_exec_per_sec:     900\n";
        let expected = Outcome {
            executions: 9001,
            coverage: 320,
            corpus: 16,
            findings: Vec::new(),
        };
        assert_eq!(read(log), expected);
    }

    #[test]
    fn an_unknown_target_lists_the_known_ones() {
        let all = || vec!["times".to_owned(), "wire".to_owned()];
        assert_eq!(chosen(&[], all()).unwrap(), all());
        assert_eq!(chosen(&["wire".to_owned()], all()).unwrap(), ["wire"]);
        let error = chosen(&["wires".to_owned()], all()).unwrap_err().to_string();
        assert!(
            error.contains("`wires`") && error.contains("times, wire"),
            "{error}"
        );
    }

    #[test]
    fn the_largest_input_exceeds_a_default_frame() {
        let program = shell::shown(&program_of(Path::new("b"), "wire", Duration::from_secs(5), &[]));
        assert!(
            program.contains("-max_len=131072") && program.contains("-max_total_time=5"),
            "{program}"
        );
    }
}
