//! The layers that [`Wiring`] hands out for `#[use_inbox]`.

use std::any::type_name;
use std::sync::Arc;
use std::time::Duration;

use super::{Step, StepLayer, Wiring, WiringError};
use crate::duplicate::{DuplicateReply, OnDuplicate};
use crate::in_memory::inbox::InMemoryInbox;
use crate::layer::UseInboxLayer;
use brighter_core::request::Request;

/// By what name the inbox knows who handles a request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum InboxContext {
    /// By the name that the attribute gives.
    Named(&'static str),
    /// By the name of the handler's own type, whatever it is registered in, and that of the request: one type may
    /// handle several requests.
    OfHandler(&'static str),
}

impl InboxContext {
    pub(super) fn name<R>(self) -> String {
        match self {
            Self::Named(name) => name.to_owned(),
            Self::OfHandler(handler) => format!("{handler} for {}", type_name::<R>()),
        }
    }
}

impl Wiring<'_> {
    /// `#[use_inbox(on_duplicate = warn)]`.
    pub fn inbox_or_warn<R>(
        &mut self,
        step: Step,
        context: InboxContext,
        lease: Duration,
    ) -> StepLayer<UseInboxLayer<R>>
    where
        R: Request<Reply: DuplicateReply>,
    {
        let warn = OnDuplicate::Warn(R::Reply::duplicate_reply);
        self.use_inbox(step, context, lease, "warn", warn)
    }

    /// `#[use_inbox(on_duplicate = reject)]`.
    pub fn inbox_or_reject<R: Request>(
        &mut self,
        step: Step,
        context: InboxContext,
        lease: Duration,
    ) -> StepLayer<UseInboxLayer<R>> {
        self.use_inbox(step, context, lease, "reject", OnDuplicate::Reject)
    }

    /// `#[use_inbox(on_duplicate = replay)]`.
    pub fn inbox_or_replay<R>(
        &mut self,
        step: Step,
        context: InboxContext,
        lease: Duration,
    ) -> StepLayer<UseInboxLayer<R>>
    where
        R: Request<Reply: DuplicateReply>,
    {
        let replay = self.replay::<R>(step);
        self.use_inbox(step, context, lease, "replay", replay)
    }

    /// Returns the treatment of a duplicate by `on_duplicate = replay`.
    pub(super) fn replay<R>(&mut self, step: Step) -> OnDuplicate<R>
    where
        R: Request<Reply: DuplicateReply>,
    {
        match &self.provided.outbox {
            Some(outbox) => {
                if outbox.resending().is_none() {
                    self.errors.push(WiringError::OutboxCannotReplay {
                        handler: self.handler,
                        step: step.number,
                    });
                }
                OnDuplicate::Replay(R::Reply::duplicate_reply, Arc::clone(outbox))
            }
            None => {
                self.errors.push(WiringError::NoOutboxToReplay {
                    handler: self.handler,
                    step: step.number,
                });
                OnDuplicate::Reject
            }
        }
    }

    /// Refuses a context that another step has.
    pub(super) fn take_context(&mut self, step: Step, context: &str) {
        if !self.provided.take_context(context) {
            self.errors.push(WiringError::SameInboxContext {
                handler: self.handler,
                context: context.to_owned(),
                step: step.number,
            });
        }
    }

    fn use_inbox<R: Request>(
        &mut self,
        step: Step,
        context: InboxContext,
        lease: Duration,
        duplicates: &str,
        on_duplicate: OnDuplicate<R>,
    ) -> StepLayer<UseInboxLayer<R>> {
        let context = context.name::<R>();
        self.note(
            step,
            "use_inbox",
            format!("{context}, on duplicate: {duplicates}, lease: {lease:?}"),
        );
        let (handler, number) = (self.handler, step.number);
        self.take_context(step, &context);
        let inbox = self.provided.inbox.clone().unwrap_or_else(|| {
            self.errors.push(WiringError::NoInbox {
                handler,
                step: number,
            });
            // Without an inbox nothing is built, so it does not matter what stands in its place.
            Arc::new(InMemoryInbox::new())
        });
        let unsent = Arc::clone(&self.provided.unsent);
        let claimed = Arc::clone(&self.provided.claimed);
        self.step(UseInboxLayer::new(
            inbox,
            &context,
            lease,
            on_duplicate,
            unsent,
            claimed,
        ))
    }
}
