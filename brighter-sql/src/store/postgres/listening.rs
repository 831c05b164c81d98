//! Learns of commits in all processes by `LISTEN`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgPool, Postgres};

use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::store::outbox::SqlOutbox;
use brighter_core::outbox::{Arrival, Arrivals};

/// The pause before connecting again: doubled each time, between these two.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Returns the deposits of this process and, while it can listen to the database, the commits of all processes.
pub(super) fn arrivals(outbox: &SqlOutbox<Server<Postgres>>) -> Arrivals {
    if !outbox.backend().has_session() {
        // The connection would stop listening at the end of the transaction.
        return outbox.arrivals();
    }
    let is_listening = Arc::new(AtomicBool::new(false));
    let listening = Listening {
        server: outbox.backend().clone(),
        // A separate connection, so that none of the application's is occupied permanently.
        pool: PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(outbox.backend().pool().connect_options().as_ref().clone()),
        table: outbox.table().quoted(),
        listener: None,
        is_listening: Arc::clone(&is_listening),
        pause: FIRST_PAUSE,
    };
    let committed = stream::unfold(listening, async |mut listening| {
        listening.next().await;
        Some((Arrival::Here, listening))
    });
    // An open transaction needs no poll: its commit will be notified.
    let here = stream::unfold(
        (outbox.arrivals(), is_listening),
        async |(mut arrivals, is_listening)| {
            loop {
                let arrival = arrivals.next().await;
                if arrival == Arrival::Here || !is_listening.load(Ordering::Relaxed) {
                    return Some((arrival, (arrivals, is_listening)));
                }
            }
        },
    );
    Arrivals::new(stream::select(committed.boxed(), here.boxed()))
}

struct Listening {
    server: Server<Postgres>,
    pool: PgPool,
    table: String,
    listener: Option<PgListener>,
    is_listening: Arc<AtomicBool>,
    pause: Duration,
}

impl Listening {
    /// Waits until something may have been committed: after a notification, or after a time without a listener.
    async fn next(&mut self) {
        loop {
            let Some(listener) = &mut self.listener else {
                match self.listen().await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        self.is_listening.store(true, Ordering::Relaxed);
                        self.pause = FIRST_PAUSE;
                        return;
                    }
                    Err(error) => {
                        let error = brighter_core::__private::report(&error);
                        tracing::debug!(
                            error,
                            "cannot listen to the database; the outbox is polled at intervals"
                        );
                        tokio::time::sleep(self.pause).await;
                        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
                        continue;
                    }
                }
            };
            let told = tokio::select! {
                told = listener.try_recv() => told.ok().flatten(),
                // The connection leads to a server that is no longer written.
                () = self.server.retired() => None,
            };
            if told.is_some() {
                return;
            }
            // The connection was lost: connect again, and look for what was missed.
            self.listener = None;
            self.is_listening.store(false, Ordering::Relaxed);
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        // The channel is named after the table, in any schema.
        let channel: String =
            sqlx::query_scalar("SELECT format('brighter_%s', CAST(to_regclass($1) AS oid))")
                .bind(&self.table)
                .fetch_one(&self.pool)
                .await?;
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(&channel).await?;
        Ok(listener)
    }
}
