//! The service `payments`: takes each payment exactly once, and answers what things cost.

use brighter::channel::Replay;
use brighter::prelude::*;
use sqlx::{PgPool, PgTransaction};

use crate::messages::{GetPrice, OrderPlaced, PaymentTaken, SendMail};

pub(crate) async fn run(broker: RabbitMq, db: PgPool) -> Result<host::Exit, BoxError> {
    sqlx::raw_sql(include_str!("payments.sql")).execute(&db).await?;
    let payments = Payments { db: db.clone() };
    let processor = CommandProcessor::builder()
        .handler::<OrderPlaced>(payments.clone())
        .handler::<GetPrice>(payments)
        .broker(broker)
        .outbox(PostgresOutbox::from_pool(db.clone()).await?)
        .inbox(PostgresInbox::from_pool(db).await?)
        .build()?;
    let dispatcher = Dispatcher::builder(processor)
        .subscription(placed_orders())
        .subscription(Subscription::<GetPrice>::new("payments.prices"))
        .build()?;
    Ok(host::run(dispatcher).await.into())
}

fn placed_orders() -> Subscription<OrderPlaced> {
    Subscription::new("payments.orders").concurrency(4)
}

/// Sends the dead letters of [`placed_orders`] whose reason contains this text back, to be handled again.
pub(crate) async fn replay(broker: RabbitMq, name: &str, reason: &str) -> Result<host::Exit, BoxError> {
    let replay = Replay::new(name, &placed_orders().settings().channel);
    let result = replay.run(&broker, |letter| {
        let rejected = letter.rejected.as_ref();
        rejected.is_some_and(|rejected| rejected.rejection.reason.contains(reason))
    });
    let counts = result.await?;
    println!("{} sent back, {} left", counts.replayed, counts.left);
    Ok(host::Exit::SUCCESS)
}

#[derive(Clone)]
struct Payments {
    db: PgPool,
}

impl Payments {
    async fn price(&self, item: &str) -> Result<i64, BoxError> {
        let query = sqlx::query_scalar("SELECT cents FROM prices WHERE item = $1").bind(item);
        let cents: Option<i64> = query.fetch_optional(&self.db).await?;
        // A retry would not help, so the message goes to the dead-letter queue at once.
        cents.ok_or_else(|| Reject::because(format!("{item} has no price")).into())
    }
}

/// The payment, the key of the message in the inbox, and the messages that follow are committed together, or not at all.
#[handler]
impl Handler<OrderPlaced> for Payments {
    #[transactional(step = 1)]
    async fn handle(
        &self,
        placed: &OrderPlaced,
        tx: &mut PgTransaction<'_>,
        cx: &Context,
    ) -> Result<(), BoxError> {
        let OrderPlaced { order_id, order } = placed;
        let cents = self.price(&order.item).await? * i64::from(order.quantity);
        let receipt = SendMail {
            id: MessageId::new(),
            customer: order.customer.clone(),
            text: format!("order {order_id} is paid, {cents} cents"),
        };
        let payment = sqlx::query("INSERT INTO payments (order_id, cents) VALUES ($1, $2)");
        payment.bind(order_id).bind(cents).execute(&mut **tx).await?;
        cx.deposit_post(tx, receipt).await?;
        let order_id = order_id.clone();
        cx.deposit_post(tx, PaymentTaken { order_id }).await?;
        Ok(())
    }
}

#[handler]
impl Handler<GetPrice> for Payments {
    async fn handle(&self, question: &GetPrice) -> Result<i64, BoxError> {
        self.price(&question.item).await
    }
}
