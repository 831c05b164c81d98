//! [`Bulk`]: an operation in memory.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tokio::time::Instant;

use brighter_core::desk::{BulkCounts, BulkEvent, BulkOperation, DeskId, ItemState};

/// An operation, its messages and its claim.
#[derive(Debug)]
pub(super) struct Bulk {
    pub(super) operation: BulkOperation,
    pub(super) items: BTreeMap<DeskId, KeptItem>,
    pub(super) audit: Vec<BulkEvent>,
    pub(super) claim: Option<(u64, Instant)>,
}

/// A message of an operation.
#[derive(Debug)]
pub(super) struct KeptItem {
    pub(super) state: ItemState,
    pub(super) since: Instant,
    pub(super) note: Option<String>,
}

impl Bulk {
    /// Changes the state of an item, if it is in one of these states.
    pub(super) fn set_item(
        &mut self,
        row: DeskId,
        from: &[ItemState],
        to: ItemState,
        note: Option<String>,
    ) -> bool {
        let item = self.items.get_mut(&row);
        let Some(item) = item.filter(|item| from.contains(&item.state)) else {
            return false;
        };
        item.state = to;
        item.since = Instant::now();
        item.note = note;
        true
    }

    pub(super) fn in_state(&self, state: ItemState, limit: usize) -> Vec<DeskId> {
        let items = self.items.iter().filter(|(_, item)| item.state == state);
        items.map(|(row, _)| *row).take(limit).collect()
    }

    pub(super) fn seen(&self) -> BulkOperation {
        let mut operation = self.operation.clone();
        operation.counts = BulkCounts::default();
        for item in self.items.values() {
            operation.counts.add(item.state, 1);
        }
        operation
    }

    pub(super) fn note(&mut self, who: &str, what: impl Into<String>) {
        self.audit.push(BulkEvent::new(SystemTime::now(), who, what));
    }
}
