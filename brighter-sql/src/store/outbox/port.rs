//! [`implement_outbox`]: implements [`Outbox`](brighter_core::outbox::Outbox) for the outbox of one database.

/// Implements [`Outbox`](brighter_core::outbox::Outbox) for a type around a [`SqlOutbox`], and deposits in a
/// transaction of the application.
macro_rules! implement_outbox {
    ($outbox:ident, $database:ty, $arrivals:path) => {
        const _: () = {
            use std::time::Duration;

            use futures_util::future::BoxFuture;

            use brighter_core::id::MessageId;
            use brighter_core::message::Message;
            use brighter_core::outbox::{
                Archive, Archiving, Arrivals, Claim, Claimed, DeadMessage, DeadMessages, DueSchedules,
                Failure, FoundSchedules, Inspection, MessageState, Outbox, OutboxError, OutboxStatus,
                OutboxTransaction, Resending, ScheduleChange, ScheduledMessage, Schedules, Scheduling,
                Selection, UniqueDeposit, UniqueKey, UniquePosts,
            };

            use $crate::store::DepositStatement;

            type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

            impl Outbox for $outbox {
                fn deposit<'a>(
                    &'a self,
                    messages: &'a [Message],
                    lease: Option<Duration>,
                ) -> Done<'a, Vec<MessageId>> {
                    Box::pin(self.0.deposit(messages, lease))
                }

                fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
                    Box::pin(self.0.claim(which, lease))
                }

                fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
                    Box::pin(self.0.mark_dispatched(ids))
                }

                fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
                    Box::pin(self.0.mark_failed(failures))
                }

                fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
                    Box::pin(self.0.release(ids))
                }

                fn status(&self) -> Done<'_, OutboxStatus> {
                    Box::pin(self.0.status())
                }

                fn scheduling(&self) -> Option<&dyn Scheduling> {
                    Some(self)
                }

                fn inspection(&self) -> Option<&dyn Inspection> {
                    Some(self)
                }

                fn dead_messages(&self) -> Option<&dyn DeadMessages> {
                    Some(self)
                }

                fn resending(&self) -> Option<&dyn Resending> {
                    Some(self)
                }

                fn archiving(&self) -> Option<&dyn Archiving> {
                    Some(self)
                }

                fn schedules(&self) -> Option<&dyn Schedules> {
                    Some(self)
                }

                fn unique_posts(&self) -> Option<&dyn UniquePosts> {
                    Some(self)
                }

                fn arrivals(&self) -> Option<Arrivals> {
                    Some($arrivals(&self.0))
                }
            }

            impl Scheduling for $outbox {
                fn schedule<'a>(&'a self, message: &'a Message, delay: Duration) -> Done<'a, bool> {
                    Box::pin(self.0.schedule(message, delay))
                }

                fn reschedule<'a>(&'a self, id: &'a MessageId, delay: Duration) -> Done<'a, bool> {
                    Box::pin(self.0.reschedule(id, delay))
                }

                fn cancel<'a>(&'a self, id: &'a MessageId) -> Done<'a, bool> {
                    Box::pin(self.0.cancel(id))
                }

                fn scheduled(&self, limit: usize) -> Done<'_, Vec<ScheduledMessage>> {
                    Box::pin(self.0.scheduled(limit))
                }

                fn make_due(&self, limit: usize) -> Done<'_, u64> {
                    Box::pin(self.0.make_due(limit))
                }
            }

            impl Schedules for $outbox {
                fn due_schedules<'a>(&'a self, program: &'a str, limit: usize) -> Done<'a, DueSchedules> {
                    Box::pin(self.0.due_schedules(program, limit))
                }

                fn find_schedules<'a>(&'a self, names: &'a [String]) -> Done<'a, FoundSchedules> {
                    Box::pin(self.0.find_schedules(names))
                }

                fn list_schedules<'a>(
                    &'a self,
                    after: Option<&'a str>,
                    limit: usize,
                ) -> Done<'a, FoundSchedules> {
                    Box::pin(self.0.list_schedules(after, limit))
                }

                fn apply_schedules<'a>(&'a self, changes: &'a [ScheduleChange]) -> Done<'a, Vec<bool>> {
                    Box::pin(self.0.apply_schedules(changes))
                }
            }

            impl Inspection for $outbox {
                fn get<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, Vec<Message>> {
                    Box::pin(self.0.get(ids))
                }

                fn state<'a>(&'a self, id: &'a MessageId) -> Done<'a, Option<MessageState>> {
                    Box::pin(self.0.state(id))
                }

                fn outstanding_of<'a>(
                    &'a self,
                    causation: &'a MessageId,
                    limit: usize,
                ) -> Done<'a, Vec<MessageId>> {
                    Box::pin(self.0.outstanding_of(causation, limit))
                }
            }

            impl DeadMessages for $outbox {
                fn dead(&self, limit: usize) -> Done<'_, Vec<DeadMessage>> {
                    Box::pin(self.0.dead(limit))
                }

                fn revive<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, u64> {
                    Box::pin(self.0.revive(ids))
                }
            }

            impl Resending for $outbox {
                fn replay<'a>(&'a self, causation: &'a MessageId) -> Done<'a, u64> {
                    Box::pin(self.0.replay(causation))
                }

                fn send_again<'a>(&'a self, which: &'a Selection) -> Done<'a, u64> {
                    Box::pin(self.0.send_again(which))
                }
            }

            impl Archiving for $outbox {
                fn archive<'a>(&'a self, what: &'a Archive) -> Done<'a, u64> {
                    Box::pin(self.0.archive(what))
                }
            }

            impl UniquePosts for $outbox {
                fn deposit_unique<'a>(
                    &'a self,
                    message: &'a Message,
                    key: &'a UniqueKey,
                    delay: Option<Duration>,
                    lease: Option<Duration>,
                ) -> Done<'a, UniqueDeposit> {
                    Box::pin(self.0.deposit_unique(message, key, delay, lease))
                }
            }

            impl $outbox {
                /// Returns the statement that deposits this message in a transaction that is not one of sqlx: see
                /// [`DepositStatement`]. `CommandProcessor::to_message` returns the message of a request.
                ///
                /// # Errors
                /// Returns an error if the message cannot be stored: its header has a value that JSON cannot represent.
                pub fn deposit_statement(&self, message: &Message) -> Result<DepositStatement, OutboxError> {
                    self.0.deposit_statement(message)
                }
            }

            /// A transaction of the application, in the database that has the outbox. Roll back after an error.
            impl OutboxTransaction<$outbox> for sqlx::Transaction<'_, $database> {
                fn deposit<'a>(&'a mut self, outbox: &'a $outbox, messages: &'a [Message]) -> Done<'a, ()> {
                    Box::pin(outbox.0.deposit_in(self, messages))
                }

                fn schedule<'a>(
                    &'a mut self,
                    outbox: &'a $outbox,
                    message: &'a Message,
                    delay: Duration,
                ) -> Done<'a, ()> {
                    Box::pin(outbox.0.schedule_in(self, message, delay))
                }

                fn deposit_unique<'a>(
                    &'a mut self,
                    outbox: &'a $outbox,
                    message: &'a Message,
                    key: &'a UniqueKey,
                    delay: Option<Duration>,
                ) -> Done<'a, UniqueDeposit> {
                    Box::pin(outbox.0.deposit_unique_in(self, message, key, delay))
                }

                fn cancel<'a>(&'a mut self, outbox: &'a $outbox, id: &'a MessageId) -> Done<'a, bool> {
                    Box::pin(outbox.0.cancel_in(self, id))
                }

                fn reschedule<'a>(
                    &'a mut self,
                    outbox: &'a $outbox,
                    id: &'a MessageId,
                    delay: Duration,
                ) -> Done<'a, bool> {
                    Box::pin(outbox.0.reschedule_in(self, id, delay))
                }
            }
        };
    };
}

pub(crate) use implement_outbox;
