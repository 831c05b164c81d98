//! Claims the messages to be sent next.

use std::time::Duration;

use super::SqlOutbox;
use super::operations::{ClaimMessages, InOrder};
use crate::database::backend::Backend;
use crate::database::value::Value;
use crate::store::row;
use brighter_core::outbox::{Claim, Claimed, OutboxError};

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn claim(&self, which: Claim<'_>, lease: Duration) -> Result<Vec<Claimed>, OutboxError> {
        let (lease, statements) = (row::millis(lease), &*self.statements);
        let (ids, of_topic, topics);
        let ([all, without_some], mut values, except) = match which {
            Claim::Ids { ids: [], .. }
            | Claim::Oldest { limit: 0, .. }
            | Claim::OfTopic { limit: 0, .. }
            | Claim::InOrder { limit: 0, .. } => return Ok(Vec::new()),
            Claim::Ids { ids: wanted, except } => {
                ids = row::list::<B::Db>(wanted)?;
                let claims = [&statements.claim_ids, &statements.claim_ids_except];
                (claims, vec![Value::Text(&ids), Value::Number(lease)], except)
            }
            Claim::Oldest {
                limit,
                min_age,
                except,
            } => {
                let values = [lease, row::millis(min_age), row::limit(limit)].map(Value::Number);
                let claims = [&statements.claim_oldest, &statements.claim_oldest_except];
                (claims, values.to_vec(), except)
            }
            Claim::OfTopic {
                topic,
                limit,
                min_age,
            } => {
                of_topic = row::stored::<B::Db>(topic.as_str());
                let mut values = [lease, row::millis(min_age), row::limit(limit)]
                    .map(Value::Number)
                    .to_vec();
                values.push(Value::Text(&of_topic));
                let claim = &statements.claim_of_topic;
                ([claim, claim], values, [].as_slice())
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
            _ => return Err(OutboxError::Unsupported("this kind of claim")),
        };
        let claim = if except.is_empty() {
            all
        } else {
            topics = row::topics::<B::Db>(except)?;
            values.push(Value::Text(&topics));
            without_some
        };
        self.backend
            .write(ClaimMessages {
                statements,
                claim,
                values: &values,
                lease,
            })
            .await
    }
}
