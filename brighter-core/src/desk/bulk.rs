//! [`BulkOperation`]: one verb on a frozen list of messages, which any process can continue.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::filter::DeskFilter;
use super::id::{DeskId, OperationId};
use crate::id::MessageId;
use crate::message::{ChannelName, NameError};

/// The action that an operation takes on each message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BulkVerb {
    /// Sends the message back to the channel that rejected it.
    Retry,
    /// Sends another message instead, with another body and id, to the channel that rejected the message.
    Edit {
        /// The id of the new message.
        id: MessageId,
        /// The new body.
        #[serde(serialize_with = "to_base64", deserialize_with = "of_base64")]
        body: Vec<u8>,
    },
    /// Sends the message to another channel.
    Redirect {
        /// The channel.
        to: ChannelName,
    },
    /// Keeps the message, which then needs no decision.
    Archive,
    /// Removes the message from the desk.
    Delete,
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn of_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
}

impl BulkVerb {
    /// Returns the word for this verb.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Edit { .. } => "edit",
            Self::Redirect { .. } => "redirect",
            Self::Archive => "archive",
            Self::Delete => "delete",
        }
    }

    /// Returns whether messages are sent, rather than changed at the desk alone.
    #[must_use]
    pub fn sends(&self) -> bool {
        matches!(self, Self::Retry | Self::Edit { .. } | Self::Redirect { .. })
    }

    /// Returns whether it can be seen afterwards if the messages were handled: they return to a channel whose dead
    /// letters the desk takes.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        matches!(self, Self::Retry | Self::Edit { .. })
    }
}

/// A trial with the first messages of an operation: the others follow only if all of these are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The number of messages to try first.
    pub first: u64,
}

/// An operation that is about to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewBulk {
    /// The action on each message.
    #[serde(flatten)]
    pub verb: BulkVerb,
    /// The person or program that asks for it.
    pub who: String,
    /// The messages to choose from.
    pub filter: DeskFilter,
    /// The largest number of messages; the oldest are chosen. `None` for all.
    pub limit: Option<u64>,
    /// The largest number of messages a second; `None` for as many as the broker takes.
    pub rate: Option<f64>,
    /// A trial with the first messages.
    pub canary: Option<Canary>,
    /// The time after which a message that was sent and did not come back counts as handled.
    pub evidence: Duration,
    /// A comment of the person.
    pub comment: Option<String>,
}

/// Why an operation cannot begin.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBulk {
    /// The rate is not a number above zero.
    #[error("invalid rate {0}: give a number of messages a second above 0")]
    Rate(f64),
    /// The limit or the number of a canary is zero.
    #[error("invalid {0}: give a number above 0")]
    Zero(&'static str),
    /// A canary was asked for with a verb that sends nothing back.
    #[error("`{0}` has no canary: whether its messages are handled cannot be seen")]
    NoCanary(&'static str),
    /// The channel of a redirection has an invalid name.
    #[error("invalid channel to redirect to")]
    Channel(#[from] NameError),
    /// The time for evidence is too long for a store.
    #[error("invalid evidence time {0:?}: give at most 30 days")]
    Evidence(Duration),
    /// An operation needs the name of the person who asks for it.
    #[error("the name of the person who asks for the operation is missing: give one")]
    Nobody,
    /// The edited message must be one.
    #[error("an edit is of one message: choose it by `id=…`, and set no other limit than 1")]
    SeveralEdited,
}

crate::__readable_debug!(InvalidBulk);

impl NewBulk {
    /// The time after which a message that did not come back counts as handled, unless another is set.
    pub const EVIDENCE: Duration = Duration::from_secs(60);

    /// Returns an operation on the messages of this filter, without a limit, a rate or a canary.
    #[must_use]
    pub fn new(verb: BulkVerb, filter: DeskFilter, who: impl Into<String>) -> Self {
        Self {
            verb,
            who: who.into(),
            filter,
            limit: None,
            rate: None,
            canary: None,
            evidence: Self::EVIDENCE,
            comment: None,
        }
    }

    /// Sets the largest number of messages. The oldest are chosen.
    #[must_use]
    pub fn limit(mut self, messages: u64) -> Self {
        self.limit = Some(messages);
        self
    }

    /// Sets the largest number of messages a second.
    #[must_use]
    pub fn rate(mut self, messages_per_second: f64) -> Self {
        self.rate = Some(messages_per_second);
        self
    }

    /// Sends so many messages first, and the others only if all of these are handled.
    #[must_use]
    pub fn canary(mut self, first: u64) -> Self {
        self.canary = Some(Canary { first });
        self
    }

    /// Sets the time after which a message that was sent and did not come back counts as handled. It must be longer than
    /// the retries of its subscription take.
    #[must_use]
    pub fn evidence(mut self, time: Duration) -> Self {
        self.evidence = time;
        self
    }

    /// Sets a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Checks the operation.
    ///
    /// # Errors
    /// See [`InvalidBulk`].
    pub fn validate(&self) -> Result<(), InvalidBulk> {
        const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
        if self.who.trim().is_empty() {
            return Err(InvalidBulk::Nobody);
        }
        if let Some(rate) = self.rate
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(InvalidBulk::Rate(rate));
        }
        if self.limit == Some(0) {
            return Err(InvalidBulk::Zero("limit"));
        }
        if let Some(canary) = self.canary {
            if canary.first == 0 {
                return Err(InvalidBulk::Zero("number of the canary"));
            }
            if !self.verb.is_watched() {
                return Err(InvalidBulk::NoCanary(self.verb.as_str()));
            }
        }
        if self.evidence > LONGEST {
            return Err(InvalidBulk::Evidence(self.evidence));
        }
        match &self.verb {
            BulkVerb::Redirect { to } => Ok(to.validate()?),
            BulkVerb::Edit { .. } if self.limit != Some(1) => Err(InvalidBulk::SeveralEdited),
            _ => Ok(()),
        }
    }
}

/// The state of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BulkState {
    /// Runs, or waits for a process that continues it.
    Running,
    /// Was stopped by a person or a canary. The rest is untouched, and it can go on.
    Stopped,
    /// Came to its end.
    Done,
}

impl BulkState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Running, Self::Stopped, Self::Done];

    /// Returns the word for this state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }
}

/// The state of one message of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ItemState {
    /// Waits for its turn.
    Pending,
    /// Is being sent.
    Sending,
    /// Was sent, and it is not known yet whether it was handled.
    Sent,
    /// Is done: handled, redirected, archived or deleted.
    Done,
    /// Was sent and has died again.
    CameBack,
    /// Could not be sent; the message waits at the desk.
    Failed,
    /// Was not done, because the message was no longer waiting or archived when its turn came.
    Skipped,
}

impl ItemState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Sending,
        Self::Sent,
        Self::Done,
        Self::CameBack,
        Self::Failed,
        Self::Skipped,
    ];

    /// Returns the word for this state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::CameBack => "came_back",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The number of messages of an operation in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BulkCounts {
    /// Have their turn to come.
    pub pending: u64,
    /// Are being sent.
    pub sending: u64,
    /// Were sent, and it is not known yet whether they were handled.
    pub sent: u64,
    /// Are done.
    pub done: u64,
    /// Were sent and have died again.
    pub came_back: u64,
    /// Could not be sent.
    pub failed: u64,
    /// Were not done, because they were no longer waiting or archived.
    pub skipped: u64,
}

impl BulkCounts {
    /// Adds so many messages in this state.
    pub fn add(&mut self, state: ItemState, messages: u64) {
        let count = match state {
            ItemState::Pending => &mut self.pending,
            ItemState::Sending => &mut self.sending,
            ItemState::Sent => &mut self.sent,
            ItemState::Done => &mut self.done,
            ItemState::CameBack => &mut self.came_back,
            ItemState::Failed => &mut self.failed,
            ItemState::Skipped => &mut self.skipped,
        };
        *count += messages;
    }

    /// Returns the number of messages that have had their turn.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.total() - self.pending
    }

    /// Returns the number of all messages.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.open() + self.done + self.came_back + self.failed + self.skipped
    }

    /// Returns the number of messages whose outcome is to come.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.pending + self.sending + self.sent
    }

    /// Returns the number of messages that did not come to a good end.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.came_back + self.failed + self.skipped
    }
}

/// An operation and its progress.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BulkOperation {
    /// The id.
    pub id: OperationId,
    /// The plan that was asked for.
    pub plan: NewBulk,
    /// The state.
    pub state: BulkState,
    /// The number of messages in each state.
    pub counts: BulkCounts,
    /// Whether the trial with the first messages was passed.
    pub canary_passed: bool,
    /// Why the operation was stopped, or how it ended.
    pub outcome: Option<String>,
    /// The time at which it was asked for.
    pub begun_at: SystemTime,
    /// The time at which it ended or was stopped.
    pub ended_at: Option<SystemTime>,
}

impl BulkOperation {
    /// Returns an operation that has just begun.
    #[must_use]
    pub fn new(id: OperationId, plan: NewBulk, counts: BulkCounts, begun_at: SystemTime) -> Self {
        Self {
            id,
            plan,
            state: BulkState::Running,
            counts,
            canary_passed: false,
            outcome: None,
            begun_at,
            ended_at: None,
        }
    }

    /// Returns whether a trial with the first messages is still to be passed.
    #[must_use]
    pub fn canary_to_pass(&self) -> Option<Canary> {
        self.plan.canary.filter(|_| !self.canary_passed)
    }
}

/// The right of one process to continue an operation, until its lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkClaim {
    /// The operation.
    pub operation: OperationId,
    /// Tells this claim from those of other processes.
    pub token: u64,
}

/// One message of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkItem {
    /// The row at the desk, which may have been deleted.
    pub row: DeskId,
    /// The state.
    pub state: ItemState,
    /// Why it failed or was skipped.
    pub note: Option<String>,
}

impl BulkItem {
    /// Returns an item.
    #[must_use]
    pub fn new(row: DeskId, state: ItemState, note: Option<String>) -> Self {
        Self { row, state, note }
    }
}

/// The result of sending one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemResult {
    /// The row at the desk.
    pub row: DeskId,
    /// `None` if the broker has the message, or why it was not sent.
    pub failure: Option<String>,
}

/// A command to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steering {
    /// Stops it; the rest is left untouched.
    Stop,
    /// Lets it go on, also past a canary that failed.
    GoOn,
}

impl Steering {
    /// Returns the word for the audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stopped",
            Self::GoOn => "continued",
        }
    }
}

/// An entry of the audit: who did what to an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkEvent {
    /// The time.
    pub at: SystemTime,
    /// The person or program; empty for brighter itself.
    pub who: String,
    /// The action.
    pub what: String,
}

impl BulkEvent {
    /// Returns an entry.
    #[must_use]
    pub fn new(at: SystemTime, who: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            at,
            who: who.into(),
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> NewBulk {
        NewBulk::new(BulkVerb::Retry, DeskFilter::default(), "ann")
    }

    #[test]
    fn a_plan_comes_back_from_its_json() {
        let edit = BulkVerb::Edit {
            id: "new".into(),
            body: vec![0, 255, 10],
        };
        for plan in [
            retry().rate(50.5).canary(5).comment("mended"),
            NewBulk::new(edit, "id=7".parse().unwrap(), "ann").limit(1),
            NewBulk::new(
                BulkVerb::Redirect { to: "x".into() },
                DeskFilter::default(),
                "ann",
            ),
        ] {
            plan.validate().unwrap();
            let text = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<NewBulk>(&text).unwrap(), plan, "{text}");
        }
    }

    #[test]
    fn a_senseless_plan_is_refused() {
        let archive = NewBulk::new(BulkVerb::Archive, DeskFilter::default(), "ann");
        let redirect = BulkVerb::Redirect { to: "".into() };
        for (plan, said) in [
            (retry().rate(0.0), "rate"),
            (retry().rate(f64::NAN), "rate"),
            (retry().limit(0), "limit"),
            (retry().canary(0), "canary"),
            (archive.canary(1), "`archive` has no canary"),
            (retry().evidence(Duration::MAX), "evidence"),
            (
                NewBulk::new(BulkVerb::Retry, DeskFilter::default(), " "),
                "name of the person",
            ),
            (NewBulk::new(redirect, DeskFilter::default(), "ann"), "channel"),
        ] {
            let error = plan.validate().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
