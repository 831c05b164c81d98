//! Who sends which messages next.

use std::time::Duration;

use super::SqlOutbox;
use super::work::{Claiming, InOrder};
use crate::database::backend::Backend;
use crate::database::value::Value;
use crate::outbox::{Claim, Claimed, OutboxError};
use crate::store::row;

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn claim(&self, which: Claim<'_>, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let (lease, statements) = (row::millis(lease), &*self.statements);
        let (ids, topics);
        let (claim, values) = match which {
            Claim::Ids { ids: [], .. }
            | Claim::Oldest { limit: 0, .. }
            | Claim::OfTopic { limit: 0, .. }
            | Claim::InOrder { limit: 0, .. } => return Ok(Vec::new()),
            Claim::Ids { ids: wanted, except } => {
                ids = row::list::<B::Db>(wanted)?;
                let values = vec![Value::Text(&ids), Value::Number(lease)];
                if except.is_empty() {
                    (&statements.claim_ids, values)
                } else {
                    topics = row::topics::<B::Db>(except)?;
                    (
                        &statements.claim_ids_except,
                        [values, vec![Value::Text(&topics)]].concat(),
                    )
                }
            }
            Claim::Oldest {
                limit,
                min_age,
                except,
            } => {
                let values = [lease, row::millis(min_age), row::limit(limit)]
                    .map(Value::Number)
                    .to_vec();
                if except.is_empty() {
                    (&statements.claim_oldest, values)
                } else {
                    topics = row::topics::<B::Db>(except)?;
                    (
                        &statements.claim_oldest_except,
                        [values, vec![Value::Text(&topics)]].concat(),
                    )
                }
            }
            Claim::OfTopic {
                topic,
                limit,
                min_age,
            } => {
                topics = row::stored::<B::Db>(topic.as_str()).into_owned();
                let values = [lease, row::millis(min_age), row::limit(limit)].map(Value::Number);
                (
                    &statements.claim_of_topic,
                    [&values[..], &[Value::Text(&topics)]].concat(),
                )
            }
            Claim::InOrder {
                topic,
                limit,
                min_age,
            } => {
                let topic = row::stored::<B::Db>(topic.as_str());
                let values = [
                    Value::Text(&topic),
                    Value::Number(row::millis(min_age)),
                    Value::Number(row::limit(limit)),
                ];
                return self
                    .backend
                    .write(InOrder {
                        statements,
                        values,
                        lease,
                    })
                    .await;
            }
        };
        self.backend
            .write(Claiming {
                statements,
                claim,
                values: &values,
                lease,
            })
            .await
    }
}
