//! `cargo xtask mutants`: small changes to the code that matters most. Some test has to notice each of them.
//!
//! Which code and which tests say the files in `.cargo/mutants`, one for each area; what survives, and why,
//! `docs/lab/mutants.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stop::Stop;
use crate::{shell, tools};

const TOOL: &str = "cargo-mutants@27.1.0";
const AREAS: &str = ".cargo/mutants";
const OUTPUT: &str = "target/mutants";

/// Runs the tool over the files of an area that are named, or all; over one part of several, if there is a shard.
pub(crate) fn run(area: &str, files: &[String], shard: Option<&str>, stop: &Stop) -> Result<()> {
    let settings = settings(area)?;
    let folder = Path::new(OUTPUT).join(area);
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let mut mutants = command(&tools::install(TOOL, stop)?, area, &settings, files, shard);
    // They are built anew for each change, and nobody debugs them.
    mutants.env("CARGO_PROFILE_DEV_DEBUG", "0");
    shell::run(&mut mutants, stop)
}

/// The settings of an area.
fn settings(area: &str) -> Result<PathBuf> {
    let file = Path::new(AREAS).join(area).with_extension("toml");
    if file.is_file() {
        return Ok(file);
    }
    let there = std::fs::read_dir(AREAS).with_context(|| format!("could not read {AREAS}"))?;
    let names = there.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<_> = names.collect();
    names.sort();
    bail!("there is no area `{area}`; there are {}", names.join(", "))
}

fn command(tool: &Path, area: &str, settings: &Path, files: &[String], shard: Option<&str>) -> Command {
    let mut mutants = Command::new(tool);
    mutants.args(["mutants", "--jobs", "1", "--output"]);
    mutants.arg(Path::new(OUTPUT).join(area));
    mutants.arg("--config").arg(settings);
    for file in files {
        // The name of a mutant begins with its file; `--file` would only add to what the settings name.
        mutants.arg("--re").arg(file.replace('.', r"\."));
    }
    mutants.args(shard.iter().flat_map(|shard| ["--shard", shard]));
    mutants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_files_and_a_shard_are_given_on() {
        let (tool, settings) = (Path::new("cargo-mutants"), Path::new("pump.toml"));
        let command = command(tool, "pump", settings, &["pump.rs".to_owned()], Some("1/8"));
        let shown = shell::shown(&command);
        assert!(shown.contains("--config pump.toml"), "{shown}");
        assert!(shown.ends_with(r"--re pump\.rs --shard 1/8"), "{shown}");
    }

    #[test]
    fn unknown_areas_are_refused_with_the_known_names() {
        std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
        for area in ["control", "policies", "pump", "secrets", "stores", "wire"] {
            settings(area).unwrap();
        }
        let refused = settings("pumps").unwrap_err().to_string();
        assert!(refused.contains("policies, pump, secrets"), "{refused}");
    }

    #[test]
    fn every_test_of_the_page_exists() {
        std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
        let list = shell::read(&mut shell::git(&[
            "grep",
            "-hoE",
            r"\bfn [a-z_0-9]+",
            "--",
            "*.rs",
        ]))
        .unwrap();
        let functions: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("fn ")).collect();
        let page = std::fs::read_to_string("docs/lab/mutants.md").unwrap();
        let code = page.split('`').skip(1).step_by(2);
        let tests: Vec<_> = code
            .filter(|code| code.contains("::") && !code.contains(' '))
            .collect();
        assert!(tests.len() > 20, "{tests:?}");
        let is_there = |test: &&str| {
            // `…` stands for the rest of a name or path; one that ends in `::` is a module.
            let name = test.rsplit("::").next().unwrap_or_default();
            let name = name.trim_matches('…');
            functions.iter().any(|function| function.starts_with(name))
        };
        let missing: Vec<_> = tests.iter().filter(|test| !is_there(test)).collect();
        assert!(missing.is_empty(), "these are not there: {missing:#?}");
    }
}
