//! What the command says of itself.

use super::snapshot::same;
use super::{program, ran};

const COMMANDS: [&[&str]; 26] = [
    &[],
    &["dead"],
    &["dead", "groups"],
    &["dead", "list"],
    &["dead", "show"],
    &["dead", "retry"],
    &["dead", "edit"],
    &["dead", "redirect"],
    &["dead", "archive"],
    &["dead", "delete"],
    &["dead", "export"],
    &["dead", "import"],
    &["dead", "take"],
    &["dead", "operations"],
    &["dead", "stop"],
    &["dead", "continue"],
    &["outbox"],
    &["outbox", "status"],
    &["outbox", "dead"],
    &["outbox", "revive"],
    &["outbox", "resend"],
    &["outbox", "scheduled"],
    &["outbox", "cancel"],
    &["status"],
    &["ddl"],
    &["completions"],
];

#[test]
fn each_command_says_what_it_does() {
    let mut all = String::new();
    for command in COMMANDS {
        let mut program = program();
        program.args(command).arg("--help");
        let help = ran(program, "").expect(0);
        assert_eq!(help.err, "");
        all.push_str(&format!(
            "$ brighter {} --help\n{}\n",
            command.join(" "),
            help.out
        ));
    }
    assert!(!all.contains('\u{1b}'), "no colours outside of a terminal");
    same("help.txt", &all);
}

#[test]
fn a_mistake_is_refused_with_2() {
    for args in [
        &["ded"][..],
        &[],
        &["dead", "retry", "--rate", "fast"],
        &["dead", "redirect", "--all"],
        &["outbox", "revive"],
        &["outbox", "resend", "--yes"],
        &["ddl", "oracle"],
        &["dead", "operations", "7"],
    ] {
        let mut program = program();
        program.args(args);
        let ran = ran(program, "").expect(2);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{args:?}: {ran:?}");
    }
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let mut program = program();
        program.args(["completions", shell]);
        let text = ran(program, "").expect(0).out;
        assert!(
            text.contains("redirect") && text.contains("completions"),
            "{shell}"
        );
    }
    let mut program = program();
    program.arg("man");
    let text = ran(program, "").expect(0).out;
    assert!(
        text.starts_with(".ie") && text.contains("brighter\\-dead"),
        "{text}"
    );
}

#[test]
fn ddl_prints_the_tables() {
    let mut program = program();
    program.args(["ddl", "postgres", "--schema", "shop", "--only", "desk"]);
    let text = ran(program, "").expect(0).out;
    assert!(
        text.contains("CREATE TABLE IF NOT EXISTS \"shop\".\"brighter_desk\" ("),
        "{text}"
    );
}
