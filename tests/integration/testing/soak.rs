//! Ten minutes of an application whose operator, handlers and broker do as they please, by a seed and by a paused
//! clock: nothing is lost, and after each fault it goes on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::prelude::*;
use brighter::testing::{PublishFault, RandomFaults, SettleFault, TestApp};

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Soak")]
struct Drop {
    number: u32,
}

/// Fails one time in four, by the number and the attempt.
#[derive(Clone, Default)]
struct Soaks(Arc<Mutex<Vec<u32>>>);

#[handler]
impl Handler<Drop> for Soaks {
    async fn handle(&self, drop: &Drop, cx: &Context) -> Result<(), BoxError> {
        tokio::time::sleep(Duration::from_millis(u64::from(drop.number % 40))).await;
        if (drop.number + cx.attempt()).is_multiple_of(4) {
            return Err("not this time".into());
        }
        self.0.lock().unwrap().push(drop.number);
        Ok(())
    }
}

const ROUNDS: u32 = 120;
const ROUND: Duration = Duration::from_secs(5);

/// The same numbers for the same seed.
fn rolls(seed: u64) -> impl FnMut(u32) -> u32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state % u64::from(sides)).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_random_faults_lose_nothing() {
    for seed in 1..=3 {
        soak(seed).await;
    }
}

async fn soak(seed: u64) {
    let soaks = Soaks::default();
    let handler = soaks.clone();
    let app = TestApp::builder()
        .processor(|it| it.handler(handler))
        .dispatcher(|it| {
            let subscription = Subscription::<Drop>::new("soak");
            it.subscription(
                subscription
                    .performers(3)
                    .attempts(1_000)
                    .delays([Duration::from_secs(1)]),
            )
        })
        .start()
        .await;
    let dispatcher = app.dispatcher().unwrap();
    let faults = RandomFaults::seeded(seed)
        .publish(PublishFault::ConfirmLost, 0.05)
        .publish(PublishFault::Duplicate, 0.05)
        .publish(PublishFault::Reorder, 0.05)
        .settle(SettleFault::Fails, 0.05);
    app.broker().at_random(Some(faults));
    let mut roll = rolls(seed);
    let mut posted = 0;
    for round in 0..ROUNDS {
        match roll(4) {
            0 => dispatcher.pause("soak").unwrap(),
            1 => dispatcher.scale("soak", 1 + roll(6) as usize).unwrap(),
            2 => app.broker().lose_connection(),
            _ => {}
        }
        for _ in 0..5 {
            app.processor().post(Drop { number: posted }).await.unwrap();
            posted += 1;
        }
        app.when_time_passes(Duration::from_secs(2)).await;
        // The fault is over: within five seconds there is progress again.
        app.broker().restore_connection();
        dispatcher.resume("soak").unwrap();
        let before = soaks.0.lock().unwrap().len();
        app.processor().post(Drop { number: posted }).await.unwrap();
        posted += 1;
        app.when_time_passes(ROUND).await;
        let after = soaks.0.lock().unwrap().len();
        assert!(
            after > before,
            "seed {seed}, round {round}: nothing for {ROUND:?}"
        );
    }
    app.settled().await;
    let handled: HashSet<u32> = soaks.0.lock().unwrap().iter().copied().collect();
    assert_eq!(handled, (0..posted).collect(), "seed {seed}");
    for parked in ["soak", "soak.dlq", "soak.invalid"] {
        assert!(app.broker().inner().messages(parked).is_empty(), "{parked}");
    }
    assert!(app.end().await.interrupted.is_empty());
}
