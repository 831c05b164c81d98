//! The [`ProcessorHandle`]: how a handler gets at the processor that it is part of.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use super::{CommandProcessor, Inner};

/// The way from a handler to its own processor, which there is not yet when the handler is made.
///
/// It does not keep the processor alive, for the processor keeps the handler.
///
/// ```
/// use brighter::prelude::*;
/// use brighter::processor::ProcessorHandle;
///
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(topic = "Task.Added", kind = "event")]
/// struct TaskAdded { name: String }
///
/// #[derive(Command)]
/// struct AddTask { name: String }
///
/// struct AddTaskHandler { processor: ProcessorHandle }
///
/// #[handler]
/// impl Handler<AddTask> for AddTaskHandler {
///     async fn handle(&self, task: &AddTask, cx: &Context) -> Result<(), BoxError> {
///         let added = TaskAdded { name: task.name.clone() };
///         self.processor.get()?.post_with(added, cx).await?;
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
///     .handler_with(|processor| AddTaskHandler { processor })
///     .broker(broker)
///     .outbox(InMemoryOutbox::new())
///     .build()?;
/// processor.send(AddTask { name: "milk".into() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ProcessorHandle(Arc<OnceLock<Weak<Inner>>>);

/// The processor of a [`ProcessorHandle`] is not there: not built yet, or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the processor of this handle is not built yet, or was dropped")]
#[non_exhaustive]
pub struct ProcessorGone;

impl ProcessorHandle {
    /// The processor, once it is built and while it lives: always, while one of its handlers is handling.
    ///
    /// # Errors
    /// It is not built yet, or was dropped.
    pub fn get(&self) -> Result<CommandProcessor, ProcessorGone> {
        let processor = self.0.get().and_then(Weak::upgrade);
        processor.map(CommandProcessor).ok_or(ProcessorGone)
    }

    pub(super) fn fill(&self, inner: &Arc<Inner>) {
        // A builder builds once, so it is empty.
        let _ = self.0.set(Arc::downgrade(inner));
    }
}

impl fmt::Debug for ProcessorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorHandle").field(&self.get().ok()).finish()
    }
}
