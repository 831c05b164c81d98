//! The outbox in each database: deposits in transactions of the application, and what waits there on its way to
//! RabbitMQ; against a table and a relay written by hand for nothing else.

mod deposit;
mod hand_written;
mod relay;
pub(super) mod stores;

use anyhow::Result;
use brighter::outbox::OutboxTransaction;
use sqlx::{MySql, Postgres, Sqlite, Transaction};

use self::hand_written::Table;
use self::stores::Store;
use super::{Better, Cell, Compared, Figure, Service, Twin};
use crate::measure::Sample;

/// What a store is called, and what it promises.
struct Kind {
    deposit: &'static str,
    relay: &'static str,
    summaries: [&'static str; 2],
    durability: [&'static str; 2],
    needs: [&'static [Service]; 2],
}

pub(super) const DEPOSIT_SQLITE: Cell = deposit::<Sqlite>(&SQLITE);
pub(super) const DEPOSIT_POSTGRES: Cell = deposit::<Postgres>(&POSTGRES);
pub(super) const DEPOSIT_MYSQL: Cell = deposit::<MySql>(&MYSQL);
pub(super) const RELAY_SQLITE: Cell = relay::<Sqlite>(&SQLITE);
pub(super) const RELAY_POSTGRES: Cell = relay::<Postgres>(&POSTGRES);
pub(super) const RELAY_MYSQL: Cell = relay::<MySql>(&MYSQL);

const SQLITE: Kind = Kind {
    deposit: "deposit-sqlite",
    relay: "relay-sqlite",
    summaries: [
        "SQLite: 50 times `deposit_post` in a transaction of the application, 1 KB of JSON; against an INSERT by hand, 50 in a transaction",
        "SQLite: a pile of messages → sweeper → RabbitMQ → marked as sent, 1 KB of JSON; against a loop by hand: SELECT 100, publish them with lapin all at once, UPDATE them in one statement",
    ],
    durability: [
        "on disk, write-ahead log, synchronous = FULL",
        "on disk, write-ahead log, synchronous = FULL; persistent, durable queue, confirmed, mandatory",
    ],
    needs: [&[], &[Service::RabbitMq]],
};

const POSTGRES: Kind = Kind {
    deposit: "deposit-postgres",
    relay: "relay-postgres",
    summaries: [
        "PostgreSQL: 50 times `deposit_post` in a transaction of the application, 1 KB of JSON; against an INSERT by hand, 50 in a transaction",
        "PostgreSQL: a pile of messages → sweeper → RabbitMQ → marked as sent, 1 KB of JSON; against a loop by hand as with SQLite",
    ],
    durability: [
        "as the server says: xtask's own has fsync = off",
        "as the server says: xtask's own has fsync = off; persistent, durable queue, confirmed, mandatory",
    ],
    needs: [&[Service::Postgres], &[Service::RabbitMq, Service::Postgres]],
};

const MYSQL: Kind = Kind {
    deposit: "deposit-mysql",
    relay: "relay-mysql",
    summaries: [
        "MySQL or MariaDB: 50 times `deposit_post` in a transaction of the application, 1 KB of JSON; against an INSERT by hand, 50 in a transaction",
        "MySQL or MariaDB: a pile of messages → sweeper → RabbitMQ → marked as sent, 1 KB of JSON; against a loop by hand as with SQLite",
    ],
    durability: [
        "as the server says: xtask's own has innodb_flush_log_at_trx_commit = 0",
        "as the server says: xtask's own has innodb_flush_log_at_trx_commit = 0; persistent, durable queue, confirmed, mandatory",
    ],
    needs: [&[Service::MySql], &[Service::RabbitMq, Service::MySql]],
};

const fn deposit<D: Store + Table>(kind: &Kind) -> Cell
where
    Transaction<'static, D>: OutboxTransaction<D::Outbox>,
{
    let twin = Twin {
        name: "an INSERT by hand",
        run: deposit::by_hand::<D>,
    };
    cell(kind.deposit, 0, kind, deposit::ours::<D>, twin)
}

const fn relay<D: Store + Table>(kind: &Kind) -> Cell {
    let twin = Twin {
        name: "a relay by hand",
        run: relay::by_hand::<D>,
    };
    cell(kind.relay, 1, kind, relay::ours::<D>, twin)
}

const fn cell(name: &'static str, at: usize, kind: &Kind, ours: fn() -> Result<Sample>, twin: Twin) -> Cell {
    Cell {
        name,
        summary: kind.summaries[at],
        unit: "messages/s",
        better: Better::Higher,
        figure: Figure::Value,
        also: &[],
        compared: Compared::Ratio,
        durability: kind.durability[at],
        must: 0.6,
        reach: 0.9,
        needs: kind.needs[at],
        ours,
        twin: Some(twin),
    }
}
