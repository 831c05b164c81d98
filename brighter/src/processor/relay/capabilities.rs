//! What a processor asks of an outbox that not every outbox can do.

use super::Relay;
use brighter_core::outbox::{
    Archiving, DeadMessages, Inspection, OutboxError, Resending, Scheduling, UniquePosts,
};

impl Relay {
    pub(in super::super) fn scheduling(&self) -> Result<&dyn Scheduling, OutboxError> {
        let unsupported = OutboxError::Unsupported("messages that are sent later");
        self.outbox.scheduling().ok_or(unsupported)
    }

    pub(in super::super) fn inspection(&self) -> Result<&dyn Inspection, OutboxError> {
        let unsupported = OutboxError::Unsupported("reading single messages");
        self.outbox.inspection().ok_or(unsupported)
    }

    pub(in super::super) fn dead_messages(&self) -> Result<&dyn DeadMessages, OutboxError> {
        let unsupported = OutboxError::Unsupported("listing and reviving dead messages");
        self.outbox.dead_messages().ok_or(unsupported)
    }

    pub(in super::super) fn resending(&self) -> Result<&dyn Resending, OutboxError> {
        let unsupported = OutboxError::Unsupported("sending dispatched messages again");
        self.outbox.resending().ok_or(unsupported)
    }

    pub(in super::super) fn unique_posts(&self) -> Result<&dyn UniquePosts, OutboxError> {
        let unsupported = OutboxError::Unsupported("unique posts");
        self.outbox.unique_posts().ok_or(unsupported)
    }

    pub(in super::super) fn archiving(&self) -> Result<&dyn Archiving, OutboxError> {
        self.outbox
            .archiving()
            .ok_or(OutboxError::Unsupported("archiving"))
    }
}
