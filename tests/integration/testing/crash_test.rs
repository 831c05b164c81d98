//! `crash_test` finds the step at which harm is done, and none where there is none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::InMemoryInbox;
use brighter::prelude::*;
use brighter::testing::{CrashTestReport, Scenario, crash_test, fault_points};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Exhaust.Order")]
struct Order {
    id: MessageId,
    item: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Exhaust.Shipped", kind = "event")]
struct Shipped {
    item: String,
}

/// What outlives the process.
#[derive(Clone, Default)]
struct Effects(Arc<Mutex<Vec<String>>>);

impl Effects {
    fn add(&self, effect: String) {
        self.0.lock().unwrap().push(effect);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// What is wrong with the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// It says that it is done before it is.
    AcksBeforeItIsDone,
    /// It gives up at the first error.
    SetsAsideWhatFails,
    /// It does what nobody asked for when it is asked again.
    DoesMoreTheSecondTime,
}

struct Ship {
    effects: Effects,
    bug: Bug,
}

#[handler]
impl Handler<Order> for Ship {
    #[use_inbox(lease = "10s", step = 1)]
    async fn handle(&self, order: &Order, cx: &Context) -> Result<(), BoxError> {
        let (effects, shipped) = (self.effects.clone(), format!("shipped {}", order.item));
        match self.bug {
            Bug::AcksBeforeItIsDone => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    effects.add(shipped);
                });
            }
            Bug::DoesMoreTheSecondTime if effects.all().contains(&shipped) => {
                effects.add("an apology".into());
            }
            _ => effects.add(shipped),
        }
        let item = order.item.clone();
        let posted = cx.post(Shipped { item }).await;
        match posted {
            Err(error) if self.bug == Bug::SetsAsideWhatFails => {
                Err(Reject::because(error.to_string()).into())
            }
            posted => Ok(posted.map(drop)?),
        }
    }
}

struct Tell(Effects);

#[handler]
impl Handler<Shipped> for Tell {
    async fn handle(&self, shipped: &Shipped) -> Result<(), BoxError> {
        self.0.add(format!("told of {}", shipped.item));
        Ok(())
    }
}

fn shop(scenario: Scenario, bug: Bug) -> Scenario {
    let (effects, inbox) = (Effects::default(), InMemoryInbox::new());
    let all = effects.clone();
    scenario
        .app(move |app| {
            let (effects, inbox) = (effects.clone(), inbox.clone());
            async move {
                app.processor(move |processor| {
                    let told = effects.clone();
                    processor
                        .inbox(inbox)
                        .handler(Ship { effects, bug })
                        .handler(Tell(told))
                })
                .dispatcher(|dispatcher| {
                    dispatcher
                        .subscription(Subscription::<Order>::new("orders"))
                        .subscription(Subscription::<Shipped>::new("shipped"))
                })
            }
        })
        .when(|life| async move {
            let order = Order {
                id: "order-1".into(),
                item: "tea".into(),
            };
            if life.processor().post(order).await.is_ok() {
                life.promise("shipped tea");
                life.promise("told of tea");
            }
        })
        .effects(move || {
            let all = all.all();
            async move { all }
        })
}

/// What it says of a scenario that does harm.
fn found(describe: impl Fn(Scenario) -> Scenario + Sync) -> String {
    let exhausting = catch_unwind(AssertUnwindSafe(|| crash_test(describe)));
    let panic = exhausting.expect_err("there is a bug to find");
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn a_sound_application_survives_every_fault() {
    let CrashTestReport { points, runs, .. } = crash_test(|scenario| shop(scenario, Bug::None));
    assert!(points >= 15, "{points}");
    assert!(runs >= 200, "{runs}");
}

#[test]
fn a_life_that_has_ended_has_no_faults() {
    let looks = |scenario: Scenario| {
        shop(scenario, Bug::None).effects(|| async {
            fault_points::pass("tests.looked").await;
            vec!["shipped tea".to_owned(), "told of tea".to_owned()]
        })
    };
    // A death after the broker was closed would be followed by a life that waits for it forever.
    crash_test(looks);
}

#[test]
fn one_that_acks_before_it_is_done_is_found() {
    let found = found(|scenario| shop(scenario, Bug::AcksBeforeItIsDone));
    assert!(
        found.contains("`shipped tea` was promised, and is lost"),
        "{found}"
    );
    assert!(found.contains("To run it alone: BRIGHTER_EXHAUST=\""), "{found}");
    assert!(found.contains("What happened:"), "{found}");
}

#[test]
fn a_premature_rejection_is_found() {
    let found = found(|scenario| shop(scenario, Bug::SetsAsideWhatFails));
    assert!(found.contains("=error"), "{found}");
    assert!(found.contains("lost") || found.contains("set aside"), "{found}");
}

#[test]
fn one_with_an_effect_that_nobody_asked_for_is_found() {
    let found = found(|scenario| shop(scenario, Bug::DoesMoreTheSecondTime));
    assert!(
        found.contains("`an apology` is there, and is not without a fault"),
        "{found}"
    );
}

#[test]
fn a_double_effect_without_a_transaction_is_found() {
    let found = found(|scenario| shop(scenario, Bug::None).exactly_once());
    assert!(found.contains("is there 2 times"), "{found}");
}

#[test]
fn a_permanent_failure_is_found_without_a_fault() {
    let broken = |scenario: Scenario| scenario.when(|life| async move { life.promise("the moon") });
    let found = found(broken);
    assert!(
        found.starts_with("Without any fault: `the moon` was promised, and is lost"),
        "{found}"
    );
}

#[test]
fn a_panic_is_reported_with_its_fault() {
    let panics = |scenario: Scenario| {
        shop(scenario, Bug::None).when(|life| async move {
            let order = Order {
                id: "order-1".into(),
                item: "tea".into(),
            };
            life.processor().post(order).await.expect("nothing ever fails");
        })
    };
    let found = found(panics);
    assert!(
        found.contains("With `outbox.deposit=error`: it panicked"),
        "{found}"
    );
    assert!(found.contains("nothing ever fails"), "{found}");
}

/// Run by the test below, in a process of its own.
#[test]
fn the_shop_alone() {
    if std::env::var_os("BRIGHTER_EXHAUST").is_none() {
        return;
    }
    let done = crash_test(|scenario| shop(scenario, Bug::AcksBeforeItIsDone).one_fault_at_a_time());
    // Only if it was told one run that does no harm.
    assert_eq!(done.runs, 2);
}

#[test]
fn one_run_alone_is_what_the_environment_says() {
    let alone = |run: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "testing::crash_test::the_shop_alone"])
            .env("BRIGHTER_EXHAUST", run)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(alone("sweep.read=die"));
    assert!(!alone("settle.after=die"));
    assert!(!alone("no such thing"));
}
