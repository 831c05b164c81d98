//! Hears of commits by `LISTEN`, whichever process made them.

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

/// How long to wait before connecting again: doubled each time, between these two.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is stored in this process and, while the database can be listened to, what is committed by anybody.
pub(super) fn arrivals(outbox: &SqlOutbox<Server<Postgres>>) -> Arrivals {
    if !outbox.backend().has_session() {
        // What a connection listens to it would forget with the transaction.
        return outbox.arrivals();
    }
    let is_listening = Arc::new(AtomicBool::new(false));
    let listening = Listening {
        server: outbox.backend().clone(),
        // A connection of its own, so that none of the application's is held for ever.
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
    // Of a transaction that is open there is nothing to guess at, for its commit will be told.
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
    /// Waits until something may have been committed: it was told, or nobody listened for a while.
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
                            "the database cannot be listened to; the outbox is swept at intervals"
                        );
                        tokio::time::sleep(self.pause).await;
                        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
                        continue;
                    }
                }
            };
            let told = tokio::select! {
                told = listener.try_recv() => told.ok().flatten(),
                // It leads to a server that nobody writes to any more.
                () = self.server.retired() => None,
            };
            if told.is_some() {
                return;
            }
            // The connection was lost: another one, with a look for what was missed.
            self.listener = None;
            self.is_listening.store(false, Ordering::Relaxed);
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        // By the table, wherever in the database it is.
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
