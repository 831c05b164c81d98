//! Hostile data in every field: nothing of it reaches the terminal as it is.

use serde_json::{Value, json};

use super::Place;

const HOSTILE: &str = "\u{1b}[31m\u{1b}]0;x\u{7}\u{202e}\u{2066}\u{9b}2J\0\r\nfake line\u{e0041}\u{feff}<script>alert(1)</script>";

/// Returns a line with so many headers, and a body of half a kilobyte for each.
fn hostile(headers: usize) -> Value {
    let mut bag = json!({
        "rejectionReason": "DeliveryError",
        "rejectionMessage": HOSTILE,
        "rejectionHandler": HOSTILE,
        "rejectionErrorType": HOSTILE,
        "rejectionTimestamp": HOSTILE,
        HOSTILE: HOSTILE,
    });
    for number in 0..headers {
        bag[format!("h{number}{HOSTILE}")] = HOSTILE.into();
    }
    let header = json!({
        "id": HOSTILE,
        "topic": HOSTILE,
        "message_type": "MT_EVENT",
        "timestamp": { "secs_since_epoch": 1_790_000_000, "nanos_since_epoch": 0 },
        "correlation_id": HOSTILE,
        "reply_to": HOSTILE,
        "content_type": HOSTILE,
        "handled_count": 0,
        "bag": bag,
    });
    let body = format!(
        "{{\"a\": \"{}\", \"b\": {}}}",
        "\u{202e}\u{9b}".repeat(100 * headers),
        json!(HOSTILE)
    );
    json!({ "source": HOSTILE, "channel": HOSTILE, "kind": "DeliveryError", "header": header, "body": body })
}

/// Panics if something in the text can steer a terminal.
#[track_caller]
fn is_clean(what: &str, text: &str) {
    let bad = |c: &char| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    assert_eq!(text.chars().find(bad), None, "{what}");
    assert!(!text.lines().any(|line| line.starts_with("fake line")), "{what}");
}

#[tokio::test]
async fn no_field_steers_the_terminal() {
    let place = Place::new().await;
    let mut binary = hostile(1_000);
    binary["body"].take();
    binary.as_object_mut().unwrap().remove("body");
    binary["body_base64"] = "G1szMW3//gAK".into();
    place.import([hostile(1_000), binary]).expect(0);
    let args = [
        "dead",
        "archive",
        "--row",
        "2",
        "--comment",
        HOSTILE_ARGUMENT,
        "--who",
        HOSTILE_ARGUMENT,
    ];
    place.run(&args).expect(0);
    for args in [
        &["dead", "groups"][..],
        &["dead", "list", "--all-states"],
        &["dead", "show", "1"],
        &["dead", "show", "1", "--full"],
        &["dead", "show", "2", "--full"],
        &["dead", "operations"],
        &["dead", "export", "--all-states"],
        &["dead", "archive", "--where", HOSTILE_ARGUMENT],
        &["dead", "import", HOSTILE_ARGUMENT],
        &["outbox", "cancel", HOSTILE_ARGUMENT, "--yes"],
        &["dead", "archive", "--row", "1", "--dry-run"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = place.run(&[json, args].concat());
            assert!(!ran.out.is_empty() || !ran.err.is_empty());
            is_clean(&format!("{args:?}"), &ran.out);
            is_clean(&format!("{args:?}"), &ran.err);
        }
    }
    let shown = place.run(&["dead", "show", "1"]).expect(0).out;
    assert!(shown.len() < 200_000, "{} bytes", shown.len());
}

/// As `HOSTILE`, without the NUL that no argument may have.
const HOSTILE_ARGUMENT: &str = "\u{1b}[31m\u{202e}\u{9b}2J\r\nfake line\u{feff}<script>";

#[tokio::test]
async fn a_program_reads_hostile_values_as_they_are() {
    let place = Place::new().await;
    place.import([hostile(10_000)]).expect(0);
    let exported = place.run(&["dead", "export"]).expect(0).out;
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported["header"]["id"], HOSTILE);
    assert_eq!(exported["header"]["bag"][HOSTILE], HOSTILE);
    assert_eq!(exported["body"], hostile(10_000)["body"]);
}
