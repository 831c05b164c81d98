//! [`TaskReminder`]: what travels from the API to the worker.

use brighter::prelude::*;

/// Remind somebody of a task.
///
/// Its id is the message's too, so that it is known from the HTTP answer to the name of the mail.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder")]
pub struct TaskReminder {
    /// Which reminder.
    pub id: MessageId,
    /// What is to be done.
    pub task_name: String,
    /// By when, in the words of who posted it.
    pub due: String,
    /// Whom to remind: a mail address, with or without a name before it.
    pub recipient: String,
}
