//! The tables as SQL, as `brighter ddl` prints them, in snapshots: a step that was released is never changed.
//!
//! `UPDATE=1 cargo xtask test -- -p brighter-tests --test integration outbox::ddl` writes them anew.

use std::fs;
use std::path::Path;

use brighter::{MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox};

fn is_as_in_its_snapshot(database: &str, outbox: &str, inbox: &str) {
    let found = format!("{outbox}\n{inbox}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("integration/outbox/ddl/{database}.sql"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "the tables in {database} are not as in their snapshot; they are now\n\n{found}"
    );
}

#[test]
fn sqlite() {
    is_as_in_its_snapshot("sqlite", &SqliteOutbox::ddl(), &SqliteInbox::ddl());
}

#[test]
fn postgres() {
    is_as_in_its_snapshot("postgres", &PostgresOutbox::ddl(), &PostgresInbox::ddl());
}

#[test]
fn mysql() {
    is_as_in_its_snapshot("mysql", &MySqlOutbox::ddl(), &MySqlInbox::ddl());
}
