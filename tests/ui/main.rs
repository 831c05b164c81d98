//! What the compiler says: what must compile, and every mistake with its one error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::path::Path;

/// Mistakes for which rustc adds an error of its own, and why that cannot be helped.
const MORE_THAN_ONE: &[(&str, usize, &str)] = &[
    (
        "batch_and_single",
        2,
        "both impls have a pipeline as well, and there can be one",
    ),
    (
        "derive_in_child_module",
        3,
        "the standard derive takes the topic for a trait, and our derive does not see it",
    ),
    (
        "derive_not_imported",
        3,
        "the standard derive takes the topic for a trait, and our derive does not see it",
    ),
    (
        "handle_returns_option",
        3,
        "its error is sought twice, and the trait wants a result",
    ),
    (
        "handler_of_no_request",
        2,
        "the trait's bound is looked at for the impl and for its method",
    ),
    (
        "handler_on_struct_of_no_request",
        3,
        "the same, and for the pipeline beside the type",
    ),
    (
        "handler_type_not_send",
        3,
        "neither `Send` nor `Sync`, nor then the future that borrows it",
    ),
    (
        "handler_of_two_requests",
        2,
        "both the request and its handler are sought",
    ),
    ("handler_without_request", 2, "the trait needs its parameter"),
    ("not_a_port", 4, "there is one mistake for each port"),
    (
        "transactional_missing_step",
        2,
        "a step without its place is left out, and then nothing begins the transaction",
    ),
    (
        "transactional_on_struct_without_tx",
        3,
        "the trait is sought for the type, and its transaction by the handler and by the step",
    ),
    (
        "transactional_wrong_type",
        2,
        "both the handler and its step want a transaction of an outbox",
    ),
];

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    cases.compile_fail("fail/*.rs");
}

#[test]
fn one_mistake_is_one_error() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fail")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "stderr") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let errors = fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("error"))
            .count();
        let known = MORE_THAN_ONE.iter().find(|(known, ..)| *known == name);
        let expected = known.map_or(1, |(_, count, _)| *count);
        if errors != expected {
            wrong.push(format!("{name}: {errors} errors, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
