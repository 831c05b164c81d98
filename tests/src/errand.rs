//! What the child process of the host's tests handles.

use brighter::prelude::*;

/// Something to do, once it is allowed.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Errand")]
pub struct Errand {
    /// Its id.
    pub id: MessageId,
    /// Whether it blocks its thread forever.
    pub blocks: bool,
}
