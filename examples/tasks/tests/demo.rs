//! `cargo run -p tasks`, as a newcomer sees it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::path::Path;
use std::process::Command;

use brighter_tests::log_fields::repeated_fields;

#[test]
fn the_demo_goes_as_its_story_says() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tasks"))
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaint}");
    assert!(complaint.is_empty(), "{complaint}");
    assert!(!said.contains('\x1b'), "colours are for terminals");

    // What happened, and where in the pipeline.
    for (place, text) in [
        ("api", "202 Accepted in "),
        ("sweeper", "sent all 5"),
        ("1 logging", "handling, delivery 1"),
        ("handler", "attempt 2: the mail server hung up"),
        ("3 retry", "trying again in 100ms"),
        ("2 breaker", "opened: nothing is mailed for 600ms"),
        ("2 breaker", "closed"),
        ("handler", "mailed to ada@example.com"),
        ("pump", "dead-lettered to task-reminders.dlq"),
        ("pump", "set aside as invalid in task-reminders.invalid"),
    ] {
        let line = format!("  {place:<10}  ");
        let told = said
            .lines()
            .any(|told| told.contains(&line) && told.contains(text));
        assert!(told, "{place}: {text}\n{said}");
    }

    let (_, table) = said.split_once("\nreminder ").expect("a table");
    let row = |name: &str| {
        table
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    let folder = table
        .lines()
        .find_map(|line| line.strip_prefix("The mails are in "))
        .expect("a folder");
    assert!(folder.starts_with(temporary.path().to_str().unwrap()), "{folder}");
    let mailed = [
        ("Water the plants", "1"),
        ("Pay the rent", "1"),
        ("Call grandmother", "3"),
        ("Return the books", "1"),
        ("Feed the cat", "1"),
    ];
    for (name, attempts) in mailed {
        let row = row(name);
        let [.., outcome, tried, file] = row.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        assert_eq!((outcome, tried), ("mailed", attempts), "{row}");
        let mail = std::fs::read_to_string(Path::new(folder).join(file)).unwrap();
        assert!(mail.contains(&format!("Subject: Reminder: {name}")), "{mail}");
    }
    assert!(row("Book the dentist").contains("dead-lettered         9  task-reminders.dlq: attempt 3 of 3"));
    assert!(row("(garbage)").contains("invalid               0  task-reminders.invalid: "));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), mailed.len());
}

/// The story has retries, an open circuit, dead letters and garbage, so its log has most kinds of lines.
#[test]
fn no_field_stands_twice_in_a_line_of_the_log() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tasks"))
        .env("TMPDIR", temporary.path())
        .env("RUST_LOG", "info")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    for part in [
        "circuit opened",
        "message will be retried",
        "moved to the dead-letter channel",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    for line in log.lines() {
        assert_eq!(repeated_fields(line), [""; 0], "{line}");
    }
}
