//! What every transport must do, one function for each, made into tests by
//! [`transport_conformance!`](crate::transport_conformance): the suite of `brighter-conformance`, and what makes a
//! broker of a transport under a [`Dispatcher`](crate::Dispatcher):
//! [`an_error_brings_a_message_again_until_it_is_a_dead_letter`], [`the_order_of_each_key_holds`],
//! [`performers_are_added_and_taken_away_while_it_runs`], [`concurrency_is_raised_and_lowered_while_it_runs`],
//! [`stopping_completes_what_runs_and_gives_back_the_rest`], [`a_stream_that_ends_without_an_error_is_consumed_again`].

mod ending_streams;
mod pump;

pub use brighter_conformance::transport::*;
pub use pump::*;

/// Makes a module of tests, one for each [case](cases) of the suite.
///
/// The second argument is called for each of them without arguments, gives a [`Harness`] of its own, and beside it
/// whatever must live as long. `times = 4` runs each case four times at the same time, each in a place and a thread
/// of its own; without it each runs once. See [`conformance`](crate::testing::conformance).
#[macro_export]
macro_rules! transport_conformance {
    ($module:ident, $make:expr) => {
        $crate::transport_conformance!($module, $make, times = 1);
    };
    ($module:ident, $make:expr, times = $times:expr) => {
        $crate::__private::__conformance_cases! {
            [$crate::__dispatcher_cases],
            [
                [$crate::__private::__conformance_tests]
                [$module, $make, $times, $crate::testing::conformance::check]
            ]
        }
    };
}

/// The cases of a dispatcher behind those of a transport, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __dispatcher_cases {
    ([[$($give_to:tt)*] $beside:tt] $($transport:tt)*) => {
        $($give_to)*! {
            $beside
            $($transport)*
            an_error_brings_a_message_again_until_it_is_a_dead_letter [DeadLetters],
            the_order_of_each_key_holds [Order, SingleActiveConsumer],
            performers_are_added_and_taken_away_while_it_runs [CompetingConsumers, Prefetch],
            concurrency_is_raised_and_lowered_while_it_runs [],
            stopping_completes_what_runs_and_gives_back_the_rest [],
            a_stream_that_ends_without_an_error_is_consumed_again [],
        }
    };
}

/// Returns every case, for a program that runs them itself.
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
    brighter_conformance::__conformance_cases! {
        [crate::__dispatcher_cases], [[brighter_conformance::__conformance_list] [H]]
    }
}

/// Runs the case of this name as often as is said, at the same time, each in a place and a thread of its own: what
/// [`transport_conformance!`](crate::transport_conformance) makes its tests of. What is not applicable is printed.
///
/// # Panics
/// One of them did, or there is no such case.
pub fn check<H, K>(name: &str, times: usize, make: impl AsyncFn() -> (H, K) + Sync)
where
    H: Harness,
{
    check_in(cases::<H>, name, times, make);
}
