//! What Prometheus itself says of metrics.

use std::io::Write;
use std::process::{Command, Stdio};

/// Has `promtool check metrics` read this text: it finds what cannot be read, and names that break the rules.
///
/// # Panics
/// It finds something, or there is no promtool.
pub fn accepts(text: &str) {
    let promtool = crate::servers::variable("BRIGHTER_TEST_PROMTOOL");
    let mut checks = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = checks.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = checks.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}
