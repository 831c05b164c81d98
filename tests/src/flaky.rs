//! A broker that fails when it is told to, in front of the in-memory one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use brighter::channel::{Broker, Channel, ChannelError, Consumer, Producer, PublishError};
use brighter::{InMemoryBroker, Message};
use futures_util::future::BoxFuture;

/// What a [`FlakyBroker`] is to do instead of what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection: the message is not taken.
    Away,
    /// The message is taken, and the confirm is lost.
    ConfirmLost,
    /// The broker says no.
    Refuse,
}

/// The in-memory broker, with faults.
#[derive(Clone)]
pub struct FlakyBroker {
    /// The broker behind it.
    pub inner: InMemoryBroker,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    /// For the next publishes, one each.
    next: VecDeque<Fault>,
    /// For all, once those are over.
    always: Option<Fault>,
    consume: Option<Fault>,
}

impl FlakyBroker {
    /// A broker with no faults yet.
    #[must_use]
    pub fn new(inner: InMemoryBroker) -> Self {
        Self {
            inner,
            script: Arc::default(),
        }
    }

    /// The next publishes meet these, one each.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.lock().unwrap().next.extend(faults);
    }

    /// Every publish meets this, or none.
    pub fn always(&self, fault: Option<Fault>) {
        self.script.lock().unwrap().always = fault;
    }

    /// Every attempt to consume meets this, or none.
    pub fn consume_meets(&self, fault: Option<Fault>) {
        self.script.lock().unwrap().consume = fault;
    }
}

impl Producer for FlakyBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        let fault = {
            let mut script = self.script.lock().unwrap();
            script.next.pop_front().or(script.always)
        };
        Box::pin(async move {
            match fault {
                None => self.inner.publish(message).await,
                Some(Fault::Away) => Err(PublishError::Disconnected("pulled the plug".into())),
                Some(Fault::ConfirmLost) => {
                    self.inner.publish(message).await?;
                    Err(PublishError::Disconnected("pulled the plug too late".into()))
                }
                Some(Fault::Refuse) => Err(PublishError::Refused {
                    reason: "not today".into(),
                }),
            }
        })
    }
}

impl Broker for FlakyBroker {
    fn system(&self) -> &'static str {
        "flaky"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        if self.script.lock().unwrap().consume.is_some() {
            return Box::pin(async { Err(ChannelError::Disconnected("pulled the plug".into())) });
        }
        self.inner.consume(channel)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
