//! The service `orders`: takes orders over HTTP, and marks them when they are paid.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use brighter::http::Endpoints;
use brighter::prelude::*;
use brighter::processor::CallError;
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::messages::{GetPrice, Order, OrderPlaced, PaymentTaken, SendMail};

/// How long to wait for a reply.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    broker: RabbitMq,
    db: PgPool,
    listen: &str,
    seconds_to_reminder: u64,
) -> Result<host::Exit, BoxError> {
    sqlx::raw_sql(include_str!("orders.sql")).execute(&db).await?;
    let processor = CommandProcessor::builder()
        .handler(MarkAsPaid { db: db.clone() })
        .broker(broker)
        .outbox(PostgresOutbox::from_pool(db.clone()).await?)
        .build()?;
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<PaymentTaken>::new("orders.payments").concurrency(4))
        .build()?;

    let api = Api {
        db,
        processor,
        remind_after: Duration::from_secs(seconds_to_reminder),
    };
    let router = Router::new()
        .route("/orders/{id}", put(place))
        .route("/prices/{item}", get(price))
        .with_state(api)
        .fallback_service(Endpoints::of_dispatcher(dispatcher.clone())); // /livez and /readyz
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let shutdown = async { host::shutdown_signal().await.unwrap_or_else(log) };
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    // Receives messages until the server has answered its last request.
    let served = async { server.await.unwrap_or_else(log) };
    Ok(host::run_until(dispatcher, served).await.into())
}

fn log(error: impl std::error::Error) {
    tracing::error!(%error, "shutting down");
}

#[derive(Clone)]
struct Api {
    db: PgPool,
    processor: CommandProcessor,
    remind_after: Duration,
}

/// Stores the order, its event and its reminder in one transaction. The client chooses the id, so that it can safely
/// send an order again when it got no answer.
async fn place(
    State(api): State<Api>,
    Path(order_id): Path<String>,
    Json(order): Json<Order>,
) -> Result<StatusCode, Failure> {
    let reminder = SendMail {
        id: MessageId::new(),
        customer: order.customer.clone(),
        text: format!("order {order_id} is not paid yet"),
    };
    let mut tx = api.db.begin().await?;
    let insert = sqlx::query("INSERT INTO orders VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING")
        .bind(&order_id)
        .bind(&order.customer)
        .bind(&order.item)
        .bind(order.quantity)
        .bind(reminder.id.to_string());
    if insert.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(StatusCode::OK); // it was placed before
    }
    let deposit = api.processor.deposit_post(&mut tx, reminder);
    deposit.after(api.remind_after).await?;
    let placed = OrderPlaced { order_id, order };
    api.processor.deposit_post(&mut tx, placed).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// Asks `payments`, and waits for the reply.
async fn price(State(api): State<Api>, Path(item): Path<String>) -> Result<Response, Failure> {
    Ok(match api.processor.call(GetPrice { item }, TIMEOUT).await {
        Err(CallError::Failed { reason }) => (StatusCode::NOT_FOUND, reason).into_response(),
        cents => Json(cents?).into_response(),
    })
}

/// An error that the client can do nothing about: it is logged, and answered with 503.
struct Failure(BoxError);

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::error!(error = &*self.0, "a request failed");
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

struct MarkAsPaid {
    db: PgPool,
}

/// Marks the order, and cancels its reminder in the same transaction. Doing so twice changes nothing, so this handler
/// needs no inbox.
#[handler]
impl Handler<PaymentTaken> for MarkAsPaid {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, payment: &PaymentTaken, cx: &Context) -> Result<(), BoxError> {
        let update = "UPDATE orders SET is_paid = TRUE WHERE id = $1 RETURNING reminder_id";
        let update = sqlx::query_scalar(update).bind(&payment.order_id);
        let mut tx = self.db.begin().await?;
        let reminder: String = update.fetch_one(&mut *tx).await?;
        let (processor, reminder) = (cx.processor()?, MessageId::from(reminder));
        processor.outbox().cancel(&reminder).within(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
