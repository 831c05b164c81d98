//! The operations of a desk in memory.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::Uuid;

use super::bulk::{Bulk, KeptItem};
use super::state::{State, is_chosen};
use brighter_core::desk::{
    BulkClaim, BulkCounts, BulkEvent, BulkItem, BulkOperation, BulkState, BulkVerb, DeskError, DeskId,
    DeskMessage, DeskState, ItemResult, ItemState, NewBulk, OperationId, Steering,
};

impl State {
    pub(super) fn begin(&mut self, plan: &NewBulk) -> BulkOperation {
        let filter = plan.filter.for_operation();
        let most = plan
            .limit
            .map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let rows = self.messages.values().map(|kept| &kept.message.row);
        let chosen = rows.filter(|row| is_chosen(&filter, row)).take(most);
        let items: BTreeMap<_, _> = chosen
            .map(|row| {
                let item = KeptItem {
                    state: ItemState::Pending,
                    since: Instant::now(),
                    note: None,
                };
                (row.id, item)
            })
            .collect();
        let id = OperationId::new();
        let mut bulk = Bulk {
            operation: BulkOperation::new(id, plan.clone(), BulkCounts::default(), SystemTime::now()),
            audit: Vec::new(),
            claim: None,
            items,
        };
        let what = format!("{} of {} messages begun", plan.verb.as_str(), bulk.items.len());
        bulk.note(&plan.who, what);
        let operation = bulk.seen();
        self.bulks.insert(id, bulk);
        operation
    }

    pub(super) fn operations(&self, limit: usize) -> Vec<BulkOperation> {
        self.bulks.values().rev().take(limit).map(Bulk::seen).collect()
    }

    pub(super) fn operation(&self, id: OperationId) -> Option<BulkOperation> {
        self.bulks.get(&id).map(Bulk::seen)
    }

    pub(super) fn items(&self, id: OperationId, after: Option<DeskId>, limit: usize) -> Vec<BulkItem> {
        let items = self.bulks.get(&id).into_iter().flat_map(|bulk| &bulk.items);
        items
            .filter(|(row, _)| after.is_none_or(|after| **row > after))
            .take(limit)
            .map(|(row, item)| BulkItem::new(*row, item.state, item.note.clone()))
            .collect()
    }

    pub(super) fn audit(&self, id: OperationId) -> Vec<BulkEvent> {
        self.bulks
            .get(&id)
            .map(|bulk| bulk.audit.clone())
            .unwrap_or_default()
    }

    pub(super) fn steer(&mut self, id: OperationId, steering: Steering, who: &str) -> bool {
        let Some(bulk) = self.bulks.get_mut(&id) else {
            return false;
        };
        let operation = &mut bulk.operation;
        match (steering, operation.state) {
            (Steering::GoOn, BulkState::Stopped) => {
                operation.state = BulkState::Running;
                operation.canary_passed = true;
                operation.outcome = None;
                operation.ended_at = None;
            }
            (Steering::Stop, BulkState::Running) => {
                operation.state = BulkState::Stopped;
                operation.outcome = Some(format!("stopped by {who}"));
                operation.ended_at = Some(SystemTime::now());
            }
            _ => return false,
        }
        bulk.note(who, steering.as_str());
        true
    }

    pub(super) fn claim(&mut self, id: Option<OperationId>, lease: Duration) -> Option<BulkClaim> {
        let now = Instant::now();
        let bulk = self.bulks.values_mut().find(|bulk| {
            id.is_none_or(|id| bulk.operation.id == id)
                && bulk.operation.state == BulkState::Running
                && bulk.claim.is_none_or(|(_, until)| until <= now)
        })?;
        let token = (Uuid::now_v7().as_u128() as u64) >> 1;
        bulk.claim = Some((token, now + lease));
        Some(BulkClaim {
            operation: bulk.operation.id,
            token,
        })
    }

    /// Renews the lease, and returns the operation. Fails if another process has it.
    pub(super) fn hold(&mut self, claim: BulkClaim, lease: Duration) -> Result<BulkOperation, DeskError> {
        let operation = claim.operation;
        let bulk = self.bulks.get_mut(&operation);
        let bulk = bulk.filter(|bulk| bulk.claim.is_some_and(|(token, _)| token == claim.token));
        let bulk = bulk.ok_or(DeskError::LeaseLost { operation })?;
        bulk.claim = Some((claim.token, Instant::now() + lease));
        Ok(bulk.seen())
    }

    pub(super) fn release(&mut self, claim: BulkClaim) {
        if let Some(bulk) = self.bulks.get_mut(&claim.operation)
            && bulk.claim.is_some_and(|(token, _)| token == claim.token)
        {
            bulk.claim = None;
        }
    }

    pub(super) fn next(&mut self, id: OperationId, limit: usize) -> Vec<DeskMessage> {
        let Some(bulk) = self.bulks.get_mut(&id) else {
            return Vec::new();
        };
        let mut rows = bulk.in_state(ItemState::Sending, limit);
        let left = match bulk.operation.state {
            BulkState::Running => limit.saturating_sub(rows.len()),
            _ => 0,
        };
        for row in bulk.in_state(ItemState::Pending, left) {
            let kept = self.messages.get_mut(&row);
            let state = kept.as_ref().map(|kept| kept.message.row.state);
            match (kept, state) {
                (Some(kept), Some(DeskState::Waiting | DeskState::Archived)) => {
                    kept.message.row.state = DeskState::Sending;
                    kept.message.row.operation = Some(id);
                    bulk.set_item(row, &[ItemState::Pending], ItemState::Sending, None);
                    rows.push(row);
                }
                _ => skip(bulk, row, state),
            }
        }
        let messages = &self.messages;
        rows.iter()
            .filter_map(|row| messages.get(row).map(|kept| kept.message.clone()))
            .collect()
    }

    pub(super) fn record(&mut self, id: OperationId, results: &[ItemResult]) {
        let Some(bulk) = self.bulks.get_mut(&id) else {
            return;
        };
        let verb = bulk.operation.plan.verb.clone();
        for result in results {
            let (item, new) = match &result.failure {
                Some(_) => (ItemState::Failed, DeskState::Waiting),
                None if verb.is_watched() => (ItemState::Sent, DeskState::Sent),
                None => (ItemState::Done, DeskState::Archived),
            };
            if !bulk.set_item(result.row, &[ItemState::Sending], item, result.failure.clone()) {
                continue;
            }
            let kept = self.messages.get_mut(&result.row);
            let kept = kept.filter(|kept| kept.message.row.state == DeskState::Sending);
            let Some(kept) = kept else { continue };
            kept.message.row.state = new;
            if let (None, BulkVerb::Redirect { to }) = (&result.failure, &verb) {
                kept.message.row.comment = Some(format!("redirected to {to}"));
            }
        }
    }

    pub(super) fn apply(&mut self, id: OperationId, limit: usize) -> u64 {
        let Some(bulk) = self.bulks.get_mut(&id) else {
            return 0;
        };
        if bulk.operation.state != BulkState::Running {
            return 0;
        }
        let rows = bulk.in_state(ItemState::Pending, limit);
        let plan = bulk.operation.plan.clone();
        let mut deleted = Vec::new();
        for row in &rows {
            let kept = self.messages.get_mut(row);
            let state = kept.as_ref().map(|kept| kept.message.row.state);
            match (kept, state) {
                (Some(kept), Some(DeskState::Waiting | DeskState::Archived | DeskState::Handled)) => {
                    if plan.verb == BulkVerb::Delete {
                        deleted.push(*row);
                    } else {
                        kept.message.row.state = DeskState::Archived;
                        kept.message.row.operation = Some(id);
                        if plan.comment.is_some() {
                            kept.message.row.comment.clone_from(&plan.comment);
                        }
                    }
                    bulk.set_item(*row, &[ItemState::Pending], ItemState::Done, None);
                }
                _ => skip(bulk, *row, state),
            }
        }
        for row in deleted {
            self.delete(row);
        }
        rows.len() as u64
    }

    pub(super) fn settle(&mut self, id: OperationId, age: Duration, limit: usize) -> u64 {
        let Some(bulk) = self.bulks.get_mut(&id) else {
            return 0;
        };
        let sent = bulk
            .items
            .iter()
            .filter(|(_, item)| item.state == ItemState::Sent);
        let old = sent.filter(|(_, item)| item.since.elapsed() >= age);
        let rows: Vec<_> = old.map(|(row, _)| *row).take(limit).collect();
        for row in &rows {
            bulk.set_item(*row, &[ItemState::Sent], ItemState::Done, None);
            if let Some(kept) = self.messages.get_mut(row)
                && kept.message.row.state == DeskState::Sent
            {
                kept.message.row.state = DeskState::Handled;
            }
        }
        rows.len() as u64
    }

    pub(super) fn pass_canary(&mut self, id: OperationId) {
        if let Some(bulk) = self.bulks.get_mut(&id) {
            bulk.operation.canary_passed = true;
            bulk.note("", "canary passed");
        }
    }

    pub(super) fn finish(&mut self, id: OperationId, state: BulkState, outcome: &str) {
        if let Some(bulk) = self.bulks.get_mut(&id) {
            bulk.operation.state = state;
            bulk.operation.outcome = Some(outcome.to_owned());
            bulk.operation.ended_at = Some(SystemTime::now());
            bulk.claim = None;
            bulk.note("", format!("{}: {outcome}", state.as_str()));
        }
    }
}

fn skip(bulk: &mut Bulk, row: DeskId, state: Option<DeskState>) {
    let why = match state {
        None => "the message was deleted".to_owned(),
        Some(state) => format!("the message was {} when its turn came", state.as_str()),
    };
    bulk.set_item(row, &[ItemState::Pending], ItemState::Skipped, Some(why));
}
