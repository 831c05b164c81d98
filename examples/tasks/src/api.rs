//! The HTTP API: `POST /reminders` and `GET /reminders/{id}`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use brighter::channel::Broker;
use brighter::config::Config;
use brighter::http::Endpoints;
use brighter::processor::BuildErrors;
use brighter::{CommandProcessor, MessageId, Publication, Sweeper};
use serde_json::json;

use crate::message::TaskReminder;
use crate::new_reminder::{InvalidReminder, NewReminder};
use crate::request::in_a_span;
use crate::store::{ReminderStore, StoreError};

/// How often the outbox is swept. See [`Api::new`].
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// How long the sweeper claims a message for. An API that is killed while it sends holds its messages up for
/// as long, so this is short; the broker must give up on a message sooner, or two would send it.
pub const CLAIMED_FOR: Duration = Duration::from_secs(10);

/// The API, which answers as soon as the disk has a reminder.
#[derive(Debug, Clone)]
pub struct Api {
    store: ReminderStore,
    processor: CommandProcessor,
    endpoints: Endpoints,
    after_commit: AfterCommit,
}

/// What happens between the commit and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterCommit {
    /// Nothing.
    #[default]
    Answer,
    /// The process dies, as by `kill -9`, with the message stored and not sent: for the test that it is sent
    /// when the API is started again.
    Die,
}

impl Api {
    /// An API that keeps its reminders in this store and sends them through this broker.
    ///
    /// No request waits for the broker, nor does anything after it: sending is left to the sweeper, which
    /// looks ten times a second. A `clear_outbox` after each commit would save a reminder some tens of
    /// milliseconds, and cost two more transactions for each; the sweeper takes a hundred with the same two.
    /// While the broker is away nothing piles up but rows.
    ///
    /// # Errors
    /// What is wrong with how the processor is put together.
    pub fn new(
        store: ReminderStore,
        broker: impl Broker,
        after_commit: AfterCommit,
    ) -> Result<Self, BuildErrors> {
        Self::configured(store, broker, after_commit, None)
    }

    /// The same, as this configuration says.
    ///
    /// # Errors
    /// What is wrong with how the processor is put together.
    pub fn configured(
        store: ReminderStore,
        broker: impl Broker,
        after_commit: AfterCommit,
        config: Option<&Config>,
    ) -> Result<Self, BuildErrors> {
        let builder = CommandProcessor::builder()
            .broker(broker)
            .outbox(store.outbox())
            .publication(Publication::<TaskReminder>::new());
        let builder = match config {
            // What is said below about dying is not to be overridden.
            Some(config) if after_commit == AfterCommit::Answer => builder.configure(config),
            _ => builder,
        };
        let builder = match after_commit {
            AfterCommit::Answer => {
                builder.sweeper(Sweeper::default().interval(SWEEP_EVERY).lease(CLAIMED_FOR))
            }
            // It must die with the message unsent.
            AfterCommit::Die => builder.without_sweeper(),
        };
        let processor = builder.build()?;
        Ok(Self {
            endpoints: Endpoints::of_processor(processor.clone()),
            processor,
            store,
            after_commit,
        })
    }

    /// Answers `/metrics` with this, in the text format of Prometheus.
    #[must_use]
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.endpoints = self.endpoints.metrics(render);
        self
    }

    /// The routes, for a server: the reminders, and `/livez`, `/readyz` and `/metrics`.
    pub fn router(self) -> Router {
        let endpoints = self.endpoints.clone();
        Router::new()
            .route(
                "/reminders",
                post(add).layer(from_fn(|request, next| in_a_span("/reminders", request, next))),
            )
            .route(
                "/reminders/{id}",
                get(find).layer(from_fn(|request, next| {
                    in_a_span("/reminders/{id}", request, next)
                })),
            )
            .with_state(Arc::new(self))
            .fallback_service(endpoints)
    }

    /// The processor that sends what is posted, to be closed at the end.
    #[must_use]
    pub fn processor(&self) -> &CommandProcessor {
        &self.processor
    }
}

async fn add(
    State(api): State<Arc<Api>>,
    reminder: Result<Json<NewReminder>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(reminder) = reminder?;
    let reminder = reminder.accept()?;
    let id = reminder.id.clone();
    api.store.add(&api.processor, vec![reminder]).await?;
    if api.after_commit == AfterCommit::Die {
        std::process::abort();
    }
    let location = [(header::LOCATION, format!("/reminders/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(json!({ "id": id }))).into_response())
}

async fn find(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let found = api.store.find(&MessageId::from(id)).await?;
    Ok(Json(found.ok_or(Refusal::NotFound)?).into_response())
}

/// Every answer that is not the one hoped for: `{"error": "…"}`, with the field at fault if there is one.
enum Refusal {
    Unreadable(JsonRejection),
    Invalid(InvalidReminder),
    NotFound,
    NotStored(StoreError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Unreadable(rejection) => {
                // Whether the text is no JSON or JSON of another shape makes no difference to a client.
                let status = match rejection.status() {
                    StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
                    other => other,
                };
                (status, json!({ "error": rejection.body_text() }))
            }
            Self::Invalid(error) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({ "error": error.to_string(), "field": error.field() }),
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                json!({ "error": "there is no reminder of this id" }),
            ),
            // The details are for the log: a stranger has no business with our disk.
            Self::NotStored(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a request could not be served"
                );
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    json!({ "error": "the reminders cannot be reached now; try again" }),
                )
            }
        };
        (status, Json(body)).into_response()
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::Unreadable(rejection)
    }
}

impl From<InvalidReminder> for Refusal {
    fn from(error: InvalidReminder) -> Self {
        Self::Invalid(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::NotStored(error)
    }
}
