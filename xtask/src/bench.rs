//! `cargo xtask bench`: builds the benchmark in release, starts what its cells need, and runs it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result, failed};
use crate::{Call, services, shell};

const PACKAGE: &str = "brighter-bench";
/// Other frameworks, in a workspace of their own.
const PEERS: &str = "brighter-bench-peers";
const PEERS_MANIFEST: &str = "tests/bench/peers/Cargo.toml";

/// Runs the cells that are named, or all of them.
pub(crate) fn run(call: &Call) -> Result {
    shell::run(
        shell::locked("build").args(["--release", "--package", PACKAGE]),
        &call.stop,
    )?;
    let program = program(&target(), PACKAGE);
    if let [only @ ("--list" | "--page")] = &call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return shell::run(Command::new(&program).arg(only), &call.stop);
    }
    let listed = shell::read(Command::new(&program).arg("--list"))?;
    let cells = Cells::parse(&listed)?;
    let (args, peers) = without_peers(&call.args);
    let needed = cells.needed(&cells.chosen(&args)?);

    let mut bench = Command::new(&program);
    bench.args(&args);
    if peers {
        bench.arg("--peers").arg(build_peers(call)?);
    }
    if needed.is_empty() {
        return shell::run(&mut bench, &call.stop);
    }
    let services = services::start_some(&needed, &call.stop)?;
    services.report()?;
    shell::run(services.apply(&mut bench), &call.stop)
}

/// The arguments without `--peers`, and whether it was among them.
fn without_peers(args: &[String]) -> (Vec<String>, bool) {
    let others: Vec<_> = args.iter().filter(|arg| *arg != "--peers").cloned().collect();
    let peers = others.len() < args.len();
    (others, peers)
}

/// Builds the program of the peers, with the versions that were measured before, and tells where it is.
fn build_peers(call: &Call) -> Result<PathBuf> {
    let target = target().join("peers");
    let mut build = shell::cargo();
    build
        .args([
            "build",
            "--release",
            "--locked",
            "--manifest-path",
            PEERS_MANIFEST,
        ])
        .arg("--target-dir")
        .arg(&target);
    shell::run(&mut build, &call.stop)?;
    Ok(program(&target, PEERS))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn program(target: &Path, name: &str) -> PathBuf {
    let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    target.join("release").join(program)
}

/// What the benchmark says that it can do.
struct Cells<'a>(Vec<Listed<'a>>);

struct Listed<'a> {
    name: &'a str,
    needs: Vec<&'a str>,
}

impl<'a> Cells<'a> {
    fn parse(list: &'a str) -> Result<Self> {
        let cells = list.lines().map(|line| {
            let mut parts = line.split('\t');
            match (parts.next(), parts.next()) {
                (Some(name), Some(needs)) => Ok(Listed {
                    name,
                    needs: needs.split(',').filter(|service| *service != "-").collect(),
                }),
                _ => Err(failed(format_args!("the benchmark lists `{line}`"))),
            }
        });
        cells.collect::<Result<_>>().map(Self)
    }

    /// The cells that the arguments name; none, if they name none. A name that is unknown is told before a
    /// server is started for it.
    fn chosen<'b>(&self, args: &'b [String]) -> Result<Vec<&'b str>> {
        let mut chosen = Vec::new();
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            match arg {
                "--json" | "--pairs" => {
                    args.next()
                        .ok_or_else(|| Error::Usage(format!("`{arg}` wants something after it")))?;
                }
                name if self.0.iter().any(|cell| cell.name == name) => chosen.push(name),
                other => {
                    let names: Vec<_> = self.0.iter().map(|cell| cell.name).collect();
                    return Err(Error::Usage(format!(
                        "`bench` has no cell `{other}`; it has: {}",
                        names.join(", ")
                    )));
                }
            }
        }
        Ok(chosen)
    }

    /// The servers that these cells need, or all cells if they are none.
    fn needed(&self, chosen: &[&str]) -> BTreeSet<&'a str> {
        self.0
            .iter()
            .filter(|cell| chosen.is_empty() || chosen.contains(&cell.name))
            .flat_map(|cell| cell.needs.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "in-memory\t-\tof memory\nconsume\trabbitmq\tof a broker\n\
        relay\trabbitmq,mysql\tof two\n";

    fn owned(args: &[&str]) -> Vec<String> {
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    fn needs(args: &[&str]) -> Result<Vec<&'static str>> {
        let cells = Cells::parse(LIST)?;
        let args = owned(args);
        let chosen = cells.chosen(&args)?;
        Ok(cells.needed(&chosen).into_iter().collect())
    }

    #[test]
    fn a_server_is_started_only_for_the_cells_that_need_one() {
        assert!(needs(&["in-memory", "--json", "consume"]).unwrap().is_empty());
        assert_eq!(needs(&["in-memory", "consume"]).unwrap(), ["rabbitmq"]);
        assert_eq!(needs(&["relay", "consume"]).unwrap(), ["mysql", "rabbitmq"]);
        assert_eq!(needs(&["--pairs", "7"]).unwrap(), ["mysql", "rabbitmq"], "of all");
    }

    #[test]
    fn the_peers_are_asked_for_with_an_option_of_no_value() {
        let (args, peers) = without_peers(&owned(&["--peers", "consume", "--pairs", "7"]));
        assert!(peers);
        assert_eq!(args, ["consume", "--pairs", "7"]);
        assert_eq!(without_peers(&owned(&["consume"])), (owned(&["consume"]), false));
    }

    #[test]
    fn an_unknown_cell_is_told_with_those_there_are() {
        let Err(Error::Usage(text)) = needs(&["consumer"]) else {
            panic!("`consumer` is no cell")
        };
        assert!(text.contains("in-memory, consume, relay"), "{text}");
        assert!(matches!(needs(&["--json"]), Err(Error::Usage(_))));
    }
}
