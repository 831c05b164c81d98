//! What waits in the outbox on its way to RabbitMQ.

use std::time::Duration;

use anyhow::{Result, ensure};
use brighter::CommandProcessor;
use brighter::outbox::{MessageState, Outbox};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};

use super::deposit::row;
use super::hand_written::{Header, Row, Table};
use super::stores::Store;
use crate::cells::publish::PERSISTENT;
use crate::cells::pump::runtime;
use crate::cells::rabbit::{self, Place};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 20_000;
/// How many are piled up in one transaction.
const AT_ONCE: usize = 1_000;
/// How often we look whether it is done.
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn ours<D: Store>() -> Result<Sample> {
    runtime()?.block_on(async {
        let (store, pool) = D::make().await?;
        let place = Place::make(0).await?;
        let outbox = D::outbox(&pool).await?;
        let messages: Vec<_> = (0..MESSAGES).map(rabbit::message).collect::<Result<_>>()?;
        for some in messages.chunks(AT_ONCE) {
            outbox.deposit(some, None).await?;
        }
        let broker = rabbit::broker(&place.exchange).await?;
        let last = messages.last().map(|message| message.header.id.clone());
        let watch = Stopwatch::start()?;
        let processor = CommandProcessor::builder()
            .broker(broker)
            .outbox(outbox.clone())
            .build()?;
        // The oldest goes first, so that the last says that all are marked.
        while let Some(last) = &last
            && processor.outbox().state(last).await? != Some(MessageState::Dispatched)
        {
            tokio::time::sleep(LOOK).await;
        }
        let sample = watch.per_second(MESSAGES.into());
        let status = processor.outbox().status().await?;
        ensure!(status.outstanding == 0 && status.dead == 0, "{status:?} is left");
        processor.close().await;
        place.remove(MESSAGES).await?;
        D::remove(store, pool).await?;
        sample
    })
}

pub(super) fn by_hand<D: Store + Table>() -> Result<Sample> {
    runtime()?.block_on(async {
        let (store, pool) = D::make().await?;
        let place = Place::make(0).await?;
        let mut connection = pool.acquire().await?;
        D::create(&mut *connection).await?;
        let numbers: Vec<_> = (0..MESSAGES).collect();
        for some in numbers.chunks(AT_ONCE) {
            let mut transaction = D::begin(&pool).await?;
            for number in some {
                D::insert(&mut transaction, &row(*number)?).await?;
            }
            transaction.commit().await?;
        }
        let broker = rabbit::raw().await?;
        let amqp = broker.create_channel().await?;
        amqp.confirm_select(ConfirmSelectOptions::default()).await?;
        let watch = Stopwatch::start()?;
        loop {
            let rows = D::unsent(&mut *connection).await?;
            if rows.is_empty() {
                break;
            }
            publish(&amqp, &place.exchange, &rows).await?;
            D::mark_sent(&mut *connection, &rows).await?;
        }
        let sample = watch.per_second(MESSAGES.into());
        let [sent, unsent] = D::count(&mut *connection).await?;
        ensure!([sent, unsent] == [MESSAGES, 0], "{sent} were sent, {unsent} not");
        broker.close(200, "done".into()).await?;
        drop(connection);
        place.remove(MESSAGES).await?;
        D::remove(store, pool).await?;
        sample
    })
}

/// All of them are under way before the first confirm is waited for.
async fn publish(amqp: &Channel, exchange: &str, rows: &[Row]) -> Result<()> {
    let mut confirms = Vec::with_capacity(rows.len());
    for row in rows {
        let header: Header = serde_json::from_str(&row.header)?;
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(row.message_id.as_str().into())
            .with_type(row.message_type.as_str().into())
            .with_content_type(header.content_type.as_str().into())
            .with_timestamp(header.timestamp);
        if let Some(id) = header.correlation_id {
            properties = properties.with_correlation_id(id.as_str().into());
        }
        let (exchange, topic) = (exchange.into(), row.topic.as_str().into());
        confirms.push(
            amqp.basic_publish(exchange, topic, options, &row.body, properties)
                .await?,
        );
    }
    for confirm in confirms {
        let confirmation = confirm.await?;
        ensure!(
            matches!(confirmation, Confirmation::Ack(None)),
            "not taken: {confirmation:?}"
        );
    }
    Ok(())
}
