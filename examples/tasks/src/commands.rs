//! The three commands that share a broker: `api`, `worker`, `send`.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use brighter::config::Config;
use brighter::http::Endpoints;
use brighter::{CommandProcessor, Dispatcher, PolicyRegistry, Publication, Subscription};
use lettre::message::Mailbox;
use tasks::api::{AfterCommit, Api};
use tasks::mail::{MailFolder, MailGateway};
use tasks::worker::QUEUE;
use tasks::{NewReminder, ReminderStore, TaskReminder};
use tokio::net::TcpListener;

use crate::cli;
use crate::failure::Failure;
use crate::settings::SECTION;

/// Serves HTTP until SIGTERM or ctrl-c; then answers what was asked, sends what is under way, and ends.
pub(crate) async fn api(options: cli::Api, config: Config) -> Result<(), Failure> {
    let broker = crate::broker::connect(&config).await?;
    let store = open(&options.database).await?;
    // The recorder must be there before the first metric.
    let metrics = crate::metrics::begin()?;
    let api = Api::configured(store, broker, after_commit(), Some(&config))
        .map_err(|error| Failure::because("the API is not wired well", &error))?
        .metrics(metrics);
    let processor = api.processor().clone();

    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| Failure::because(&format!("cannot listen on {}", options.listen), &error))?;
    let address = listener.local_addr().unwrap_or(options.listen);
    say(format_args!("listening on http://{address}"))?;
    axum::serve(listener, api.router())
        .with_graceful_shutdown(told_to_end())
        .await
        .map_err(|error| Failure::because("the server failed", &error))?;
    processor.close().await;
    Ok(())
}

/// Mails what arrives until SIGTERM or ctrl-c; then finishes what is in hand, and ends.
pub(crate) async fn worker(options: cli::Worker, config: Config) -> Result<(), Failure> {
    let mail = gateway(&options, &config)?;
    let observer = match observer(&config).await? {
        Some(listener) => Some((listener, crate::metrics::begin()?)),
        None => None,
    };
    let broker = crate::broker::connect(&config).await?;
    let subscription = Subscription::<TaskReminder>::new(QUEUE);
    let dispatcher = tasks::worker::worker(
        broker,
        mail,
        PolicyRegistry::default(),
        subscription,
        Some(&config),
    )
    .map_err(|error| Failure::because("the worker is not wired well", &error))?;
    if let Some((listener, metrics)) = observer {
        observe(listener, &dispatcher, metrics)?;
    }
    let consumed = dispatcher.clone();
    // Once the broker has begun to deliver. The host listens for signals before it receives, so a program that waits
    // for this line may send one.
    let announced = async {
        consumed.wait_until_consuming().await;
        say(format_args!("receiving"))?;
        std::future::pending().await
    };
    tokio::select! {
        ended = brighter::host::run(dispatcher) => ended
            .map_err(|error| Failure::because("the worker did not end well", &error).with_code(error.code())),
        unread = announced => unread,
    }
}

/// Listens where the worker is to be observed, if it is: an address that is taken is told before anything begins.
async fn observer(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = config.text(SECTION, "observe") else {
        return Ok(None);
    };
    let address: SocketAddr = address.parse().map_err(|_| {
        let reason = "it must look like `127.0.0.1:8081`";
        Failure::usage(config.impossible(SECTION, "observe", reason).to_string())
    })?;
    let listener = TcpListener::bind(address).await;
    let refused = |error| Failure::because(&format!("cannot listen on {address}"), &error);
    listener.map(Some).map_err(refused)
}

/// Answers probes and Prometheus until the process ends, while it drains too.
fn observe(
    listener: TcpListener,
    dispatcher: &Dispatcher,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Result<(), Failure> {
    let address = listener.local_addr();
    let address = address.map_err(|error| Failure::because("the observer has no address", &error))?;
    say(format_args!("observed on http://{address}"))?;
    let endpoints = Endpoints::of_dispatcher(dispatcher.clone()).metrics(metrics);
    let router = axum::Router::new().fallback_service(endpoints);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "probes are not answered any more"
            );
        }
    });
    Ok(())
}

/// How many reminders share a transaction: one wait for the disk for them all.
const BATCH: usize = 100;

/// Stores reminders, prints the id of each as soon as it cannot be lost, and sends them.
pub(crate) async fn send(options: cli::Send, config: Config) -> Result<(), Failure> {
    // A mistake in what to send is told before anything is waited for.
    new_reminder(&options)?;
    let broker = crate::broker::connect(&config).await?;
    let store = open(&options.database).await?;
    let processor = CommandProcessor::builder()
        .broker(broker)
        .outbox(store.outbox())
        .publication(Publication::<TaskReminder>::new())
        .configure(&config)
        // It sends its own, and is gone before a sweeper would look.
        .without_sweeper()
        .build()
        .map_err(|error| Failure::because("the sender is not wired well", &error))?;

    let mut kept = Vec::new();
    let mut left = options.count;
    while left > 0 {
        let batch = (0..left.min(BATCH))
            .map(|_| new_reminder(&options))
            .collect::<Result<Vec<_>, _>>()?;
        left -= batch.len();
        let ids: Vec<_> = batch.iter().map(|reminder| reminder.id.clone()).collect();
        store
            .add(&processor, batch)
            .await
            .map_err(|error| Failure::because("the reminders were not stored", &error))?;
        for id in &ids {
            say(format_args!("{id}"))?;
        }
        let cleared = processor
            .clear_outbox(&ids)
            .await
            .map_err(|error| Failure::because("the outbox could not be read", &error))?;
        kept.extend(cleared.kept);
    }
    processor.close().await;
    match kept.first() {
        None => Ok(()),
        Some((_, error)) => Err(Failure::because(
            &format!(
                "{} of {} reminders were not sent; {} keeps them, and `tasks api` with that database will send them",
                kept.len(),
                options.count,
                options.database.display()
            ),
            error,
        )),
    }
}

fn new_reminder(options: &cli::Send) -> Result<TaskReminder, Failure> {
    let reminder = NewReminder {
        task_name: options.task.clone(),
        due: options.due.clone(),
        recipient: options.to.clone(),
    };
    reminder
        .accept()
        .map_err(|error| Failure::usage(error.to_string()))
}

async fn open(database: &std::path::Path) -> Result<ReminderStore, Failure> {
    ReminderStore::open(database)
        .await
        .map_err(|error| Failure::because(&format!("cannot use the database {}", database.display()), &error))
}

fn gateway(options: &cli::Worker, config: &Config) -> Result<Arc<dyn MailGateway>, Failure> {
    let from: Mailbox = options.from.parse().map_err(|_| {
        Failure::usage(
            "--from is not a mail address: write `tasks@example.com` or `Tasks <tasks@example.com>`",
        )
    })?;
    match config.secret(SECTION, "smtp") {
        #[cfg(feature = "smtp")]
        Some(url) => match tasks::mail::SmtpServer::new(url.expose(), from) {
            Ok(server) => Ok(Arc::new(server)),
            Err(error) => Err(Failure::usage(error.to_string())),
        },
        #[cfg(not(feature = "smtp"))]
        Some(_) => Err(Failure::built_without("smtp", "--smtp")),
        None => match MailFolder::open(&options.mail_dir, from) {
            Ok(folder) => Ok(Arc::new(folder)),
            Err(error) => Err(Failure::because(
                &format!("cannot make the folder {}", options.mail_dir.display()),
                &error,
            )),
        },
    }
}

/// A fault for the tests: see [`AfterCommit::Die`].
fn after_commit() -> AfterCommit {
    match std::env::var("TASKS_CRASH").as_deref() {
        Ok("after-commit") => AfterCommit::Die,
        _ => AfterCommit::Answer,
    }
}

/// Prints a line for other programs to read, at once. The reader may be gone, as in `tasks send … | head`.
pub(crate) fn say(line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::because("nobody reads the output", &error))
}

async fn told_to_end() {
    // If signals cannot be listened to, they end the process without our help.
    if brighter::host::shutdown_signal().await.is_err() {
        std::future::pending::<()>().await;
    }
}
