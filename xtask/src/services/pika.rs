//! pika, an AMQP client that is not ours, by which tests see what is really on the wire.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Service;
use crate::error::{Result, failed};
use crate::shell;
use crate::stop::Stop;

const VERSION: &str = "1.3.2";

/// A Python that has pika.
struct Pika {
    python: PathBuf,
}

/// Uses the environment of an earlier run, or makes one under `target`.
pub(super) fn start(_: &Stop) -> Result<Box<dyn Service>> {
    let folder = std::env::current_dir()
        .map_err(failed)?
        .join("target")
        .join(format!("pika-{VERSION}"));
    let pika = Pika {
        python: folder.join("bin").join("python"),
    };
    if pika.describe().is_err() {
        make(&folder, &pika.python)?;
        pika.describe()?;
    }
    Ok(Box::new(pika))
}

fn make(folder: &Path, python: &Path) -> Result {
    eprintln!("services: installing pika {VERSION} into {}", folder.display());
    make_environment(&mut Command::new("python3"), folder)?;
    install(python)
}

fn make_environment(python3: &mut Command, folder: &Path) -> Result {
    let made = shell::read(python3.args(["-m", "venv", "--clear"]).arg(folder));
    made.map(drop).map_err(|error| {
        failed(format_args!(
            "{error}\nthe interop tests need python3 with venv: install it (`apt-get install python3-venv`)"
        ))
    })
}

fn install(python: &Path) -> Result {
    let package = format!("pika=={VERSION}");
    let mut install = Command::new(python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        &package,
    ]);
    shell::read(&mut install).map(drop).map_err(|error| {
        failed(format_args!(
            "{error}\nthe interop tests need pika: see that pip reaches a package index (PIP_INDEX_URL), once"
        ))
    })
}

impl Service for Pika {
    fn describe(&self) -> Result<String> {
        let version =
            shell::read(Command::new(&self.python).args(["-c", "import pika; print(pika.__version__)"]))?;
        Ok(format!("pika {version}, in target"))
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("BRIGHTER_TEST_PIKA", Some(self.python.display().to_string()))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_python_is_told_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let mut python3 = Command::new("python3");
        python3.env("PATH", folder.path());
        let error = make_environment(&mut python3, &folder.path().join("pika")).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("`python3 -m venv"), "{said}");
        assert!(said.contains("apt-get install python3-venv"), "{said}");
    }

    #[test]
    fn where_pip_fails_its_own_words_and_the_index_are_told() {
        // A shell is as good as a python whose pip fails: there is no script of that name.
        let said = install(Path::new("/bin/sh")).unwrap_err().to_string();
        assert!(said.contains("-m pip install"), "{said}");
        assert!(said.contains("pip: "), "{said}");
        assert!(said.contains("PIP_INDEX_URL"), "{said}");
    }
}
