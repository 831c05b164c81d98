//! A project made from `templates/service` builds, passes its own test, and does what its README says.
//!
//! `cargo generate` is not needed here: its placeholders are replaced by hand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use brighter_test_servers::patience;

const NAME: &str = "generated-service";

#[test]
fn a_project_from_the_template_builds_tests_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join(NAME);
    let brighter = format!("path = {:?}", workspace().join("brighter"));
    let placeholders = [
        ("{{project-name}}", NAME),
        ("{{crate_name}}", "generated_service"),
        ("{{brighter}}", &brighter),
    ];
    generate(&workspace().join("templates/service"), &project, &placeholders);
    // The versions that this workspace is built with, so that nothing is downloaded.
    fs::copy(workspace().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();

    let tested = cargo(&project).status().unwrap();
    assert!(tested.success(), "`cargo test` of the generated project failed");

    let program = target().join("debug").join(NAME);
    let (mut receiving, lines) = start(&program, &project);
    let posted = Command::new(&program)
        .arg("Ada")
        .current_dir(&project)
        .output()
        .unwrap();
    assert!(
        posted.status.success(),
        "{}",
        String::from_utf8_lossy(&posted.stderr)
    );
    let line = lines.recv_timeout(patience(Duration::from_secs(30)));
    assert_eq!(line.as_deref(), Ok("Hello, Ada"));

    let told = Command::new("kill")
        .args(["-TERM", &receiving.0.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    assert!(receiving.0.wait().unwrap().success(), "it ends well");
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// What is built for this test is kept, as by every build.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("template")
}

/// Copies a template, with its placeholders replaced, as `cargo generate` does.
fn generate(template: &Path, project: &Path, placeholders: &[(&str, &str)]) {
    fs::create_dir(project).unwrap();
    for entry in fs::read_dir(template).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "cargo-generate.toml" {
            continue;
        }
        let made = project.join(name.strip_suffix(".liquid").unwrap_or(name));
        if path.is_dir() {
            generate(&path, &made, placeholders);
            continue;
        }
        let mut text = fs::read_to_string(&path).unwrap();
        for (placeholder, value) in placeholders {
            text = text.replace(placeholder, value);
        }
        for left in ["{{", "{%"] {
            assert!(
                !text.contains(left),
                "{} has an unknown placeholder",
                path.display()
            );
        }
        fs::write(made, text).unwrap();
    }
}

/// `cargo test`, which builds the program too.
fn cargo(project: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["test", "--offline", "--config", "profile.dev.debug=false"])
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target());
    // The cargo that runs this test has set what describes this package.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    cargo
}

/// A process, which is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program, and gives the lines that it prints.
fn start(program: &Path, folder: &Path) -> (Running, Receiver<String>) {
    let mut child = Command::new(program)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = channel();
    thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines.for_each(|line| drop(sender.send(line)));
    });
    (Running(child), lines)
}
