//! The watchdog, which has to look from another thread. Its times are real; the tests wait for what it says.

use std::sync::atomic::AtomicBool;

use brighter::channel::ConsumerBounds;
use brighter_tests::scripted::{Came, Consume, Scripted};
use brighter_tests::wait::{until, until_eq};

use super::*;
use crate::log::Log;

/// A handler that blocks its thread until it is let go.
struct Blocks(Arc<AtomicBool>, Log);

#[handler]
impl Handler<Note> for Blocks {
    async fn handle(&self, _: &Note) -> Result<(), BoxError> {
        let deadline = std::time::Instant::now() + brighter_tests::wait::deadline();
        // Until it was told twice: at first, and once it took twice as long.
        while self.1.lines_with("blocks its thread").len() < 2 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(20));
        }
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn a_blocking_handler_is_reported_repeatedly() {
    let log = Log::default();
    let _logging = log.here();
    let done = Arc::new(AtomicBool::new(false));
    let sent = message(&note(1, 1));
    let broker = Scripted::new([Consume::Gives(vec![Came::Message(sent.clone())])]);
    let _dispatcher = receiving(broker.clone(), Blocks(Arc::clone(&done), log.clone()), notes());
    until("it is done", || done.load(Ordering::Relaxed)).await;
    let lines = log.lines_with("blocks its thread");
    assert!(lines.len() >= 2, "{lines:?}");
    for part in ["Blocks", "subscription=notes", &format!("id={}", sent.header.id)] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

#[tokio::test]
async fn a_late_settlement_is_reported_once_in_advance() {
    let log = Log::default();
    let _logging = log.here();
    let bounds = ConsumerBounds::new().settle_timeout(SECOND / 10);
    let (late, other) = (message(&note(1, 1)), message(&note(2, 2)));
    let broker = Scripted::bounded(
        [Consume::Gives(vec![
            Came::Message(late.clone()),
            Came::Message(other),
        ])],
        bounds,
    );
    let clerk = Clerk::gated(|_, _| Ok(()));
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until("it is told", || {
        !log.lines_with("will not be settled in time").is_empty()
    })
    .await;
    let lines = log.lines_with("will not be settled in time");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "Clerk",
        "subscription=notes",
        &format!("id={}", late.header.id),
        "limit=100ms",
    ] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    clerk.open();
    until_eq("both done", 2, || clerk.done().len()).await;
}
