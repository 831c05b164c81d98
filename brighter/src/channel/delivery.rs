//! A [`Delivery`]: a message on loan from its channel until it is settled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::SettleError;
use crate::message::{Message, MessageHeader};

/// Why a message is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// Where it goes.
    pub kind: RejectionKind,
    /// What went wrong, for the person who reads the dead letter. Bounded: see [`Rejection::new`].
    pub reason: String,
}

/// The headers of a message that was set aside, by the names that Brighter gives them.
pub mod rejection_headers {
    /// `DeliveryError` or `Unacceptable`: see [`RejectionKind::as_str`](super::RejectionKind::as_str).
    pub const REASON: &str = "rejectionReason";
    /// What went wrong.
    pub const MESSAGE: &str = "rejectionMessage";
    /// The topic that the message came by.
    pub const ORIGINAL_TOPIC: &str = "originalTopic";
    /// The kind of message that it was.
    pub const ORIGINAL_TYPE: &str = "originalMessageType";
}

/// Where a message that is set aside goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// It was understood and could not be handled: to the dead-letter channel.
    DeadLetter,
    /// It was not understood: to the invalid-message channel.
    Invalid,
}

impl Rejection {
    /// The most bytes of a reason that are kept: it travels as a header.
    pub const MAX_REASON_BYTES: usize = 2048;

    /// Set aside for this reason, which is cut to [`MAX_REASON_BYTES`](Self::MAX_REASON_BYTES).
    #[must_use]
    pub fn new(kind: RejectionKind, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(Self::MAX_REASON_BYTES));
        Self { kind, reason }
    }

    /// Notes in a header why its message was set aside, under the names of [`rejection_headers`].
    pub fn annotate(&self, header: &mut MessageHeader) {
        header.bag.insert(rejection_headers::REASON, self.kind.as_str());
        header
            .bag
            .insert(rejection_headers::MESSAGE, self.reason.as_str());
        header
            .bag
            .insert(rejection_headers::ORIGINAL_TOPIC, header.topic.as_str());
        header
            .bag
            .insert(rejection_headers::ORIGINAL_TYPE, header.message_type.as_str());
    }
}

impl RejectionKind {
    /// The text of the header, which is Brighter's: `DeliveryError` or `Unacceptable`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "DeliveryError",
            Self::Invalid => "Unacceptable",
        }
    }
}

/// How a transport settles one delivery. Each method ends the loan; what fails leaves the message with the
/// broker, which delivers it again.
pub trait Settle: Send + Sync {
    /// The message is done with. May be written a little later, together with others.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>>;

    /// The message comes again to the same channel, and to no other, after the delay, with the header that is
    /// given here. The original goes only once the copy is safe.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>>;

    /// The message, as it came, goes to the dead-letter or the invalid-message channel. The original goes only
    /// once the copy is safe.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>>;

    /// The message goes back to its channel as it is, at once, for any consumer.
    fn release(self: Box<Self>);
}

/// A message on loan from its channel. Settle it with [`ack`](Self::ack), [`requeue`](Self::requeue) or
/// [`reject`](Self::reject); dropped, it goes back to the channel.
#[must_use = "a delivery that is dropped goes back to its channel"]
pub struct Delivery {
    /// The message, or why the transport could not make sense of what came. It is shared with a broker that keeps
    /// it until it is settled.
    message: Result<Arc<Message>, String>,
    redeliveries: u32,
    settle: Option<Box<dyn Settle>>,
}

impl Delivery {
    /// A delivery of this message.
    pub fn new(message: impl Into<Arc<Message>>, settle: Box<dyn Settle>) -> Self {
        Self {
            message: Ok(message.into()),
            redeliveries: 0,
            settle: Some(settle),
        }
    }

    /// A delivery of something whose headers made no sense, for this reason.
    pub fn malformed(reason: impl Into<String>, settle: Box<dyn Settle>) -> Self {
        Self {
            message: Err(reason.into()),
            redeliveries: 0,
            settle: Some(settle),
        }
    }

    /// The same delivery, of a message that the broker has delivered this often before without its being
    /// settled.
    pub fn with_redeliveries(mut self, times: u32) -> Self {
        self.redeliveries = times;
        self
    }

    /// How often the broker has delivered this very copy before, by its own count, which no sender can set: it
    /// was given back, or its consumer died. 0 where the broker does not count.
    #[must_use]
    pub fn redeliveries(&self) -> u32 {
        self.redeliveries
    }

    /// The message.
    ///
    /// # Errors
    /// Why what came is no message: [`reject`](Self::reject) it as invalid.
    pub fn message(&self) -> Result<&Message, &str> {
        self.message.as_deref().map_err(String::as_str)
    }

    /// The message, how often it was delivered before, and what settles it, for a broker in front of another.
    /// `None` of what made no sense.
    #[cfg(feature = "testing")]
    pub(crate) fn into_parts(mut self) -> Option<(Arc<Message>, u32, Box<dyn Settle>)> {
        let message = Arc::clone(self.message.as_ref().ok()?);
        Some((message, self.redeliveries, self.settle.take()?))
    }

    /// Done with.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn ack(mut self) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.ack().await,
            None => Ok(()),
        }
    }

    /// Again after `delay`, with the handled count one higher if `counted`.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn requeue(mut self, delay: Duration, counted: bool) -> Result<(), SettleError> {
        let Some(settle) = self.settle.take() else {
            return Ok(());
        };
        match self.message().cloned() {
            Ok(mut message) => {
                let count = &mut message.header.handled_count;
                *count = count.saturating_add(u32::from(counted));
                settle.requeue(message, delay).await
            }
            // What made no sense cannot be written again with another header.
            Err(_) => {
                settle.release();
                Ok(())
            }
        }
    }

    /// Set aside.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn reject(mut self, rejection: Rejection) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.reject(rejection).await,
            None => Ok(()),
        }
    }

    /// Back to the channel at once, as it is: what dropping it does, said aloud.
    pub fn release(self) {}
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.release();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message())
            .finish_non_exhaustive()
    }
}
