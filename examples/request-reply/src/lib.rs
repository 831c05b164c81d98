//! A shop asks a warehouse what is in stock, over a broker that is a file, so that the two may be two processes.

use std::collections::HashMap;
use std::path::Path;

use brighter::prelude::*;
use brighter::{Dispatcher, MessageId, SqliteBroker};

/// How many are there of this?
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Stock.Count", reply = Stock)]
pub struct CountStock {
    /// The identity of the question.
    pub id: MessageId,
    /// What is counted.
    pub item: String,
}

/// So many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// What was counted.
    pub item: String,
    /// How many there are.
    pub count: u32,
}

/// Counts what it has.
pub struct Warehouse(HashMap<String, u32>);

impl Default for Warehouse {
    fn default() -> Self {
        Self([("tea".to_owned(), 12), ("milk".to_owned(), 0)].into())
    }
}

#[handler]
impl Handler<CountStock> for Warehouse {
    async fn handle(&self, question: &CountStock) -> Result<Stock, BoxError> {
        let Some(count) = self.0.get(&question.item) else {
            // The shop is told why there is no reply.
            return Err(Reject::because(format!("nobody here sells {}", question.item)).into());
        };
        Ok(Stock {
            item: question.item.clone(),
            count: *count,
        })
    }
}

/// The process of the warehouse: it answers until it is ended.
///
/// # Errors
/// The file cannot be used.
pub async fn warehouse(broker: &Path) -> Result<Dispatcher, BoxError> {
    let processor = CommandProcessor::builder()
        .handler(Warehouse::default())
        .broker(SqliteBroker::open(broker).await?)
        .build()?;
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<CountStock>::new("warehouse"))
        .build()?;
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    Ok(dispatcher)
}

/// The process of the shop, which only asks.
///
/// # Errors
/// The file cannot be used.
pub async fn shop(broker: &Path) -> Result<CommandProcessor, BoxError> {
    let broker = SqliteBroker::open(broker).await?;
    Ok(CommandProcessor::builder().broker(broker).build()?)
}

/// A question about this.
#[must_use]
pub fn count(item: &str) -> CountStock {
    CountStock {
        id: MessageId::new(),
        item: item.to_owned(),
    }
}
