//! Deposits in transactions of the application, one after the other on one connection.

use std::time::SystemTime;

use anyhow::{Result, ensure};
use brighter::outbox::OutboxTransaction;
use brighter::{CommandProcessor, MessageId};
use sqlx::Transaction;

use super::hand_written::{Header, Row, Table};
use super::stores::Store;
use crate::cells::pump::{Order, runtime};
use crate::cells::rabbit::TOPIC;
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 20_000;
const IN_A_TRANSACTION: usize = 50;

pub(super) fn ours<D: Store>() -> Result<Sample>
where
    Transaction<'static, D>: OutboxTransaction<D::Outbox>,
{
    runtime()?.block_on(async {
        let (place, pool) = D::make().await?;
        let processor = CommandProcessor::builder()
            .outbox(D::outbox(&pool).await?)
            .build()?;
        let numbers: Vec<_> = (0..MESSAGES).collect();
        let watch = Stopwatch::start()?;
        for some in numbers.chunks(IN_A_TRANSACTION) {
            let mut transaction = D::begin(&pool).await?;
            for number in some {
                processor
                    .deposit_post(&mut transaction, Order::new(*number))
                    .await?;
            }
            transaction.commit().await?;
        }
        let sample = watch.per_second(MESSAGES.into());
        let stored = processor.outbox().status().await?.outstanding;
        ensure!(stored == u64::from(MESSAGES), "{stored} were stored");
        processor.close().await;
        D::remove(place, pool).await?;
        sample
    })
}

pub(super) fn by_hand<D: Store + Table>() -> Result<Sample> {
    runtime()?.block_on(async {
        let (place, pool) = D::make().await?;
        D::create(&mut *pool.acquire().await?).await?;
        let numbers: Vec<_> = (0..MESSAGES).collect();
        let watch = Stopwatch::start()?;
        for some in numbers.chunks(IN_A_TRANSACTION) {
            let mut transaction = D::begin(&pool).await?;
            for number in some {
                D::insert(&mut transaction, &row(*number)?).await?;
            }
            transaction.commit().await?;
        }
        let sample = watch.per_second(MESSAGES.into());
        let [sent, unsent] = D::count(&mut *pool.acquire().await?).await?;
        ensure!([sent, unsent] == [0, MESSAGES], "{unsent} were stored");
        D::remove(place, pool).await?;
        sample
    })
}

/// An order as a row, with all that has to be found out and written first.
pub(super) fn row(number: u32) -> Result<Row> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let header = Header {
        content_type: "application/json; charset=utf-8".to_owned(),
        correlation_id: None,
        timestamp: now.as_secs(),
        handled_count: 0,
    };
    Ok(Row {
        seq: 0,
        message_id: MessageId::new().to_string(),
        topic: TOPIC.to_owned(),
        message_type: "MT_COMMAND".to_owned(),
        header: serde_json::to_string(&header)?,
        body: serde_json::to_vec(&Order::new(number))?,
    })
}
