//! [`ContextExt`]: what a handler does with the processor that its context belongs to.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use super::message::cause_of;
use super::options::PostOptions;
use super::{
    CallError, CommandProcessor, DepositPost, DepositPosts, Inner, NoProcessor, Post, PublishErrors,
    SendError, SubscriberFailure,
};
use crate::handler::TransactionSlot;
use crate::pipeline::BatchMembership;
use brighter_core::__private::Repeated;
use brighter_core::context::Context;
use brighter_core::error::{BoxError, HandlerError};
use brighter_core::inbox::{Fingerprint, Handling, InboxKey, RecordedInTransaction};
use brighter_core::mapper::{Callable, Postable};
use brighter_core::outbox::{Outbox, OutboxTransaction};
use brighter_core::request::{Command, Event};

/// Gives a handler the processor that handles its request. Each method records the request as the cause of what it
/// sends: its id, its correlation id and its trace.
///
/// The trait is in the prelude. A context that a handler is given belongs to the processor, also while the process
/// ends. One that a test makes with [`Context::new`] does not: [`CommandProcessor::context`] makes one that does.
///
/// ```
/// use brighter::prelude::*;
///
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(topic = "Task.Added", kind = "event")]
/// struct TaskAdded { name: String }
///
/// #[derive(Command)]
/// struct AddTask { name: String }
///
/// struct AddTaskHandler;
///
/// #[handler]
/// impl Handler<AddTask> for AddTaskHandler {
///     async fn handle(&self, task: &AddTask, cx: &Context) -> Result<(), BoxError> {
///         cx.post(TaskAdded { name: task.name.clone() }).await?;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// # let broker = InMemoryBroker::new();
/// # use brighter::channel::{Broker, Channel};
/// # broker.declare(&Channel::new("tasks", "Task.Added")).await?;
/// let processor = CommandProcessor::builder()
///     .handler(AddTaskHandler)
///     .broker(broker)
///     .outbox(InMemoryOutbox::new())
///     .build()?;
/// processor.send(AddTask { name: "milk".into() }).await?;
/// # Ok(())
/// # }
/// ```
pub trait ContextExt: sealed::Sealed {
    /// Returns the processor that handles the request. A handler that keeps it keeps the processor alive, which keeps
    /// the handler: it is for use within the handling.
    ///
    /// # Errors
    /// The context belongs to no processor.
    fn processor(&self) -> Result<CommandProcessor, NoProcessor>;

    /// Handles a command in this process: see [`CommandProcessor::send`]. Its handler has a context of its own, with
    /// the values of this one.
    ///
    /// # Errors
    /// As [`CommandProcessor::send`], or the context belongs to no processor.
    fn send<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Reply, SendError>> + Send;

    /// Handles an event in this process: see [`CommandProcessor::publish`]. Each of its handlers has a context of its
    /// own, with the values of this one.
    ///
    /// # Errors
    /// As [`CommandProcessor::publish`]. If the context belongs to no processor, [`NoProcessor`] is the one failure.
    fn publish<E: Event>(&self, event: E) -> impl Future<Output = Result<(), PublishErrors>> + Send;

    /// Posts a request: see [`CommandProcessor::post`].
    ///
    /// # Errors
    /// As [`CommandProcessor::post`], or the context belongs to no processor.
    fn post<R: Postable>(&self, request: R) -> Post<'_, R>;

    /// Stores a request in the outbox as part of the caller's own transaction: see
    /// [`CommandProcessor::deposit_post`].
    ///
    /// # Errors
    /// As [`CommandProcessor::deposit_post`], or the context belongs to no processor.
    fn deposit_post<'a, T, R, O>(&'a self, transaction: &'a mut T, request: R) -> DepositPost<'a, T, R, O>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox;

    /// Stores many requests in the outbox as part of the caller's own transaction: see
    /// [`CommandProcessor::deposit_posts`].
    ///
    /// # Errors
    /// As [`CommandProcessor::deposit_posts`], or the context belongs to no processor.
    fn deposit_posts<'a, T, R, O>(
        &'a self,
        transaction: &'a mut T,
        requests: impl IntoIterator<Item = R>,
    ) -> DepositPosts<'a, T, R, O>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox;

    /// Sends a command to the process that handles it, and waits for its reply at most this long: see
    /// [`CommandProcessor::call`]. The correlation id is that of the call.
    ///
    /// # Errors
    /// As [`CommandProcessor::call`], or the context belongs to no processor.
    fn call<R: Callable>(
        &self,
        request: R,
        within: Duration,
    ) -> impl Future<Output = Result<R::Reply, CallError>> + Send;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for brighter_core::context::Context {}
}

impl ContextExt for Context {
    fn processor(&self) -> Result<CommandProcessor, NoProcessor> {
        let slot = self.processor_slot().ok_or(NoProcessor)?;
        let inner = Arc::clone(slot).downcast::<Inner>();
        inner.map(CommandProcessor).map_err(|_| NoProcessor)
    }

    async fn send<C: Command>(&self, command: C) -> Result<C::Reply, SendError> {
        self.processor()?.send_in(command, child(self)).await
    }

    async fn publish<E: Event>(&self, event: E) -> Result<(), PublishErrors> {
        match self.processor() {
            Ok(processor) => processor.publish_in(event, child(self)).await,
            Err(error) => {
                let failure = SubscriberFailure {
                    handler: std::any::type_name::<Context>(),
                    error: HandlerError::from(BoxError::from(error)),
                };
                let failures = vec![failure];
                Err(PublishErrors { failures })
            }
        }
    }

    fn post<R: Postable>(&self, request: R) -> Post<'_, R> {
        Post::new(self.processor(), request, PostOptions::caused_by(Some(self)))
    }

    fn deposit_post<'a, T, R, O>(&'a self, transaction: &'a mut T, request: R) -> DepositPost<'a, T, R, O>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox,
    {
        let options = PostOptions::caused_by(Some(self));
        DepositPost::new(self.processor(), transaction, request, options)
    }

    fn deposit_posts<'a, T, R, O>(
        &'a self,
        transaction: &'a mut T,
        requests: impl IntoIterator<Item = R>,
    ) -> DepositPosts<'a, T, R, O>
    where
        T: OutboxTransaction<O>,
        R: Postable,
        O: Outbox,
    {
        let (requests, options) = (requests.into_iter().collect(), PostOptions::caused_by(Some(self)));
        DepositPosts::new(self.processor(), transaction, requests, options)
    }

    async fn call<R: Callable>(&self, request: R, within: Duration) -> Result<R::Reply, CallError> {
        let processor = self.processor()?;
        processor.call_in(&request, within, Some(self)).await
    }
}

/// Returns the context of a request that is made while another is handled. What the inbox knows of that one says
/// nothing of this one, nor does what its sender waits for.
fn child(cx: &Context) -> Context {
    let own = [
        TypeId::of::<InboxKey>(),
        TypeId::of::<Fingerprint>(),
        TypeId::of::<Handling>(),
        TypeId::of::<Repeated>(),
        TypeId::of::<RecordedInTransaction>(),
        TypeId::of::<TransactionSlot>(),
        TypeId::of::<BatchMembership>(),
    ];
    cx.child(cause_of(cx), &own)
}
