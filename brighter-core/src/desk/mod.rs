//! The port of the desk: a table in which dead letters and invalid messages are grouped, searched and kept, and the
//! operations on many of them.

mod bulk;
mod error;
mod filter;
mod group;
mod id;
mod line;
mod message;
mod store;

pub use bulk::{
    BulkClaim, BulkCounts, BulkEvent, BulkItem, BulkOperation, BulkState, BulkVerb, Canary, InvalidBulk,
    ItemResult, ItemState, NewBulk, Steering,
};
pub use error::DeskError;
pub use filter::{Comparison, DeskField, DeskFilter, DeskRowView, FilterCondition, FilterError};
pub use group::{DeadGroup, GroupKey, error_pattern};
pub use id::{DeskId, OperationId};
pub use message::{
    Death, DeskMessage, DeskRow, DeskState, NewDeskMessage, ORIGINAL_ID, RETRIED_BY, RetryMark, Taken,
};
pub use store::DeskStore;
