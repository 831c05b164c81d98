//! The suite can fail: brokers that are wrong are found out by the cases that should, and each case finds one.

mod broker;
mod consumer;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use brighter::InMemoryBroker;
use brighter::channel::{Broker, Channel};
use brighter::testing::conformance::{Features, Harness, Stall, cases};
use brighter::testing::{FaultyBroker, run};

use broker::{Broken, Seen};
use futures_util::FutureExt;

/// What is wrong with a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    Flawless,
    /// What finds no consumer is thrown away.
    KeepsNothing,
    /// The first channel alone gets what has its topic.
    GivesOneCopy,
    MixesTopics,
    TakesPatternsLiterally,
    SwallowsUnroutable,
    /// When one of many is refused, all are said to be.
    AnswersForAll,
    ForgetsWhyANameIsWrong,
    LosesSome,
    DoublesSome,
    /// Of several that wait the second comes first.
    Reorders,
    LosesHeaders,
    LowersHeaderNames,
    CutsBodies,
    ForgetsAcks,
    /// What is dropped is gone.
    AcksWhatIsDropped,
    ForgetsDeliveries,
    /// A consumer that is dropped keeps what it had taken.
    KeepsWhatItTook,
    /// A consumer that is asked for and given up stays, and takes messages.
    KeepsConsumersGivenUp,
    /// A message that a call to receive waited for is lost if another call comes for it.
    ServesOnlyTheCallThatWaited,
    RequeuesUncounted,
    RequeuesToAll,
    IgnoresDelays,
    /// A delay lasts as long as that before it at least.
    QueuesDelays,
    DropsRejected,
    TakesInvalidForDead,
    RejectsWithoutReason,
    HangsWhenSettledLate,
    IgnoresBuffers,
    HasABufferOfOne,
    /// Only the first consumer of a channel gets anything.
    ServesOneConsumer,
    IgnoresLimits,
    CountsOneMore,
    DeclaresNothing,
    /// A channel that is opened as it is, it makes.
    MakesWhatIsAbsent,
    RemovesNothing,
    GoesOnWhenClosed,
    HangsWhenClosedTwice,
    /// Acks are written in eights, and those left over forgotten by a close.
    FlushesNothing,
    ForgetsWhenClosed,
    NeverReconnects,
    /// A consumer whose connection was lost says nothing.
    LosesSilently,
    ForgetsWhenRestarted,
    /// One channel that is full keeps all others from their copies.
    StopsAtAFullChannel,
    ListsNothing,
    /// It says that it is connected, whatever becomes of the server.
    StaysConnected,
}

use Flaw::*;

/// Beside each flaw the cases that find it out, others perhaps among them.
const FOUND_OUT: &[(Flaw, &[&str])] = &[
    (
        KeepsNothing,
        &[
            "what_is_published_before_anyone_consumes_is_kept",
            "depth_is_how_many_wait",
        ],
    ),
    (GivesOneCopy, &["every_channel_gets_a_copy"]),
    (MixesTopics, &["topics_are_apart"]),
    (TakesPatternsLiterally, &["routing_keys_may_be_patterns"]),
    (
        SwallowsUnroutable,
        &[
            "what_nobody_wants_is_unroutable",
            "many_at_once_are_told_of_one_by_one",
        ],
    ),
    (AnswersForAll, &["many_at_once_are_told_of_one_by_one"]),
    (
        ForgetsWhyANameIsWrong,
        &["names_that_no_broker_takes_are_typed_errors"],
    ),
    (
        LosesSome,
        &["many_publishers_and_consumers_get_exactly_what_was_sent"],
    ),
    (
        DoublesSome,
        &[
            "many_publishers_and_consumers_get_exactly_what_was_sent",
            "consumers_of_one_channel_share_its_messages",
        ],
    ),
    (
        Reorders,
        &[
            "messages_come_in_the_order_of_their_publishing",
            "the_order_of_each_key_holds",
        ],
    ),
    (
        LosesHeaders,
        &[
            "every_header_comes_back",
            "random_messages_come_back_as_they_were_sent",
        ],
    ),
    (LowersHeaderNames, &["every_header_comes_back"]),
    (CutsBodies, &["empty_and_large_bodies_come_back"]),
    (
        ForgetsAcks,
        &[
            "what_is_acked_is_gone",
            "what_is_not_settled_comes_again",
            "performers_are_added_and_taken_away_while_it_runs",
        ],
    ),
    (
        AcksWhatIsDropped,
        &["what_is_not_settled_comes_again", "one_consumer_at_a_time"],
    ),
    (
        ForgetsDeliveries,
        &[
            "the_broker_counts_what_comes_again",
            "the_broker_counts_what_a_lost_consumer_had",
        ],
    ),
    (
        KeepsWhatItTook,
        &[
            "what_a_dropped_consumer_had_comes_back",
            "a_closed_consumer_has_given_back_what_it_took",
            "stopping_completes_what_runs_and_gives_back_the_rest",
            "a_stream_that_ends_without_an_error_is_consumed_again",
        ],
    ),
    (
        KeepsConsumersGivenUp,
        &["a_consumer_that_is_given_up_keeps_nothing"],
    ),
    (
        ServesOnlyTheCallThatWaited,
        &["a_receive_that_is_given_up_loses_nothing"],
    ),
    (
        RequeuesUncounted,
        &[
            "what_is_requeued_comes_again_counted_and_to_nobody_else",
            "an_error_brings_a_message_again_until_it_is_a_dead_letter",
        ],
    ),
    (
        RequeuesToAll,
        &["what_is_requeued_comes_again_counted_and_to_nobody_else"],
    ),
    (IgnoresDelays, &["a_delay_is_kept_and_holds_up_no_shorter_one"]),
    (QueuesDelays, &["a_delay_is_kept_and_holds_up_no_shorter_one"]),
    (
        DropsRejected,
        &[
            "a_dead_letter_keeps_its_bytes_and_says_why",
            "an_error_brings_a_message_again_until_it_is_a_dead_letter",
        ],
    ),
    (
        TakesInvalidForDead,
        &["an_invalid_message_is_kept_from_the_dead_letters"],
    ),
    (
        RejectsWithoutReason,
        &["a_dead_letter_keeps_its_bytes_and_says_why"],
    ),
    (HangsWhenSettledLate, &["settling_after_a_close_harms_nothing"]),
    (
        IgnoresBuffers,
        &[
            "no_more_comes_than_the_buffer_holds",
            "nothing_comes_before_the_one_in_hand_is_settled",
        ],
    ),
    (
        HasABufferOfOne,
        &[
            "no_more_comes_than_the_buffer_holds",
            "concurrency_is_raised_and_lowered_while_it_runs",
        ],
    ),
    (
        ServesOneConsumer,
        &[
            "consumers_of_one_channel_share_its_messages",
            "performers_are_added_and_taken_away_while_it_runs",
        ],
    ),
    (
        IgnoresLimits,
        &[
            "one_consumer_at_a_time",
            "what_waits_too_long_is_a_dead_letter",
            "a_full_channel_refuses_and_drops_nothing",
            "messages_delivered_too_often_are_dead_lettered",
            "higher_priorities_come_first",
        ],
    ),
    (CountsOneMore, &["depth_is_how_many_wait"]),
    (DeclaresNothing, &["a_declared_channel_gathers_messages"]),
    (MakesWhatIsAbsent, &["what_was_set_aside_is_looked_at_as_it_is"]),
    (RemovesNothing, &["a_removed_channel_is_gone"]),
    (GoesOnWhenClosed, &["closed_it_takes_nothing_and_gives_nothing"]),
    (
        HangsWhenClosedTwice,
        &[
            "closed_it_takes_nothing_and_gives_nothing",
            "closing_from_many_threads_at_once_ends",
        ],
    ),
    (
        FlushesNothing,
        &["closing_writes_what_was_acked", "a_flush_writes_what_was_acked"],
    ),
    (
        ForgetsWhenClosed,
        &[
            "what_was_confirmed_outlives_a_close",
            "closing_writes_what_was_acked",
        ],
    ),
    (
        NeverReconnects,
        &[
            "after_a_lost_connection_it_goes_on",
            "a_restart_of_the_server_loses_nothing",
            "a_half_open_connection_is_noticed",
            "a_silent_server_is_noticed",
        ],
    ),
    (
        LosesSilently,
        &[
            "after_a_lost_connection_it_goes_on",
            "a_half_open_connection_is_noticed",
            "a_consumer_that_gets_nothing_is_noticed",
        ],
    ),
    (ForgetsWhenRestarted, &["a_restart_of_the_server_loses_nothing"]),
    (
        StopsAtAFullChannel,
        &["a_full_channel_keeps_no_other_from_its_copy"],
    ),
    (ListsNothing, &["channels_are_listed_with_what_waits_in_them"]),
    (
        StaysConnected,
        &["a_half_open_connection_is_noticed", "a_silent_server_is_noticed"],
    ),
];

/// A place whose brokers have this flaw. It has every feature there is, for its server is in memory.
struct Place {
    flaw: Flaw,
    server: Mutex<FaultyBroker>,
    seen: Seen,
    patience: Duration,
}

impl Place {
    fn new(flaw: Flaw) -> Self {
        let patience = match flaw {
            Flawless => Duration::from_secs(30),
            // Nothing that is awaited in vain is worth more.
            _ => Duration::from_secs(2),
        };
        Self {
            flaw,
            server: Mutex::new(FaultyBroker::new(InMemoryBroker::new())),
            seen: Seen::default(),
            patience,
        }
    }

    fn server(&self) -> FaultyBroker {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has another server in the place of this one.
    fn forget(&self) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) =
            FaultyBroker::new(InMemoryBroker::new());
    }

    /// Throws away what waits in the channel of this name.
    async fn throw_away(&self, name: &str) {
        let name = self.channel(name, "").name;
        let mut consumer = self.server().consume(&Channel::existing(name)).await.unwrap();
        while let Some(Some(Ok(delivery))) = consumer.receive().now_or_never() {
            delivery.ack().await.unwrap();
        }
    }

    fn lose_connection(&self) {
        let server = self.server();
        server.lose_connection();
        if self.flaw != NeverReconnects {
            server.restore_connection();
        }
    }
}

impl Harness for Place {
    type Broker = Broken;

    fn features(&self) -> Features {
        Features::all()
    }

    async fn connect(&self) -> Broken {
        let broker = Broken::new(self.flaw, self.server(), Arc::clone(&self.seen));
        if self.flaw == ForgetsWhenClosed {
            self.forget();
        }
        broker
    }

    async fn cut(&self, _: &Broken) {
        self.lose_connection();
    }

    async fn restart(&self) {
        if self.flaw == ForgetsWhenRestarted {
            self.throw_away("lost").await;
        }
        self.lose_connection();
    }

    async fn stall(&self, _: &Broken, how: Stall) {
        match how {
            // The server of this place is asked by its brokers all the time, so that they notice at once.
            Stall::Deaf => self.lose_connection(),
            _ => self.server().lose_connection(),
        }
    }

    async fn mend(&self, _: &Broken) {
        if self.flaw != NeverReconnects {
            self.server().restore_connection();
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(50)
    }
}

brighter::transport_conformance!(without_a_flaw, async || (Place::new(Flawless), ()), times = 2);

#[test]
fn every_flaw_is_found_out_by_the_cases_that_should() {
    let all: Vec<_> = FOUND_OUT
        .iter()
        .flat_map(|(flaw, cases)| cases.iter().map(|case| (*flaw, *case)))
        .collect();
    let next = AtomicUsize::new(0);
    let overlooked = Mutex::new(Vec::new());
    thread::scope(|scope| {
        // Most of them only wait.
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some((flaw, name)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if passes(*flaw, name) {
                        overlooked.lock().unwrap().push((*flaw, *name));
                    }
                }
            });
        }
    });
    let overlooked = overlooked.into_inner().unwrap();
    assert!(overlooked.is_empty(), "not found out: {overlooked:?}");
}

/// Whether the case passes on a broker with this flaw.
fn passes(flaw: Flaw, name: &str) -> bool {
    let case = cases::<Place>().into_iter().find(|case| case.name == name);
    let case = case.unwrap_or_else(|| panic!("there is no case `{name}`"));
    let checked = catch_unwind(AssertUnwindSafe(|| {
        run(async { case.check(&Place::new(flaw)).await })
    }));
    checked.is_ok()
}

#[test]
fn every_case_finds_a_flaw_out() {
    let finding: BTreeSet<_> = FOUND_OUT
        .iter()
        .flat_map(|(_, cases)| cases.iter().copied())
        .collect();
    let idle: Vec<_> = cases::<Place>()
        .into_iter()
        .map(|case| case.name)
        .filter(|name| !finding.contains(name))
        .collect();
    assert!(idle.is_empty(), "these never fail: {idle:?}");
    let flaws: BTreeSet<_> = FOUND_OUT.iter().map(|(flaw, _)| *flaw).collect();
    assert_eq!(flaws.len(), FOUND_OUT.len(), "each flaw once");
}
