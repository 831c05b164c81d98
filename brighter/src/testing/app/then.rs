//! [`Then`]: what is to have come of a `when`.

use std::any::type_name;
use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::TestApp;
use super::journal::{JournalEntry, What};
use super::timeline::{Timeline, short};
use brighter_core::channel::RejectionKind;
use brighter_core::mapper::{MessageMapper, Postable};

/// Assertions about the last `when`. Each call checks one thing. A failed check panics with what was expected and with
/// all that happened.
pub struct Then<'a> {
    app: &'a TestApp,
    entries: Vec<JournalEntry>,
    /// The entries that were asserted.
    expected: HashSet<usize>,
}

impl TestApp {
    /// Returns the assertions about the last `when`.
    #[must_use = "nothing is asserted until a method of it is called"]
    pub fn then(&self) -> Then<'_> {
        let from = *self.when.lock().unwrap_or_else(PoisonError::into_inner);
        Then::new(self, from)
    }
}

impl<'a> Then<'a> {
    fn new(app: &'a TestApp, from: usize) -> Self {
        let mut entries = app.journal.entries();
        entries.drain(..from.min(entries.len()));
        Self {
            app,
            entries,
            expected: HashSet::new(),
        }
    }

    /// The handlers posted this many requests of type `R`. What the test itself posted does not count, nor a copy
    /// for a second channel or from a duplicate.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn posted<R: Postable>(self, times: usize) -> Self {
        let found = self.find(|entry| self.is_post_of_a_handler(entry) && is_of::<R>(entry));
        let messages: HashSet<_> = found.iter().map(|index| self.id(*index)).collect();
        let count = messages.len();
        self.check(
            count == times,
            &format!(
                "{} posted {times} times, but {count} were",
                short(type_name::<R>())
            ),
        );
        self.expecting(found)
    }

    /// Requests of type `R` were handled this often, each handler of each message counted, in process and out of it.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn handled<R>(self, times: usize) -> Self {
        let wanted = type_name::<R>();
        let found =
            self.find(|entry| matches!(&entry.what, What::Handled { request, .. } if *request == wanted));
        let count = found.len();
        self.check(
            count == times,
            &format!(
                "{} handled {times} times, but it was {count} times",
                short(wanted)
            ),
        );
        self.expecting(found)
    }

    /// The handler `H` succeeded this often.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn handled_by<H>(self, times: usize) -> Self {
        let wanted = type_name::<H>();
        let found =
            self.find(|entry| matches!(&entry.what, What::Handled { handler, .. } if *handler == wanted));
        let count = found.len();
        self.check(
            count == times,
            &format!(
                "{} to succeed {times} times, but it did {count} times",
                short(wanted)
            ),
        );
        self.expecting(found)
    }

    /// The handler `H` failed this often, its policies having done what they could.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn failed<H>(self, times: usize) -> Self {
        let wanted = type_name::<H>();
        let found =
            self.find(|entry| matches!(&entry.what, What::Failed { handler, .. } if *handler == wanted));
        let count = found.len();
        self.check(
            count == times,
            &format!(
                "{} to fail {times} times, but it did {count} times",
                short(wanted)
            ),
        );
        self.expecting(found)
    }

    /// A request of type `R` was put off by exactly this long, by its handler or after it failed.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn deferred<R: Postable>(self, by: Duration) -> Self {
        let deferred =
            |entry: &JournalEntry| matches!(&entry.what, What::Deferred { delay, .. } if *delay == by);
        let found = self.find(|entry| deferred(entry) && is_of::<R>(entry));
        self.check(
            !found.is_empty(),
            &format!("{} to be deferred by {by:?}", short(type_name::<R>())),
        );
        self.expecting(found)
    }

    /// A request of type `R` is in a dead-letter channel, for a reason that has these words in it.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn dead_lettered<R: Postable>(self, words: &str) -> Self {
        self.set_aside::<R>(RejectionKind::DeadLetter, "dead-letter", words)
    }

    /// A message for `R` is in an invalid-message channel, for a reason that has these words in it.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn invalid<R: Postable>(self, words: &str) -> Self {
        self.set_aside::<R>(RejectionKind::Invalid, "invalid-message", words)
    }

    #[track_caller]
    fn set_aside<R: Postable>(self, wanted: RejectionKind, what: &str, words: &str) -> Self {
        let aside = |entry: &JournalEntry| matches!(&entry.what, What::SetAside { kind, reason, .. } if kind == wanted.as_str() && reason.contains(words));
        let found = self.find(|entry| aside(entry) && is_of::<R>(entry));
        self.check(
            !found.is_empty(),
            &format!(
                "{} in the {what} channel for a reason with `{words}` in it",
                short(type_name::<R>())
            ),
        );
        self.expecting(found)
    }

    /// A request of type `R` was not published, for a reason that has these words in it.
    ///
    /// # Panics
    /// It is not so.
    #[track_caller]
    pub fn not_published<R: Postable>(self, words: &str) -> Self {
        let failed = |entry: &JournalEntry| matches!(&entry.what, What::NotPublished { error } if error.contains(words));
        let found = self.find(|entry| failed(entry) && is_of::<R>(entry));
        self.check(
            !found.is_empty(),
            &format!(
                "{} not to be published for a reason with `{words}` in it",
                short(type_name::<R>())
            ),
        );
        self.expecting(found)
    }

    /// Nothing else was posted by a handler, handled, failed, deferred, set aside or not published.
    ///
    /// # Panics
    /// Something was: it is told.
    #[track_caller]
    pub fn nothing_else(self) -> Self {
        let left = self.find(|entry| match entry.what {
            What::Posted { .. } => self.is_post_of_a_handler(entry),
            What::Handled { .. }
            | What::Failed { .. }
            | What::Deferred { .. }
            | What::SetAside { .. }
            | What::NotPublished { .. } => true,
            What::Delivered { .. } | What::Acked { .. } | What::Returned { .. } | What::Note { .. } => false,
        });
        let left = left.into_iter().filter(|index| !self.expected.contains(index));
        let left: Vec<JournalEntry> = left.map(|index| self.entries[index].clone()).collect();
        self.check(
            left.is_empty(),
            &format!("nothing else, but there was\n{}", Timeline(&left)),
        );
        self
    }

    /// The requests of type `R` that were posted, each once.
    pub(super) fn requests<R: Postable>(&self) -> Vec<R> {
        let posted = |entry: &JournalEntry| matches!(entry.what, What::Posted { .. }) && is_of::<R>(entry);
        let (mut requests, mut seen) = (Vec::new(), HashSet::new());
        let messages = self
            .entries
            .iter()
            .filter(|entry| posted(entry))
            .filter_map(|entry| entry.message.as_ref());
        for message in messages.filter(|message| seen.insert(message.header.id.clone())) {
            let request = R::Mapper::default().to_request(message);
            requests.push(request.unwrap_or_else(|error| {
                let request = short(type_name::<R>());
                self.app
                    .fail(&format!("a message that was posted is no {request}: {error}"))
            }));
        }
        requests
    }

    fn find(&self, wanted: impl Fn(&JournalEntry) -> bool) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| wanted(entry))
            .map(|(index, _)| index)
            .collect()
    }

    fn id(&self, index: usize) -> Option<&brighter_core::id::MessageId> {
        let message = self.entries.get(index)?.message.as_ref();
        message.map(|message| &message.header.id)
    }

    fn is_post_of_a_handler(&self, entry: &JournalEntry) -> bool {
        let own = |message: &std::sync::Arc<brighter_core::message::Message>| {
            self.app.own().contains(&message.header.id)
        };
        matches!(entry.what, What::Posted { .. }) && !entry.message.as_ref().is_some_and(own)
    }

    fn expecting(mut self, found: Vec<usize>) -> Self {
        self.expected.extend(found);
        self
    }

    #[track_caller]
    fn check(&self, holds: bool, expected: &str) {
        if !holds {
            panic!(
                "expected {expected}\n\nWhat happened:\n{}",
                Timeline(&self.entries)
            );
        }
    }
}

/// Whether the message is one of `R`: by its topic, or by its type where the topic is another's.
fn is_of<R: Postable>(entry: &JournalEntry) -> bool {
    entry.message.as_ref().is_some_and(|message| {
        message.header.topic == R::TOPIC || message.header.event_type() == R::EVENT_TYPE
    })
}

impl std::fmt::Debug for Then<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Then")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}
