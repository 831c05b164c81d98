//! The inbox: the contract, and `#[use_inbox]` with a real broker and a real outbox.

mod consuming;
mod contract;
mod exactly_once;
mod in_memory;
mod in_process;
mod replaying;
mod unsent;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::Producer;
use brighter::inbox::{Inbox, InboxKey};
use brighter::message::{MessageBody, MessageType};
use brighter::pipeline::HandlerPipeline;
use brighter::prelude::*;
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Due")]
struct Pay {
    id: MessageId,
    how: String,
}

fn pay(how: &str) -> Pay {
    Pay {
        id: MessageId::new(),
        how: how.into(),
    }
}

/// Pays as the request says, and keeps the books.
#[derive(Clone, Default)]
struct Till {
    asked: Arc<AtomicU32>,
    paid: Arc<Mutex<Vec<MessageId>>>,
    go_on: Arc<Notify>,
}

impl Till {
    async fn pay(&self, pay: &Pay) -> Result<(), BoxError> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        match pay.how.as_str() {
            "fail twice" if asked < 3 => return Err("not yet".into()),
            "panic once" if asked < 2 => panic!("lost its head"),
            "hang once" if asked < 2 => std::future::pending().await,
            "wait" => self.go_on.notified().await,
            _ => {}
        }
        self.paid.lock().unwrap().push(pay.id.clone());
        Ok(())
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn paid(&self) -> Vec<MessageId> {
        self.paid.lock().unwrap().clone()
    }
}

macro_rules! cashier {
    ($name:ident, $($step:meta),+) => {
        struct $name(Till);
        #[handler]
        impl Handler<Pay> for $name {
            $(#[$step])+
            async fn handle(&self, pay: &Pay) -> Result<(), BoxError> {
                self.0.pay(pay).await
            }
        }
    };
}
use cashier;

cashier!(Cashier, use_inbox(step = 1));
cashier!(
    Strict,
    use_inbox(context = "till", on_duplicate = reject, step = 1)
);

/// An application that consumes payments.
struct Desk {
    broker: InMemoryBroker,
    till: Till,
    dispatcher: Dispatcher,
}

impl Desk {
    async fn with<H: HandlerPipeline<Pay>>(
        inbox: impl Inbox,
        handler: fn(Till) -> H,
        subscription: Subscription<Pay>,
    ) -> Self {
        let till = Till::default();
        Self::again(
            InMemoryBroker::new(),
            till.clone(),
            inbox,
            handler(till),
            subscription,
        )
        .await
    }

    async fn again(
        broker: InMemoryBroker,
        till: Till,
        inbox: impl Inbox,
        handler: impl HandlerPipeline<Pay>,
        subscription: Subscription<Pay>,
    ) -> Self {
        let processor = CommandProcessor::builder()
            .handler(handler)
            .broker(broker.clone())
            .inbox(inbox)
            .build()
            .unwrap();
        let dispatcher = Dispatcher::builder(processor)
            .subscription(subscription)
            .drain_timeout(SECOND)
            .build()
            .unwrap();
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        Self {
            broker,
            till,
            dispatcher,
        }
    }

    async fn deliver(&self, pay: &Pay) {
        let header = MessageHeader::new(pay.id.clone(), "Payment.Due", MessageType::Command);
        let body = MessageBody::new(serde_json::to_vec(pay).unwrap());
        self.broker.publish(&Message::new(header, body)).await.unwrap();
    }

    /// What was delivered, and what came of it, is over and done with: by a clock that stands still while
    /// anybody is at work, long after the last delay.
    async fn settled(&self) {
        tokio::time::sleep(3 * MINUTE).await;
        assert!(self.broker.messages("payments").is_empty());
    }

    /// Why each of the dead letters is one.
    fn dead(&self) -> Vec<String> {
        let reason = |message: &Message| {
            message
                .header
                .bag
                .get("rejectionMessage")?
                .as_str()
                .map(str::to_owned)
        };
        self.broker
            .messages("payments.dlq")
            .iter()
            .filter_map(reason)
            .collect()
    }
}

fn payments() -> Subscription<Pay> {
    Subscription::new("payments").attempts(3).delays([SECOND])
}

/// Where a delivery that is no attempt must not become one.
fn one_attempt() -> Subscription<Pay> {
    Subscription::new("payments").attempts(1).delays([SECOND])
}
