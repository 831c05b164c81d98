//! The behaviours of every [`Outbox`], one function for each. `outbox_contract!` makes tests of them.
//!
//! An outbox must pass the behaviours of depositing, claiming and marking. For an outbox without a capability
//! ([`Scheduling`](brighter_core::outbox::Scheduling), [`Inspection`](brighter_core::outbox::Inspection),
//! [`DeadMessages`](brighter_core::outbox::DeadMessages), [`Resending`](brighter_core::outbox::Resending),
//! [`Archiving`](brighter_core::outbox::Archiving), [`Schedules`](brighter_core::outbox::Schedules),
//! [`UniquePosts`](brighter_core::outbox::UniquePosts)), its behaviours pass, and print that they are not applicable. The
//! others use a capability for their checks only if it exists.
//!
//! Each function needs an empty outbox that nothing else uses, and panics if the outbox behaves differently. None waits
//! longer than ten seconds for a result, and none needs a fast machine.

mod archive;
mod capability;
mod claims;
mod contents;
mod dead;
mod order;
mod replay;
mod schedule;
mod schedules;
mod unique;

use std::time::Duration;

pub use archive::*;
pub use claims::*;
pub use contents::*;
pub use dead::*;
pub use order::*;
pub use replay::*;
pub use schedule::*;
pub use schedules::*;
pub use unique::*;

use super::eventually;
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter_core::outbox::{Claim, Claimed, Outbox};
use capability::assert_read;
use capability::{assert_dead, capability};
pub(crate) use capability::{assert_due_in, assert_state, not_applicable};
pub(crate) use unique::{assert_held, key};

/// Makes a module with one test for each behaviour of an [`Outbox`].
///
/// The second argument is called without arguments for each test. It returns an empty outbox, and a value that must
/// live as long: a temporary folder, a server, or `()`.
///
/// ```
/// use brighter::InMemoryOutbox;
///
/// brighter::outbox_contract!(in_memory, async || (InMemoryOutbox::new(), ()));
/// ```
#[macro_export]
macro_rules! outbox_contract {
    ($module:ident, $make:expr) => {
        $crate::__contract_tests! { $module, $make, (outbox, _kept) => outbox, outbox, [
            what_is_deposited_comes_out,
            the_oldest_come_first_and_no_more_than_asked,
            the_young_are_left,
            what_is_claimed_is_not_claimed_again,
            a_claim_ends_with_its_lease,
            a_deposit_may_be_claimed_from_the_start,
            ids_are_claimed_if_outstanding_and_free,
            what_is_dispatched_is_never_claimed_again,
            a_failure_is_counted_and_left_alone,
            state_tells_how_far_a_message_has_come,
            what_is_released_is_claimable_at_once,
            an_id_is_stored_once,
            the_same_content_in_other_bytes_is_stored_once,
            get_gives_them_in_the_order_of_the_ids,
            status_tells_how_many_and_how_old,
            every_header_and_every_byte_comes_back,
            nothing_asked_is_nothing_done,
            the_longest_times_are_no_mistake,
            any_number_of_ids_goes_in_one_call,
            what_was_dispatched_is_replayed_by_its_cause,
            what_is_outstanding_is_not_replayed,
            a_failure_is_forgotten_by_a_replay,
            what_is_outstanding_is_found_by_its_cause,
            two_claimers_share_and_never_overlap,
            many_are_stored_at_once_whatever_is_there,
            the_last_failure_is_the_end,
            the_dead_are_listed_oldest_first,
            a_revived_message_is_as_new,
            topics_are_left_out_or_claimed_alone,
            in_order_nothing_is_claimed_before_what_goes_before_it,
            in_order_a_claim_ends_at_what_another_has,
            in_order_a_failure_holds_up_what_follows,
            in_order_one_has_a_topic_at_a_time,
            arrivals_tell_of_deposits,
            what_was_dispatched_long_ago_is_archived,
            several_archive_at_once,
            what_is_selected_is_outstanding_again,
            what_is_scheduled_waits_for_its_time,
            when_its_time_has_come_it_is_outstanding,
            no_more_are_made_due_than_asked,
            what_is_cancelled_is_gone,
            what_is_rescheduled_waits_for_its_new_time,
            an_id_is_scheduled_once,
            scheduled_messages_are_listed_by_their_time,
            a_schedule_comes_back_as_it_was,
            schedules_are_listed_by_name,
            due_schedules_come_by_their_time,
            a_schedule_becomes_due_at_its_time,
            an_advance_deposits_its_messages,
            a_change_of_another_version_is_not_made,
            a_schedule_is_replaced_and_removed,
            an_occurrence_that_exists_is_left_out,
            one_of_several_fires_a_schedule,
            many_schedules_are_fired_at_once,
            a_held_key_stores_no_other_message,
            keys_are_apart_by_topic_type_and_text,
            a_key_is_free_when_its_window_is_over,
            a_message_that_holds_its_key_is_stored_once,
            what_is_not_stored_holds_no_key,
            of_many_at_once_one_takes_the_key,
            a_message_with_a_key_is_scheduled_or_claimed,
        ] }
    };
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

/// Returns a new message for tests, different from all others.
#[must_use]
pub fn some_message() -> Message {
    message_of(MessageId::new())
}

fn message_of(id: MessageId) -> Message {
    let body = format!(r#"{{"id":"{id}"}}"#);
    Message::new(
        MessageHeader::new(id, "Task.Reminder", MessageType::Command),
        MessageBody::new(body),
    )
}

fn some_messages(count: usize) -> Vec<Message> {
    (0..count).map(|_| some_message()).collect()
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.header.id.clone()).collect()
}

fn claimed_ids(claimed: &[Claimed]) -> Vec<MessageId> {
    claimed.iter().map(|it| it.message.header.id.clone()).collect()
}

async fn deposit(outbox: &impl Outbox, messages: &[Message]) {
    outbox.deposit(messages, None).await.expect("deposit");
}

async fn claim_oldest(outbox: &impl Outbox, limit: usize, lease: Duration) -> Vec<Claimed> {
    let min_age = Duration::ZERO;
    let claimed = outbox.claim(Claim::oldest(limit, min_age), lease).await;
    claimed.expect("claim the oldest")
}

async fn claim_ids(outbox: &impl Outbox, ids: &[MessageId], lease: Duration) -> Vec<Claimed> {
    outbox.claim(Claim::ids(ids), lease).await.expect("claim ids")
}

/// Claims the oldest messages as soon as there are some.
async fn claim_eventually(outbox: &impl Outbox, what: &str) -> Vec<Claimed> {
    eventually(what, async || {
        let claimed = claim_oldest(outbox, 100, LONG).await;
        (!claimed.is_empty()).then_some(claimed)
    })
    .await
}
