//! The behaviours of every transport, one function for each. `transport_conformance!` makes tests of them.
//!
//! # If you write a transport
//!
//! Implement the ports of [`channel`](brighter_core::channel): [`Broker`](brighter_core::channel::Broker), which is
//! also a [`Producer`](brighter_core::channel::Producer), and [`Settle`](brighter_core::channel::Settle) for its
//! deliveries. Then give the suite access by a [`Harness`], and declare the [`Features`] of the transport. Every case
//! that needs only declared features is a test. A case that needs more passes, and prints that it is not applicable. So
//! a feature that is declared and missing fails, and a feature that is not declared is not tested: begin with
//! [`Features::all`], and remove what your broker cannot do.
//!
//! ```
//! use brighter::InMemoryBroker;
//! use brighter::testing::conformance::{Feature, Features, Harness};
//!
//! /// A broker for each case; it has no server and no disk.
//! struct InMemory(InMemoryBroker);
//!
//! impl Harness for InMemory {
//!     type Broker = InMemoryBroker;
//!
//!     fn features(&self) -> Features {
//!         Features::all()
//!             .without(Feature::Durable)
//!             .without(Feature::Reconnect)
//!             .without(Feature::Restart)
//!             .without(Feature::Stalls)
//!             .without(Feature::DeafConsumer)
//!     }
//!
//!     async fn connect(&self) -> InMemoryBroker {
//!         self.0.clone()
//!     }
//! }
//!
//! // A module `in_memory` with one test for each case, which runs it four times at once. The second value is
//! // whatever must live as long as the harness: a temporary folder, a server, or `()`.
//! brighter::transport_conformance!(in_memory, async || (InMemory(InMemoryBroker::new()), ()), times = 4);
//! ```
//!
//! The cases do not disturb each other if each harness is a place of its own. All cases use the same names of topics,
//! and of channels from [`Harness::channel`]. They consume a dead-letter channel by its name alone, with
//! [`Channel::existing`](brighter_core::channel::Channel::existing).
//!
//! No case needs a fast machine. A required event is awaited for [`Harness::patience`], and a forbidden event is
//! watched for during [`Harness::quiet`]. A case with random data reports its seed when it fails, and `BRIGHTER_SEED`
//! sets it.
//!
//! # Cases
//!
//! * Publishing: [`what_is_published_before_anyone_consumes_is_kept`], [`every_channel_gets_a_copy`],
//!   [`topics_are_apart`], [`routing_keys_may_be_patterns`], [`what_nobody_wants_is_unroutable`],
//!   [`many_at_once_are_told_of_one_by_one`], [`names_that_no_broker_takes_are_typed_errors`],
//!   [`many_publishers_and_consumers_get_exactly_what_was_sent`],
//!   [`messages_come_in_the_order_of_their_publishing`]
//! * Fidelity: [`every_header_comes_back`], [`random_messages_come_back_as_they_were_sent`],
//!   [`empty_and_large_bodies_come_back`]
//! * Settling: [`what_is_acked_is_gone`], [`what_is_not_settled_comes_again`],
//!   [`the_broker_counts_what_comes_again`], [`the_broker_counts_what_a_lost_consumer_had`],
//!   [`what_a_dropped_consumer_had_comes_back`],
//!   [`what_is_requeued_comes_again_counted_and_to_nobody_else`],
//!   [`a_delay_is_kept_and_holds_up_no_shorter_one`], [`a_dead_letter_keeps_its_bytes_and_says_why`],
//!   [`an_invalid_message_is_kept_from_the_dead_letters`], [`settling_after_a_close_harms_nothing`]
//! * Limits: [`no_more_comes_than_the_buffer_holds`], [`nothing_comes_before_the_one_in_hand_is_settled`],
//!   [`consumers_of_one_channel_share_its_messages`], [`one_consumer_at_a_time`],
//!   [`what_waits_too_long_is_a_dead_letter`], [`a_full_channel_refuses_and_drops_nothing`],
//!   [`a_full_channel_keeps_no_other_from_its_copy`],
//!   [`messages_delivered_too_often_are_dead_lettered`], [`higher_priorities_come_first`],
//!   [`depth_is_how_many_wait`]
//! * Channels: [`a_declared_channel_gathers_messages`], [`what_was_set_aside_is_looked_at_as_it_is`],
//!   [`a_removed_channel_is_gone`],
//!   [`channels_are_listed_with_what_waits_in_them`],
//!   [`a_closed_consumer_has_given_back_what_it_took`], [`a_flush_writes_what_was_acked`]
//! * Cancelling: [`a_consumer_that_is_given_up_keeps_nothing`], [`a_receive_that_is_given_up_loses_nothing`]
//! * Closing and losing: [`closed_it_takes_nothing_and_gives_nothing`],
//!   [`closing_from_many_threads_at_once_ends`], [`closing_writes_what_was_acked`],
//!   [`what_was_confirmed_outlives_a_close`], [`after_a_lost_connection_it_goes_on`],
//!   [`a_restart_of_the_server_loses_nothing`]
//! * Stalls: [`a_half_open_connection_is_noticed`], [`a_silent_server_is_noticed`],
//!   [`a_consumer_that_gets_nothing_is_noticed`]
//!
//! Tests check that each case can fail: brokers that lose, duplicate or reorder messages, forget to ack and so on each
//! fail the right case (`tests/integration/conformance/broken` in the repository).

mod cancelling;
mod case;
mod channels;
mod feature;
mod fidelity;
mod harness;
mod lifecycle;
mod limits;
mod publishing;
mod random;
mod settling;
mod stalls;
#[doc(hidden)]
pub mod tools;

pub use cancelling::*;
#[doc(hidden)]
pub use case::check_in;
pub use case::{Case, CaseOutcome};
pub use channels::*;
pub use feature::{Feature, Features};
pub use fidelity::*;
pub use harness::{Harness, Stall};
pub use lifecycle::*;
pub use limits::*;
pub use publishing::*;
pub use settling::*;
pub use stalls::*;

/// Makes a module with one test for each [case](cases) of the suite.
///
/// The second argument is called without arguments for each test. It returns a [`Harness`] of its own, and a value that
/// must live as long. `times = 4` runs each case four times at once, each in a place and a thread of its own; without
/// it each case runs once. See [`conformance`](crate::transport).
#[macro_export]
macro_rules! transport_conformance {
    ($module:ident, $make:expr) => {
        $crate::transport_conformance!($module, $make, times = 1);
    };
    ($module:ident, $make:expr, times = $times:expr) => {
        $crate::__conformance_cases! {
            [$crate::__conformance_tests], [$module, $make, $times, $crate::transport::check]
        }
    };
}

/// Passes the cases, and the features that each needs, to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ([$($give_to:tt)*], $beside:tt) => {
        $($give_to)*! {
            $beside
            what_is_published_before_anyone_consumes_is_kept [Retention],
            every_channel_gets_a_copy [Copies, Retention],
            topics_are_apart [],
            routing_keys_may_be_patterns [Patterns, Copies],
            what_nobody_wants_is_unroutable [Unroutable],
            many_at_once_are_told_of_one_by_one [Unroutable],
            names_that_no_broker_takes_are_typed_errors [],
            many_publishers_and_consumers_get_exactly_what_was_sent [],
            messages_come_in_the_order_of_their_publishing [Order],
            every_header_comes_back [],
            random_messages_come_back_as_they_were_sent [],
            empty_and_large_bodies_come_back [],
            what_is_acked_is_gone [],
            what_is_not_settled_comes_again [],
            the_broker_counts_what_comes_again [RedeliveryCount, ReleaseCount],
            the_broker_counts_what_a_lost_consumer_had [RedeliveryCount, Reconnect],
            what_a_dropped_consumer_had_comes_back [],
            what_is_requeued_comes_again_counted_and_to_nobody_else [],
            a_delay_is_kept_and_holds_up_no_shorter_one [Delay],
            a_dead_letter_keeps_its_bytes_and_says_why [DeadLetters],
            an_invalid_message_is_kept_from_the_dead_letters [DeadLetters],
            settling_after_a_close_harms_nothing [],
            no_more_comes_than_the_buffer_holds [Prefetch],
            nothing_comes_before_the_one_in_hand_is_settled [Order, Prefetch],
            consumers_of_one_channel_share_its_messages [CompetingConsumers, Prefetch],
            one_consumer_at_a_time [SingleActiveConsumer],
            what_waits_too_long_is_a_dead_letter [TimeToLive, DeadLetters, Retention],
            a_full_channel_refuses_and_drops_nothing [LengthLimit, Retention],
            messages_delivered_too_often_are_dead_lettered [DeliveryLimit, ReleaseCount, DeadLetters],
            a_full_channel_keeps_no_other_from_its_copy [LengthLimit, Retention, Copies],
            higher_priorities_come_first [Priorities, Retention, Order, Prefetch, DeadLetters],
            depth_is_how_many_wait [Depth, Retention],
            a_declared_channel_gathers_messages [Declare, Retention],
            what_was_set_aside_is_looked_at_as_it_is [DeadLetters],
            a_removed_channel_is_gone [Remove],
            channels_are_listed_with_what_waits_in_them [Listing, Retention, Declare, Remove],
            a_closed_consumer_has_given_back_what_it_took [],
            a_flush_writes_what_was_acked [Reconnect],
            a_consumer_that_is_given_up_keeps_nothing [Retention],
            a_receive_that_is_given_up_loses_nothing [],
            closed_it_takes_nothing_and_gives_nothing [],
            closing_from_many_threads_at_once_ends [],
            closing_writes_what_was_acked [Durable],
            what_was_confirmed_outlives_a_close [Durable, Retention],
            after_a_lost_connection_it_goes_on [Reconnect],
            a_restart_of_the_server_loses_nothing [Restart, Durable],
            a_half_open_connection_is_noticed [Stalls, Retention],
            a_silent_server_is_noticed [Stalls, Retention],
            a_consumer_that_gets_nothing_is_noticed [DeafConsumer, Retention],
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ([$module:ident, $make:expr, $times:expr, $check:path] $($case:ident [$($need:ident),*],)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $check(stringify!($case), $times, $make);
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_list {
    ([$harness:ident] $($case:ident [$($need:ident),*],)*) => {
        vec![$($crate::transport::Case::new(
            stringify!($case),
            &[$($crate::transport::Feature::$need),*],
            |harness: &$harness| Box::pin($case(harness)),
        )),*]
    };
}

/// Returns every case, for running them without the macro.
///
/// ```
/// # use brighter::InMemoryBroker;
/// # use brighter::testing::conformance::{Features, Harness};
/// # struct InMemory(InMemoryBroker);
/// # impl Harness for InMemory {
/// #     type Broker = InMemoryBroker;
/// #     fn features(&self) -> Features { Features::none() }
/// #     async fn connect(&self) -> InMemoryBroker { self.0.clone() }
/// # }
/// use brighter::testing::conformance::{CaseOutcome, cases};
///
/// # brighter::testing::run(async {
/// for case in cases::<InMemory>().iter().filter(|case| case.name.contains("acked_is_gone")) {
///     let harness = InMemory(InMemoryBroker::new());
///     assert_eq!(case.check(&harness).await, CaseOutcome::Passed);
/// }
/// # });
/// ```
#[must_use]
pub fn cases<H: Harness>() -> Vec<Case<H>> {
    crate::__conformance_cases! { [crate::__conformance_list], [H] }
}

/// Runs the case of this name `times` times at once, each in a place and a thread of its own. The tests of
/// `transport_conformance!` call it. A case that is not applicable is printed.
///
/// # Panics
/// Panics if one of them panics, or if there is no such case.
pub fn check<H, K>(name: &str, times: usize, make: impl AsyncFn() -> (H, K) + Sync)
where
    H: Harness,
{
    check_in(cases::<H>, name, times, make);
}
