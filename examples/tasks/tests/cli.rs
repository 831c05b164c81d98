//! The command line, as a person meets it when something is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn tasks(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasks"));
    command
        .args(arguments)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_remove("TASKS_BROKER")
        .env_remove("RUST_LOG")
        .env_remove("BRIGHTER_CONFIG");
    command
}

fn run(arguments: &[&str]) -> Output {
    tasks(arguments).output().unwrap()
}

/// Ends with this code, and says one line without a secret.
fn says_one_line(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!said.contains("secret"), "{said}");
    said
}

#[test]
fn a_wrong_broker_url_is_one_line_and_exit_2() {
    let send = ["send", "--task", "Pay", "--due", "now", "--to", "ada@example.com"];
    for url in [
        "localhost",
        "http://u:secret@localhost",
        "amqp://u:secret@host:port/",
        "amqp://u:secret@",
    ] {
        for command in [&["api"][..], &["worker"], &send] {
            let output = run(&[command, &["--broker", url]].concat());
            let said = says_one_line(&output, 2);
            assert!(
                said.starts_with("tasks: the URL of the broker is wrong: "),
                "{said}"
            );
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn a_wrong_url_is_one_line_and_exit_2() {
    let worker = ["worker", "--broker", "amqp://localhost"];
    for wrong in [
        ["--smtp", "http://u:secret@localhost"],
        ["--from", "nobody"],
        ["--otlp", "http://u:secret@localhost:4318/v1/traces"],
        ["--otlp", "localhost:4318"],
    ] {
        says_one_line(&run(&[&worker[..], &wrong].concat()), 2);
    }
    let send = [
        "send",
        "--broker",
        "amqp://localhost",
        "--task",
        "Pay",
        "--due",
        "now",
        "--to",
        "nobody",
    ];
    let said = says_one_line(&run(&send), 2);
    assert!(said.contains("`recipient` is not a mail address"), "{said}");
}

#[test]
fn an_unusable_broker_file_is_named_in_one_line() {
    let output = run(&["worker", "--broker-file", "missing/broker.db"]);
    let said = says_one_line(&output, 1);
    assert!(
        said.contains("cannot use missing/broker.db as a broker"),
        "{said}"
    );
}

#[test]
fn help_shows_how_and_no_secret() {
    for arguments in [
        &["--help"][..],
        &["api", "--help"],
        &["worker", "--help"],
        &["send", "--help"],
    ] {
        let output = tasks(arguments)
            .env("TASKS_BROKER", "amqp://u:secret@localhost")
            .output()
            .unwrap();
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success());
        assert!(!help.contains("secret"), "{help}");
    }
    let help = run(&["--help"]).stdout;
    assert!(String::from_utf8_lossy(&help).contains("tasks worker --mail-dir mail"));
}

#[test]
fn the_settings_are_shown_with_their_origins_and_without_secrets() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tasks.toml");
    let output = tasks(&["worker", "--config", file, "--performers", "3", "--print-config"])
        .env("BRIGHTER_RABBITMQ_URL", "amqp://u:hunter2@localhost/v")
        .env("BRIGHTER_SUBSCRIPTIONS_TASK_REMINDERS_BUFFER", "7")
        .output()
        .unwrap();
    assert!(output.status.success());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    for (value, origin) in [
        ("url = \"amqp://***@localhost/v\"", "BRIGHTER_RABBITMQ_URL"),
        ("performers = 3", "--performers"),
        ("buffer = 7", "BRIGHTER_SUBSCRIPTIONS_TASK_REMINDERS_BUFFER"),
        ("confirm_timeout = \"5s\"", "the program"),
        ("# attempts = 5", "default"),
    ] {
        let stands = |line: &str| line.starts_with(value) && line.ends_with(&format!("# {origin}"));
        assert!(shown.lines().any(stands), "{value} by {origin}: {shown}");
    }
    let from_file =
        |line: &str| line.starts_with("heartbeat_interval = \"5s\"") && line.contains("tasks.toml:7");
    assert!(shown.lines().any(from_file), "{shown}");
}

#[test]
fn wrong_settings_are_told_all_at_once_and_exit_2() {
    let output = tasks(&["worker", "--broker", "amqp://localhost", "--performers", "many"])
        .env("BRIGHTER_SWEEPER_INTERVALL", "1s")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "did you mean `BRIGHTER_SWEEPER_INTERVAL`",
        "--performers: `subscriptions.task-reminders.performers`",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_log_in_json_has_one_object_a_line() {
    let mut child = tasks(&[
        "worker",
        "--broker",
        "amqp://u:secret@127.0.0.1:1",
        "--log",
        "json",
    ])
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(
        line["message"].as_str().unwrap().contains("cannot connect"),
        "{line}"
    );
}

#[test]
fn an_absent_broker_is_awaited_and_reported_once() {
    // A port that was free a moment ago, and on which nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("amqp://u:secret@127.0.0.1:{port}");
    let mut child = tasks(&["worker", "--broker", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("cannot connect to RabbitMQ"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lines.next().is_none(), "it said so once");
}
