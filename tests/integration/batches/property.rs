//! Outcomes × keys, at random: order by key, and exactly one settlement for each message.

use std::collections::{BTreeMap, BTreeSet};

use brighter_tests::wait::until_eq;

use super::*;

const KEYS: u32 = 7;
const ROWS: u32 = 70;

/// What a handler says of a row, by its number and attempt: the same for the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Handled,
    Failed,
    Deferred,
    Rejected,
    /// The call fails as a whole.
    Poison,
    /// The call panics.
    Bomb,
    DontAck,
}

fn said(seed: u64, row: &Row, attempt: u32) -> Said {
    let mut state = seed ^ (u64::from(row.key) << 40) ^ (u64::from(row.number) << 8) ^ u64::from(attempt);
    // splitmix64
    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    match (state ^ (state >> 31)) % 20 {
        0 | 1 => Said::Failed,
        2 => Said::Deferred,
        3 => Said::Rejected,
        4 => Said::Poison,
        5 => Said::Bomb,
        // Not counted as an attempt, so it must end by itself.
        6 if attempt == 1 && row.number.is_multiple_of(2) => Said::DontAck,
        _ => Said::Handled,
    }
}

/// What ends with which rows, by key.
#[derive(Default)]
struct Ledger {
    handled: BTreeMap<u32, Vec<u32>>,
    /// `DontAck` once for each row.
    given_back: BTreeSet<(u32, u32)>,
}

fn store(seed: u64, ledger: &Arc<Mutex<Ledger>>) -> Store {
    let ledger = Arc::clone(ledger);
    Store::new(move |batch| {
        let of = |row: &Row, cx: &Context| match said(seed, row, cx.attempt()) {
            Said::DontAck if ledger.lock().unwrap().given_back.contains(&(row.key, row.number)) => {
                Said::Handled
            }
            said => said,
        };
        let said: Vec<_> = batch.with_contexts().map(|(row, cx)| of(row, cx)).collect();
        assert!(!said.contains(&Said::Bomb), "boom");
        if said.contains(&Said::Poison) {
            return Err("poison".into());
        }
        for (index, (row, said)) in batch.iter().zip(said).enumerate() {
            match said {
                Said::Failed => batch.fail(index, "failed"),
                Said::Deferred => batch.defer(index, SECOND),
                Said::Rejected => batch.reject(index, "rejected"),
                Said::DontAck => {
                    ledger.lock().unwrap().given_back.insert((row.key, row.number));
                    batch.fail(index, DontAck::because("later"));
                }
                _ => {
                    let mut ledger = ledger.lock().unwrap();
                    ledger.handled.entry(row.key).or_default().push(row.number);
                }
            }
        }
        Ok(())
    })
}

/// The rows that end in the dead-letter channel, by the table of settlements.
fn expected_dead(seed: u64, attempts: u32) -> BTreeSet<(u32, u32)> {
    let all = (0..ROWS).map(|number| Row {
        key: number % KEYS,
        number,
    });
    let dies = |row: &Row| {
        for attempt in 1..=attempts {
            match said(seed, row, attempt) {
                Said::Handled | Said::DontAck => return false,
                Said::Rejected => return true,
                Said::Failed | Said::Deferred | Said::Poison | Said::Bomb => {}
            }
        }
        true
    };
    all.filter(dies).map(|row| (row.key, row.number)).collect()
}

async fn run(seed: u64, ordered: bool) {
    const ATTEMPTS: u32 = 3;
    let ledger = Arc::default();
    let store = store(seed, &ledger);
    let broker = InMemoryBroker::new();
    let mut subscription = table().attempts(ATTEMPTS).delays([SECOND / 10, SECOND]);
    if ordered {
        subscription = subscription.ordered_by(|row: &Row| row.key);
    } else {
        subscription = subscription.performers(2);
    }
    let dispatcher = consuming(broker.clone(), &store, subscription).await;
    let all = (0..ROWS).map(|number| Row {
        key: number % KEYS,
        number,
    });
    post(&dispatcher, all).await;
    let dead = || -> Vec<(u32, u32)> {
        let messages = broker.messages("rows.dlq");
        let row = |body: &[u8]| serde_json::from_slice::<Row>(body).unwrap();
        let rows = messages.iter().map(|message| row(message.body.as_bytes()));
        rows.map(|row| (row.key, row.number)).collect()
    };
    let settled = || {
        let handled: usize = ledger.lock().unwrap().handled.values().map(Vec::len).sum();
        handled + dead().len()
    };
    until_eq("all settled", ROWS as usize, settled).await;
    // Nothing comes again afterwards.
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(settled(), ROWS as usize, "seed {seed}");
    let report = dispatcher.end().await;
    assert!(report.interrupted.is_empty(), "seed {seed}: {report:?}");
    assert!(broker.messages("rows").is_empty(), "seed {seed}");

    let once: BTreeSet<_> = dead().into_iter().collect();
    assert_eq!(once.len(), dead().len(), "seed {seed}: a dead letter twice");
    assert_eq!(once, expected_dead(seed, ATTEMPTS), "seed {seed}");
    for (key, numbers) in &ledger.lock().unwrap().handled {
        let unique: BTreeSet<_> = numbers.iter().collect();
        assert_eq!(
            unique.len(),
            numbers.len(),
            "seed {seed}: key {key} handled twice: {numbers:?}"
        );
        if ordered {
            assert!(numbers.is_sorted(), "seed {seed}: key {key}: {numbers:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_is_settled_once_in_order_by_key() {
    for seed in 0..40 {
        run(seed, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_is_settled_once_without_order() {
    for seed in 1_000..1_040 {
        run(seed, false).await;
    }
}
