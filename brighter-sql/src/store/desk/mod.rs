//! [`SqlDesk`]: the desk in any supported database.

mod filter;
mod groups;
mod items;
mod operating;
mod options;
mod reading;
mod rows;
mod statements;
mod taking;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use options::DeskOptions;

use crate::database::backend::{Backend, in_time};
use crate::database::dialect::Dialect;
use crate::database::schema::{Locate, Schema};
use crate::database::table_ref::TableRef;
use crate::database::value::Sql;
use brighter_core::desk::{BulkClaim, BulkOperation, DeskError, NewBulk, NewDeskMessage, OperationId, Taken};
pub(crate) use items::{ApplyItems, NextItems, RecordItems, SettleItems};
pub(crate) use operating::{
    BeginBulk, BulkChange, BulkWork, ClaimBulk, DeskWrite, FinishBulk, HeldBulk, PassCanary, ReleaseBulk,
    RenewBulk, SteerBulk,
};
pub(crate) use reading::{
    Audit, CountRows, DeskQuery, DeskRead, Groups, Items, OneMessage, OneOperation, Operations, Rows,
};
use statements::DeskStatements;
use taking::TakeMessages;

/// The desk in a database.
#[derive(Debug, Clone)]
pub(crate) struct SqlDesk<B> {
    backend: B,
    statements: Arc<DeskStatements>,
}

/// The columns that a desk has had since version 1.
const COLUMNS: &[&str] = &[
    "message_key",
    "message_id",
    "source",
    "channel",
    "group_key",
    "state",
];

/// Returns the tables of a desk as SQL.
pub(crate) fn ddl<D: Sql>(options: &DeskOptions) -> Result<String, DeskError> {
    let table = options.table_in_script(&D::DIALECT)?;
    Ok(schema(&D::DIALECT, options, table).ddl::<D>())
}

fn schema(dialect: &Dialect, options: &DeskOptions, table: TableRef) -> Schema {
    let names = [options::TABLE, &options.table];
    Schema::new("desk", names, table, COLUMNS, dialect.schema.desk)
}

impl<B: Backend> SqlDesk<B> {
    /// Creates or upgrades the tables.
    pub(crate) async fn open(backend: B, options: &DeskOptions) -> Result<Self, DeskError> {
        let dialect = backend.dialect();
        let locate = Locate {
            dialect,
            schema: options.schema.as_deref(),
            name: &options.table,
        };
        let table = backend.read(locate).await?;
        in_time(schema(&dialect, options, table.clone()).apply(&backend)).await?;
        Ok(Self {
            statements: Arc::new(DeskStatements::new(&dialect, &table)),
            backend,
        })
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) async fn take(&self, messages: &[NewDeskMessage]) -> Result<Vec<Taken>, DeskError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let statements = &*self.statements;
        self.backend.write(TakeMessages { statements, messages }).await
    }

    pub(crate) async fn read<Q: DeskQuery<B::Db>>(&self, query: Q) -> Result<Q::Answer, DeskError> {
        let statements = &*self.statements;
        self.backend.read(DeskRead { statements, query }).await
    }

    pub(crate) async fn write<C: BulkChange<B::Db>>(&self, change: C) -> Result<C::Answer, DeskError> {
        let statements = &*self.statements;
        self.backend.write(DeskWrite { statements, change }).await
    }

    pub(crate) async fn begin(&self, plan: &NewBulk) -> Result<BulkOperation, DeskError> {
        let id = OperationId::new();
        self.write(BeginBulk { plan, id }).await
    }

    pub(crate) async fn claim(
        &self,
        id: Option<OperationId>,
        lease: Duration,
    ) -> Result<Option<BulkClaim>, DeskError> {
        // The lower half of such a UUID is random.
        let token = (Uuid::now_v7().as_u128() as u64) >> 1;
        self.write(ClaimBulk { id, token, lease }).await
    }

    pub(crate) async fn held<W: BulkWork<B::Db>>(
        &self,
        claim: BulkClaim,
        lease: Duration,
        work: W,
    ) -> Result<W::Answer, DeskError> {
        self.write(HeldBulk { claim, lease, work }).await
    }
}

/// Implements [`DeskStore`](brighter_core::desk::DeskStore) for a type around a [`SqlDesk`].
macro_rules! implement_desk {
    ($desk:ident) => {
        const _: () = {
            use std::time::Duration;

            use futures_util::future::BoxFuture;

            use brighter_core::desk::{
                BulkClaim, BulkEvent, BulkItem, BulkOperation, BulkState, DeadGroup, DeskError, DeskFilter,
                DeskId, DeskMessage, DeskRow, DeskStore, ItemResult, NewBulk, NewDeskMessage, OperationId,
                Steering, Taken,
            };
            use $crate::store::desk;

            type DeskResult<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

            impl DeskStore for $desk {
                fn take<'a>(&'a self, messages: &'a [NewDeskMessage]) -> DeskResult<'a, Vec<Taken>> {
                    Box::pin(self.0.take(messages))
                }

                fn groups(&self, limit: usize) -> DeskResult<'_, Vec<DeadGroup>> {
                    Box::pin(self.0.read(desk::Groups(limit)))
                }

                fn list<'a>(
                    &'a self,
                    filter: &'a DeskFilter,
                    before: Option<DeskId>,
                    limit: usize,
                ) -> DeskResult<'a, Vec<DeskRow>> {
                    Box::pin(self.0.read(desk::Rows {
                        filter,
                        before,
                        limit,
                    }))
                }

                fn count<'a>(&'a self, filter: &'a DeskFilter, at_most: u64) -> DeskResult<'a, u64> {
                    Box::pin(self.0.read(desk::CountRows { filter, at_most }))
                }

                fn read(&self, id: DeskId) -> DeskResult<'_, Option<DeskMessage>> {
                    Box::pin(self.0.read(desk::OneMessage(id)))
                }

                fn begin<'a>(&'a self, plan: &'a NewBulk) -> DeskResult<'a, BulkOperation> {
                    Box::pin(self.0.begin(plan))
                }

                fn operations(&self, limit: usize) -> DeskResult<'_, Vec<BulkOperation>> {
                    Box::pin(self.0.read(desk::Operations(limit)))
                }

                fn operation(&self, id: OperationId) -> DeskResult<'_, Option<BulkOperation>> {
                    Box::pin(self.0.read(desk::OneOperation(id)))
                }

                fn items(
                    &self,
                    operation: OperationId,
                    after: Option<DeskId>,
                    limit: usize,
                ) -> DeskResult<'_, Vec<BulkItem>> {
                    Box::pin(self.0.read(desk::Items {
                        operation,
                        after,
                        limit,
                    }))
                }

                fn audit(&self, id: OperationId) -> DeskResult<'_, Vec<BulkEvent>> {
                    Box::pin(self.0.read(desk::Audit(id)))
                }

                fn steer<'a>(
                    &'a self,
                    id: OperationId,
                    steering: Steering,
                    who: &'a str,
                ) -> DeskResult<'a, bool> {
                    Box::pin(self.0.write(desk::SteerBulk { id, steering, who }))
                }

                fn claim(
                    &self,
                    id: Option<OperationId>,
                    lease: Duration,
                ) -> DeskResult<'_, Option<BulkClaim>> {
                    Box::pin(self.0.claim(id, lease))
                }

                fn renew(&self, claim: BulkClaim, lease: Duration) -> DeskResult<'_, BulkOperation> {
                    Box::pin(self.0.held(claim, lease, desk::RenewBulk))
                }

                fn release(&self, claim: BulkClaim) -> DeskResult<'_, ()> {
                    Box::pin(self.0.write(desk::ReleaseBulk(claim)))
                }

                fn next(
                    &self,
                    claim: BulkClaim,
                    limit: usize,
                    lease: Duration,
                ) -> DeskResult<'_, Vec<DeskMessage>> {
                    Box::pin(self.0.held(claim, lease, desk::NextItems(limit)))
                }

                fn record<'a>(
                    &'a self,
                    claim: BulkClaim,
                    results: &'a [ItemResult],
                    lease: Duration,
                ) -> DeskResult<'a, ()> {
                    Box::pin(self.0.held(claim, lease, desk::RecordItems(results)))
                }

                fn apply(&self, claim: BulkClaim, limit: usize, lease: Duration) -> DeskResult<'_, u64> {
                    Box::pin(self.0.held(claim, lease, desk::ApplyItems(limit)))
                }

                fn settle(
                    &self,
                    claim: BulkClaim,
                    age: Duration,
                    limit: usize,
                    lease: Duration,
                ) -> DeskResult<'_, u64> {
                    Box::pin(self.0.held(claim, lease, desk::SettleItems { age, limit }))
                }

                fn pass_canary(&self, claim: BulkClaim, lease: Duration) -> DeskResult<'_, ()> {
                    Box::pin(self.0.held(claim, lease, desk::PassCanary))
                }

                fn finish<'a>(
                    &'a self,
                    claim: BulkClaim,
                    state: BulkState,
                    outcome: &'a str,
                ) -> DeskResult<'a, ()> {
                    let lease = Duration::from_secs(1);
                    Box::pin(
                        self.0
                            .held(claim, lease, desk::FinishBulk { state, outcome }),
                    )
                }
            }
        };
    };
}

pub(crate) use implement_desk;
