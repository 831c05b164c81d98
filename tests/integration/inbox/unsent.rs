//! What a first handling has left in the outbox, in processes without a sweeper.

use brighter::channel::{Broker, Channel};
use brighter::outbox::{Claim, InMemoryTransaction, Outbox, OutboxTransaction};
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_tests::wait::until_eq;
use sqlx::{Postgres, Sqlite, Transaction};

use super::*;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Booked", kind = "event")]
struct Booked {
    how: String,
}

/// A transaction of an outbox that a handler begins and commits by itself.
trait Booking: Outbox + Clone {
    type Transaction: OutboxTransaction<Self> + Send;

    fn begin_booking(&self) -> impl Future<Output = Self::Transaction> + Send;
    fn commit(transaction: Self::Transaction) -> impl Future<Output = ()> + Send;
}

impl Booking for InMemoryOutbox {
    type Transaction = InMemoryTransaction;

    async fn begin_booking(&self) -> InMemoryTransaction {
        self.begin()
    }

    async fn commit(transaction: InMemoryTransaction) {
        transaction.commit().unwrap();
    }
}

macro_rules! booking {
    ($outbox:ty, $database:ty) => {
        impl Booking for $outbox {
            type Transaction = Transaction<'static, $database>;

            async fn begin_booking(&self) -> Self::Transaction {
                self.pool().begin().await.unwrap()
            }

            async fn commit(transaction: Self::Transaction) {
                transaction.commit().await.unwrap();
            }
        }
    };
}

booking!(SqliteOutbox, Sqlite);
booking!(PostgresOutbox, Postgres);

/// Books a payment with what is posted of it, and leaves the sending to a sweeper.
macro_rules! bookkeeper {
    ($name:ident, $on_duplicate:ident) => {
        struct $name<O> {
            till: Till,
            outbox: O,
        }

        #[handler]
        impl<O: Booking> Handler<Pay> for $name<O> {
            #[use_inbox(context = "books", on_duplicate = $on_duplicate, step = 1)]
            async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
                let mut transaction = self.outbox.begin_booking().await;
                let booked = Booked {
                    how: pay.how.clone(),
                };
                cx.deposit_post(&mut transaction, booked).await?;
                O::commit(transaction).await;
                self.till.pay(pay).await
            }
        }
    };
}

bookkeeper!(Dropping, warn);
bookkeeper!(Rejecting, reject);
bookkeeper!(Replaying, replay);

/// One process after another over one outbox and one inbox. None has a sweeper.
struct Office<O> {
    broker: FaultyBroker,
    outbox: O,
    inbox: InMemoryInbox,
    till: Till,
}

impl<O: Booking> Office<O> {
    async fn new(outbox: O) -> Self {
        let broker = FaultyBroker::new(InMemoryBroker::new());
        let booked = Channel::new("booked", "Payment.Booked");
        broker.declare(&booked).await.unwrap();
        let (inbox, till) = (InMemoryInbox::new(), Till::default());
        Self {
            broker,
            outbox,
            inbox,
            till,
        }
    }

    fn process<H: HandlerPipeline<Pay>>(&self, handler: impl FnOnce(Till, O) -> H) -> Dispatcher {
        let processor = CommandProcessor::builder()
            .handler(handler(self.till.clone(), self.outbox.clone()))
            .broker(self.broker.clone())
            .outbox(self.outbox.clone())
            .inbox(self.inbox.clone())
            .sweeper(Sweeper::default().lease(SECOND))
            .without_sweeper()
            .build()
            .unwrap();
        let subscription = Subscription::<Pay>::new("payments");
        let dispatcher = Dispatcher::builder(processor).subscription(subscription);
        let dispatcher = dispatcher.build().unwrap();
        dispatcher.receive();
        dispatcher
    }

    /// A payment is handled, and the process dies before it has acked its message and sent what was posted.
    async fn dies_behind<H: HandlerPipeline<Pay>>(&self, handler: fn(Till, O) -> H) -> Pay {
        let payment = pay("cash");
        let dispatcher = self.process(handler);
        dispatcher.wait_until_consuming().await;
        dispatcher.processor().post(payment.clone()).await.unwrap();
        until_eq("the payment", vec![payment.id.clone()], || self.till.paid()).await;
        dispatcher.end().await;
        assert_eq!(self.booked(), 0);
        // What was not acked comes again.
        let message = self.outbox.inspection().unwrap();
        let message = message.get(std::slice::from_ref(&payment.id)).await.unwrap();
        self.broker.publish(&message[0]).await.unwrap();
        payment
    }

    fn booked(&self) -> usize {
        self.broker.inner().messages("booked").len()
    }

    /// A message of the channel of payments is neither there nor in hand, and nothing is left in the outbox.
    async fn is_done(&self, dispatcher: &Dispatcher, dead: usize) {
        until_eq("everything", (1, 0), || {
            (self.booked(), self.broker.inner().messages("payments").len())
        })
        .await;
        dispatcher.end().await;
        let inner = self.broker.inner();
        assert_eq!(inner.messages("payments").len(), 0);
        assert_eq!(inner.messages("payments.dlq").len(), dead);
        assert_eq!(self.outbox.status().await.unwrap().outstanding, 0);
        assert_eq!(self.till.asked(), 1);
        assert_eq!(self.booked(), 1);
    }
}

async fn a_duplicate_sends_what_was_left<O: Booking, H: HandlerPipeline<Pay>>(
    outbox: O,
    handler: fn(Till, O) -> H,
    dead: usize,
) {
    let office = Office::new(outbox).await;
    office.dies_behind(handler).await;
    let dispatcher = office.process(handler);
    office.is_done(&dispatcher, dead).await;
}

async fn whatever_becomes_of_the_duplicate<O: Booking>(outbox: impl AsyncFn() -> O) {
    let dropping = |till, outbox| Dropping { till, outbox };
    a_duplicate_sends_what_was_left(outbox().await, dropping, 0).await;
    let rejecting = |till, outbox| Rejecting { till, outbox };
    a_duplicate_sends_what_was_left(outbox().await, rejecting, 1).await;
    let replaying = |till, outbox| Replaying { till, outbox };
    a_duplicate_sends_what_was_left(outbox().await, replaying, 0).await;
}

#[tokio::test]
async fn a_duplicate_without_sweeper_sends_leftovers_in_memory() {
    whatever_becomes_of_the_duplicate(async || InMemoryOutbox::new()).await;
}

#[tokio::test]
async fn a_duplicate_without_sweeper_sends_leftovers_in_sqlite() {
    let folders = Mutex::new(Vec::new());
    whatever_becomes_of_the_duplicate(async || {
        let folder = tempfile::tempdir().unwrap();
        let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await;
        folders.lock().unwrap().push(folder);
        outbox.unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_duplicate_without_sweeper_sends_leftovers_in_postgres() {
    let corner = brighter_tests::databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(corner.pool().await).await.unwrap();
    let dropping = |till, outbox| Dropping { till, outbox };
    a_duplicate_sends_what_was_left(outbox, dropping, 0).await;
}

/// The process may have died in `clear_outbox`: then its claim has to end first.
#[tokio::test]
async fn a_duplicate_waits_for_the_claim_on_what_was_left() {
    let office = Office::new(InMemoryOutbox::new()).await;
    let handler = |till, outbox| Dropping { till, outbox };
    office.dies_behind(handler).await;
    let claimed = office
        .outbox
        .claim(Claim::oldest(10, Duration::ZERO), SECOND)
        .await;
    assert_eq!(claimed.unwrap().len(), 1);
    let dispatcher = office.process(handler);
    office.is_done(&dispatcher, 0).await;
}

/// As long as the broker takes nothing, the duplicate is not acked.
#[tokio::test]
async fn a_duplicate_returns_until_leftovers_are_sent() {
    let office = Office::new(InMemoryOutbox::new()).await;
    let handler = |till, outbox| Dropping { till, outbox };
    office.dies_behind(handler).await;
    office
        .broker
        .next_publishes([PublishFault::Away, PublishFault::Away]);
    let dispatcher = office.process(handler);
    office.is_done(&dispatcher, 0).await;
}
