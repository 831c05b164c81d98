//! Fault points: the steps of brighter at which a test can have something go wrong, by their names.
//!
//! A [`Plan`] says what happens at a passing of a point, and counts the passings. It holds for the
//! runtime on which it is [installed](Plan::install), so that tests run side by side; a process that is to be killed
//! is told its plan by the environment variable `BRIGHTER_FAULT_POINTS`.
//!
//! The points are passed in this order, where each is passed at all:
//!
//! | step | points |
//! |---|---|
//! | depositing | `outbox.deposit`, `database.begin`, `outbox.row`, `database.commit`, `database.committed`, `outbox.deposited` |
//! | sending | `sweep.read`, `sweep.claimed`, `relay.publish`, `relay.confirm`, `relay.mark`, `relay.marked` |
//! | consuming | `pump.receive`, `pump.map`, `settle.before`, `settle.after` |
//! | handling | `inbox.claim`, `inbox.claimed`, `handler.before`, `inbox.complete_in`, `handler.after`, `inbox.complete`, `inbox.completed`, `inbox.abandon` |
//! | transactions of handlers | `transaction.begin`, `transaction.record`, `transaction.recorded`, `transaction.commit`, `transaction.committed` |
//! | recurring work | `schedule.register`, `schedule.look`, `schedule.fire`, `schedule.fired` |
//! | replaying dead letters | `replay.moved` |
//! | taking messages to the desk | `desk.received`, `desk.taken`, `desk.acknowledged` |
//! | operating at the desk | `desk.next`, `desk.sent`, `desk.recorded`, `desk.settled`, `desk.applied` |
//!
//! Those of `database` belong to every change that an outbox or an inbox makes in a database on its own; a commit of the
//! application's is its own to [name](pass).
//!
//! ```
//! use brighter::prelude::*;
//! use brighter::testing::fault_points::{Action, Plan, Rule};
//!
//! #[derive(Debug, Serialize, Deserialize, Message)]
//! #[message(topic = "Greeting")]
//! struct Greet;
//!
//! # brighter::testing::run(async {
//! let plan = Plan::new([Rule::new("outbox.deposit", 2, Action::Error)]);
//! let _installed = plan.install();
//!
//! let processor = CommandProcessor::builder()
//!     .broker(InMemoryBroker::new())
//!     .outbox(InMemoryOutbox::new())
//!     .build()?;
//! let _ = processor.post(Greet).await; // nobody wants it, but that is another matter
//! let error = processor.post(Greet).await.unwrap_err();
//! assert!(error.report().contains("`outbox.deposit` was told to fail"));
//! # Ok::<(), BoxError>(())
//! # }).unwrap();
//! ```

pub use brighter_core::fault_point::{
    Action, Injected, Installed, NoRule, Passed, Plan, Rule, pass, try_pass,
};
