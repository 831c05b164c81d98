//! `brighter dead` against a desk in a file.

use serde_json::json;

use super::snapshot::same;
use super::{Place, line, with_body};

async fn three_kinds() -> Place {
    let place = Place::new().await;
    let errors = ["no answer within 30s", "no answer within 5s", "no such order 17"];
    let lines = errors
        .into_iter()
        .zip(1..)
        .map(|(error, number)| line(number, error));
    let imported = place.import(lines).expect(0).json();
    assert_eq!(imported["imported"]["new"], 3, "{imported}");
    place
}

#[tokio::test]
async fn groups_lists_and_messages_are_shown() {
    let place = three_kinds().await;
    let mut text = String::new();
    for args in [
        &["dead", "groups"][..],
        &["dead", "list"],
        &["dead", "list", "--where", "error~order", "--limit", "1"],
        &["dead", "list", "--where", "state=archived"],
        &["dead", "show", "3"],
        &["status"],
    ] {
        let table = place.run(args).expect(0);
        assert_eq!(table.err, "", "{args:?}");
        let json = place.run(&[&["--json"], args].concat()).expect(0);
        json.json();
        let args = args.join(" ");
        text.push_str(&format!(
            "$ brighter {args}\n{}\n$ brighter --json {args}\n{}\n",
            table.out, json.out
        ));
    }
    same("reading.txt", &text);
}

#[tokio::test]
async fn a_page_ends_where_the_next_begins() {
    let place = three_kinds().await;
    let first = place
        .run(&["--json", "dead", "list", "--limit", "2"])
        .expect(0)
        .json();
    assert_eq!(first["next"], 2, "{first}");
    let next = place
        .run(&["--json", "dead", "list", "--limit", "2", "--before", "2"])
        .json();
    assert_eq!(
        (&next["messages"][0]["row"], &next["next"]),
        (&json!(1), &json!(null)),
        "{next}"
    );
}

#[tokio::test]
async fn a_trial_run_changes_nothing() {
    let place = three_kinds().await;
    std::fs::write(place.path("new.json"), "{\"order\": 4}").unwrap();
    let before = place.run(&["dead", "export", "--all-states"]).expect(0).out;
    let mut text = String::new();
    for args in [
        &["dead", "retry", "--where", "error~answer", "--dry-run"][..],
        &["dead", "redirect", "--to", "other", "--all", "--dry-run"],
        &["dead", "archive", "--row", "1", "--dry-run"],
        &["dead", "delete", "--all", "--limit", "2", "--dry-run"],
        &["dead", "edit", "1", "--body", "new.json", "--dry-run"],
        &["dead", "import", "lines.jsonl", "--dry-run"],
    ] {
        let shown = place.run(args).expect(0).out;
        let json = place.run(&[&["--json"], args].concat()).expect(0).out;
        text.push_str(&format!("$ brighter {}\n{shown}{json}\n", args.join(" ")));
    }
    same("dry_run.txt", &text);
    assert_eq!(place.states().await, ["waiting"; 3]);
    assert_eq!(
        place.run(&["dead", "export", "--all-states"]).expect(0).out,
        before
    );
    let operations = place.run(&["--json", "dead", "operations"]).expect(0).json();
    assert_eq!(operations, json!({ "operations": [] }));
}

#[tokio::test]
async fn a_delete_without_yes_is_refused() {
    let place = three_kinds().await;
    let refused = place.run(&["dead", "delete", "--all"]).expect(2);
    assert!(refused.err.contains("add --yes"), "{refused:?}");
    assert_eq!(place.states().await.len(), 3);
    let done = place
        .run(&["--json", "dead", "delete", "--where", "error~answer", "--yes"])
        .expect(0);
    same("delete.json", &done.out);
    assert_eq!(place.states().await, ["waiting"]);
}

#[tokio::test]
async fn archived_messages_keep_the_comment_and_the_record() {
    let place = three_kinds().await;
    let args = [
        "--json",
        "dead",
        "archive",
        "--limit",
        "2",
        "--all",
        "--comment",
        "known",
        "--who",
        "bob",
    ];
    let done = place.run(&args).expect(0).json();
    assert_eq!(place.states().await, ["waiting", "archived", "archived"]);
    let shown = place.run(&["--json", "dead", "show", "1"]).json();
    assert_eq!(shown["message"]["comment"], "known", "{shown}");
    let id = done["operation"]["id"].as_str().unwrap();
    let text = place.run(&["dead", "operations", id]).expect(0).out;
    let list = place.run(&["dead", "operations"]).expect(0).out;
    same("operations.txt", &format!("{text}\n{list}"));
}

#[tokio::test]
async fn a_verb_on_nothing_in_particular_is_refused() {
    let place = three_kinds().await;
    for (args, said) in [
        (&["dead", "archive"][..], "say which messages"),
        (
            &["dead", "archive", "--where", "colour=red"],
            "there is no field `colour`",
        ),
        (&["dead", "archive", "--group", "x"], "no key of a group"),
        (&["dead", "archive", "--all", "--who", " "], "--who"),
        (&["dead", "archive", "--all", "--limit", "0"], "invalid limit"),
        (&["dead", "retry", "--all"], "address of the broker is missing"),
        (
            &["dead", "retry", "--all", "--canary", "0", "--wait", "0"],
            "canary",
        ),
    ] {
        let refused = place.run(args).expect(2);
        assert!(refused.err.contains(said), "{args:?}: {refused:?}");
    }
    assert_eq!(place.states().await, ["waiting"; 3]);
}

#[tokio::test]
async fn an_export_is_imported_elsewhere_as_it_was() {
    let place = three_kinds().await;
    place.run(&["dead", "export", "--output", "out.jsonl"]).expect(0);
    let again = place.run(&["dead", "export", "--output", "out.jsonl"]).expect(1);
    assert!(again.err.contains("cannot be made"), "{again:?}");
    let lines = std::fs::read_to_string(place.path("out.jsonl")).unwrap();
    let known = place
        .run(&["--json", "dead", "import", "out.jsonl"])
        .expect(0)
        .json();
    assert_eq!(known["imported"]["known"], 3, "{known}");
    let other = Place::new().await;
    std::fs::write(other.path("in.jsonl"), format!("{lines}\nno line\n{{}}\n")).unwrap();
    let partly = other.run(&["--json", "dead", "import", "in.jsonl"]).expect(3);
    same("import.json", &partly.out);
    assert_eq!(other.states().await, ["waiting"; 3]);
    std::fs::write(other.path("bad.jsonl"), "no line").unwrap();
    other.run(&["dead", "import", "bad.jsonl"]).expect(1);
}

#[tokio::test]
async fn an_edit_is_refused_unless_it_is_allowed_and_json() {
    let place = Place::new().await;
    place.import([with_body(1, "no", "{\"order\": 1}")]).expect(0);
    for (body, more, said) in [
        ("{\"order\": 2}", &[][..], "add --allow-edits"),
        ("{\"order\": 2,\n}", &["--allow-edits"], "line 2 column 1"),
        ("{\"order\": 1}", &["--allow-edits"], "is the old one"),
    ] {
        std::fs::write(place.path("body"), body).unwrap();
        let refused = place
            .run(&[&["dead", "edit", "1", "--body", "body"], more].concat())
            .expect(2);
        assert!(refused.err.contains(said), "{refused:?}");
    }
    assert_eq!(place.states().await, ["waiting"]);
}
