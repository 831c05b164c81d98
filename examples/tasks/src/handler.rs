//! [`MailTaskReminderHandler`]: what happens to a reminder when it arrives.

use std::sync::Arc;

use brighter::prelude::*;
use tracing::Instrument;

use crate::mail::{MailError, MailGateway};
use crate::message::TaskReminder;

/// Mails a reminder. What it does is one line; what makes it reliable stands above it.
pub struct MailTaskReminderHandler {
    mail: Arc<dyn MailGateway>,
}

impl MailTaskReminderHandler {
    /// A handler that mails through this gateway.
    pub fn new(mail: Arc<dyn MailGateway>) -> Self {
        Self { mail }
    }
}

// The breaker is around the retry: it counts a delivery that failed after all its attempts as one failure.
#[handler]
impl Handler<TaskReminder> for MailTaskReminderHandler {
    #[request_logging(step = 1, timing = before)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, reminder: &TaskReminder) -> Result<(), MailError> {
        let span = tracing::info_span!("mail", otel.kind = "client");
        self.mail.send(reminder).instrument(span).await
    }
}
