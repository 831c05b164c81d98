//! [`Recurring`]: a schedule in the code of a program, and all of them together.

use std::any::{TypeId, type_name};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use brighter_core::inbox::Inbox;
use brighter_core::mapper::Postable;
use brighter_core::outbox::Outbox;
use brighter_cron::Cron;

use super::error::RecurringError;
use super::firing::Scheduler;
use super::make::{CodeSchedule, MakeMessage, message};
use super::occurrence::Occurrence;
use super::settings::{Overlap, ScheduleSettings, setting_methods};
use crate::publication::PublicationSettings;

/// A schedule: a name, when it comes, and the request of each occurrence. It is given to
/// [`CommandProcessorBuilder::recurring`](crate::processor::CommandProcessorBuilder::recurring).
///
/// The name is the identity: under a new name it is another schedule. See the [module](crate::schedule) for an example.
#[must_use = "a schedule does nothing until it is given to a processor"]
pub struct Recurring<R> {
    name: String,
    cron: Cron,
    settings: ScheduleSettings,
    make: Box<dyn Fn(Occurrence) -> R + Send + Sync>,
}

impl<R: Postable> Recurring<R> {
    /// Returns a schedule whose requests are made of their occurrences by `From`.
    pub fn new(name: impl Into<String>, cron: Cron) -> Self
    where
        R: From<Occurrence>,
    {
        Self::from_fn(name, cron, R::from)
    }

    /// Returns a schedule whose requests this function makes of their occurrences.
    ///
    /// It must not look at the clock: an occurrence may be late.
    pub fn from_fn(
        name: impl Into<String>,
        cron: Cron,
        make: impl Fn(Occurrence) -> R + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            cron,
            settings: ScheduleSettings::default(),
            make: Box::new(make),
        }
    }

    setting_methods!();
}

impl<R> fmt::Debug for Recurring<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recurring")
            .field("name", &self.name)
            .field("cron", &self.cron)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The recurring work that a builder was given.
#[derive(Default)]
pub(crate) struct RecurringWork {
    schedules: Vec<Described>,
    /// The name of the program, if schedules are fired here.
    program: Option<String>,
    fires_others: bool,
}

/// A schedule whose request is not known by its type any more.
struct Described {
    name: String,
    cron: Cron,
    settings: ScheduleSettings,
    request: (TypeId, &'static str),
    make: Box<dyn FnOnce(PublicationSettings) -> MakeMessage + Send + Sync>,
    publication: fn() -> PublicationSettings,
}

/// The rest of a processor, as far as its schedules need it.
pub(crate) struct Surroundings<'a> {
    pub(crate) publications: &'a HashMap<TypeId, PublicationSettings>,
    pub(crate) outbox: Option<&'a Arc<dyn Outbox>>,
    pub(crate) inbox: Option<&'a Arc<dyn Inbox>>,
    pub(crate) has_broker: bool,
    /// Returns a handler of this request that leaves nothing in the inbox.
    pub(crate) without_inbox: &'a dyn Fn(&'static str) -> Option<&'static str>,
}

impl RecurringWork {
    pub(crate) fn add<R: Postable>(&mut self, recurring: Recurring<R>) {
        let make = recurring.make;
        self.schedules.push(Described {
            name: recurring.name,
            cron: recurring.cron,
            settings: recurring.settings,
            request: (TypeId::of::<R>(), type_name::<R>()),
            make: Box::new(move |publication| {
                Box::new(move |occurrence| {
                    let request = make(occurrence.clone());
                    message(&publication, &request, &occurrence.id, |bag| {
                        occurrence.write(bag)
                    })
                })
            }),
            publication: PublicationSettings::of::<R>,
        });
    }

    /// Fires also schedules that were added at run time.
    pub(crate) fn fire_others(&mut self) {
        self.fires_others = true;
    }

    /// Sets the name of the program, and returns whether it had one already.
    pub(crate) fn name_program(&mut self, program: String) -> bool {
        self.program.replace(program).is_some()
    }

    /// Returns what fires the schedules, if there are some to fire, and everything that is wrong with them.
    pub(crate) fn build(
        self,
        around: &Surroundings<'_>,
    ) -> (Option<Scheduler>, Vec<(String, RecurringError)>) {
        if self.schedules.is_empty() && !self.fires_others {
            return (None, Vec::new());
        }
        let (mut wrong, mut code, mut names) = (Vec::new(), BTreeMap::new(), HashSet::new());
        for schedule in self.schedules {
            let name = schedule.name.clone();
            let (mut errors, calendar) = schedule.settings.check(&name, &schedule.cron);
            if !names.insert(name.clone()) {
                errors.push(RecurringError::SameName);
            }
            errors.extend(around.wrong_with(&schedule));
            wrong.extend(errors.into_iter().map(|error| (name.clone(), error)));
            let publication = around.publications.get(&schedule.request.0).cloned();
            let publication = publication.unwrap_or_else(schedule.publication);
            if let Some(calendar) = calendar {
                let made = CodeSchedule {
                    cron: schedule.cron,
                    settings: schedule.settings,
                    calendar,
                    make: (schedule.make)(publication),
                };
                code.insert(name, made);
            }
        }
        let inbox = around.inbox.cloned();
        (
            Some(Scheduler::new(self.program.unwrap_or_default(), code, inbox)),
            wrong,
        )
    }
}

impl Surroundings<'_> {
    fn wrong_with(&self, schedule: &Described) -> Vec<RecurringError> {
        let mut wrong = Vec::new();
        match self.outbox {
            None => wrong.push(RecurringError::NoOutbox),
            Some(outbox) if outbox.schedules().is_none() => {
                wrong.push(RecurringError::OutboxWithoutSchedules);
            }
            Some(_) => {}
        }
        if !self.has_broker {
            wrong.push(RecurringError::NoBroker);
        }
        if schedule.settings.overlap != Overlap::Allow {
            match self.inbox {
                None => wrong.push(RecurringError::OverlapWithoutInbox),
                Some(inbox) if inbox.history().is_none() => wrong.push(RecurringError::InboxWithoutHistory),
                Some(_) => {}
            }
            if let Some(handler) = (self.without_inbox)(schedule.request.1) {
                wrong.push(RecurringError::HandlerWithoutInbox { handler });
            }
        }
        wrong
    }
}

impl fmt::Debug for RecurringWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.schedules.iter().map(|schedule| &schedule.name);
        f.debug_list().entries(names).finish()
    }
}
