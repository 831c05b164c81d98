//! The command `brighter`, as a person and as a program run it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod addresses;
mod dead;
mod frozen;
mod help;
mod hostile;
mod outbox;
mod snapshot;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use brighter::desk::{DeskStore, SqliteDesk};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a run has printed, and its exit code.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        let value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        all_fields_are_documented(&value);
        value
    }
}

/// Panics if the page of the schema does not have each field.
#[track_caller]
fn all_fields_are_documented(value: &Value) {
    const PAGE: &str = include_str!("../../../docs/book/src/reference/command-line.md");
    match value {
        Value::Array(values) => values.iter().for_each(all_fields_are_documented),
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(
                    PAGE.contains(&format!("`{name}`")),
                    "the page has no field `{name}`"
                );
                // The header is that of the message.
                if name != "header" {
                    all_fields_are_documented(value);
                }
            }
        }
        _ => {}
    }
}

/// A folder with a database and a broker in files.
struct Place {
    folder: TempDir,
}

impl Place {
    /// Returns a place with the tables of a desk.
    async fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        drop(place.desk().await);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn desk(&self) -> SqliteDesk {
        SqliteDesk::open(self.path("desk.db")).await.unwrap()
    }

    /// Runs the command with the addresses of this place.
    fn run(&self, args: &[&str]) -> Ran {
        let mut command = program();
        command
            .env(
                "DATABASE_URL",
                format!("sqlite:{}", self.path("desk.db").display()),
            )
            .current_dir(self.folder.path())
            .args(args);
        let broker = self.path("broker.db");
        if broker.exists() {
            command.env("BROKER_URL", format!("sqlite:{}", broker.display()));
        }
        ran(command, "")
    }

    /// Imports a message for each of these lines.
    fn import(&self, lines: impl IntoIterator<Item = Value>) -> Ran {
        let file = self.path("lines.jsonl");
        let lines: Vec<_> = lines.into_iter().map(|line| line.to_string()).collect();
        std::fs::write(&file, lines.join("\n")).unwrap();
        self.run(&["--json", "dead", "import", "lines.jsonl"])
    }

    /// Returns the states of all rows, the newest first.
    async fn states(&self) -> Vec<String> {
        let rows = self
            .desk()
            .await
            .list(&"".parse().unwrap(), None, 10_000)
            .await
            .unwrap();
        rows.iter().map(|row| row.state.as_str().to_owned()).collect()
    }
}

/// Returns the command without anything of this environment.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brighter"));
    command.env_clear().env("USER", "ann").stdin(Stdio::null());
    command
}

fn ran(mut command: Command, input: &str) -> Ran {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns a line of an export: a dead letter of `orders` with this number.
fn line(number: u32, error: &str) -> Value {
    with_body(number, error, &json!({ "order": number }).to_string())
}

fn with_body(number: u32, error: &str, body: &str) -> Value {
    let header = json!({
        "id": format!("m-{number}"),
        "topic": "Order.Placed",
        "message_type": "MT_EVENT",
        "timestamp": { "secs_since_epoch": 1_790_000_000, "nanos_since_epoch": 0 },
        "correlation_id": null,
        "reply_to": null,
        "content_type": "application/json",
        "handled_count": 0,
        "bag": {
            "rejectionReason": "DeliveryError",
            "rejectionMessage": error,
        },
    });
    json!({ "source": "orders.dlq", "channel": "orders", "kind": "DeliveryError", "header": header, "body": body })
}

fn snapshots() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/commands/expected"))
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so() {
        assert!(tokio::time::Instant::now() < end, "not in time");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
