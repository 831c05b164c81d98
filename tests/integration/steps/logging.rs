//! What `#[request_logging]` writes, and what it does not.

use std::io;
use std::sync::{Arc, Mutex};

use brighter::prelude::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Command)]
struct Pay {
    id: MessageId,
    card: &'static str,
}

macro_rules! logged_with {
    ($name:ident, $step:meta) => {
        struct $name;
        #[handler]
        impl Handler<Pay> for $name {
            #[$step]
            async fn handle(&self, pay: &Pay) -> Result<(), BoxError> {
                if pay.card.is_empty() {
                    Err("no card".into())
                } else {
                    Ok(())
                }
            }
        }
    };
}

logged_with!(Plain, request_logging(step = 1));
logged_with!(Fields, request_logging(step = 1, fields = debug));
logged_with!(
    FieldsAfter,
    request_logging(step = 1, timing = after, fields = debug)
);

/// The lines that are logged while the command is sent.
async fn lines<H: brighter::pipeline::HandlerPipeline<Pay>>(handler: H, card: &'static str) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let guard = brighter_tests::subscriber::subscribe(subscriber);
    let processor = CommandProcessor::builder().handler(handler).build().unwrap();
    let _ = processor
        .send(Pay {
            id: MessageId::from("pay-1"),
            card,
        })
        .await;
    drop(guard);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let ours = text.lines().filter(|line| line.contains("request_logging"));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn request_logging_shows_outcomes_and_no_contents() {
    let lines = lines(Plain, "4242").await;
    let [handling, handled] = &lines[..] else {
        panic!("{lines:?}")
    };
    for part in [
        "handling",
        "request=\"Pay\"",
        "request_id=pay-1",
        "attempt=1",
        "DEBUG",
    ] {
        assert!(handling.contains(part), "{handling}");
    }
    assert!(
        handled.contains(" handled ") && handled.contains("took="),
        "{handled}"
    );
    assert!(!lines.concat().contains("4242"), "{lines:?}");
}

#[tokio::test]
async fn says_why_it_failed() {
    let lines = lines(Plain, "").await;
    assert!(
        lines[1].contains("WARN") && lines[1].contains("error=\"no card\""),
        "{lines:?}"
    );
}

#[tokio::test]
async fn writes_the_fields_once_when_asked() {
    let around = lines(Fields, "4242").await;
    assert!(
        around[0].contains("fields=Pay { id: pay-1, card: \"4242\" }"),
        "{around:?}"
    );
    assert!(!around[1].contains("4242"), "{around:?}");

    let after = lines(FieldsAfter, "4242").await;
    let [handled] = &after[..] else {
        panic!("{after:?}")
    };
    assert!(
        handled.contains(" handled ") && handled.contains("card: \"4242\""),
        "{handled}"
    );
    assert!(lines(FieldsAfter, "").await.is_empty(), "only on success");
}
