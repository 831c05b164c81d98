//! [`ReplyForm`]: the form in which a reply is written and read.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MapError;
use super::json;
use crate::message::MessageBody;

/// The form in which a reply is written and read.
pub struct ReplyForm<T> {
    #[doc(hidden)]
    pub write: fn(&T) -> Result<MessageBody, MapError>,
    #[doc(hidden)]
    pub read: fn(&MessageBody) -> Result<T, MapError>,
}

/// A reply that serde can write and read, so that it can travel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel as a reply",
    label = "not both `Serialize` and `Deserialize`",
    note = "derive serde's two for it: `#[derive(Serialize, Deserialize)]`",
    note = "a request that never leaves the process derives `Command` in place of `Message`, and its reply may be anything"
)]
pub trait JsonReply: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> JsonReply for T {}

impl<T: JsonReply> ReplyForm<T> {
    /// Returns the JSON form, by serde: the form of every reply of a derived request.
    #[must_use]
    pub const fn json() -> Self {
        Self {
            write: json::write_body,
            read: json::read_body,
        }
    }
}

impl<T> Clone for ReplyForm<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ReplyForm<T> {}

impl<T> fmt::Debug for ReplyForm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyForm")
    }
}
