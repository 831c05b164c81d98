//! An application that posts while the server of its outbox changes: D08 and D09.

use std::collections::HashSet;

use brighter::Sweeper;
use brighter::channel::{Broker, Channel};
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter_faults::desk::CHANNEL;
use brighter_faults::wait::until_answer;
use sqlx::{Database, Pool};

/// Who posts: a processor, and transactions of an application whose outbox has no other calls.
pub(crate) struct PostingApp<D: Database, O> {
    pub(crate) processor: CommandProcessor,
    pub(crate) depositing: CommandProcessor,
    pub(crate) pool: Pool<D>,
    pub(crate) outbox: O,
    broker: InMemoryBroker,
}

impl<D: Database, O: Outbox + Clone> PostingApp<D, O> {
    /// Starts to send what is posted. The pool is that of the transactions, and `depositing` an outbox on it.
    pub(crate) async fn start(outbox: O, pool: Pool<D>, depositing: O) -> Self {
        let broker = InMemoryBroker::new();
        let channel = Channel::new(CHANNEL, "Desk.Pay");
        broker.declare(&channel).await.unwrap();
        let processor = CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(outbox.clone())
            .sweeper(Sweeper::default())
            .build()
            .unwrap();
        let depositing = CommandProcessor::builder().outbox(depositing).without_sweeper();
        Self {
            processor,
            depositing: depositing.build().unwrap(),
            pool,
            outbox,
            broker,
        }
    }

    /// Waits until so many messages were sent. Some may have been sent twice: a mark that a server refused is lost.
    pub(crate) async fn until_sent(&self, count: usize) {
        until_answer("what was posted to be sent", count, async || {
            let messages = self.broker.messages(CHANNEL);
            let ids: HashSet<_> = messages.iter().map(|message| &message.header.id).collect();
            ids.len()
        })
        .await;
    }

    /// Waits until all that its server has is marked as sent, which follows the sending.
    pub(crate) async fn until_marked(&self) {
        until_answer("all to be marked", (0, 0), async || {
            let status = self.outbox.status().await.unwrap();
            (status.outstanding, status.dead)
        })
        .await;
    }
}
