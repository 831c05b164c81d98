//! [`DepositStatement`]: a deposit for database clients that brighter does not know.

/// The statement and the values that deposit one message, for a caller with a transaction that is not one of sqlx.
/// Execute [`sql`](Self::sql) in it with the seven values in the order of the fields here. The message is sent if that
/// transaction commits.
///
/// If the outbox already has the id of the message, its row is left unchanged and the row count is 0. In MySQL this is
/// an error of the unique index.
///
/// How to do so with tokio-postgres, Diesel and SeaORM is in
/// [other database libraries](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/how-to/other-database-libraries.md).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DepositStatement {
    /// The statement, with the placeholders of the database: `?1`, `$1` or `?`.
    pub sql: String,
    /// The id of the message: a text.
    pub message_id: String,
    /// The topic: a text.
    pub topic: String,
    /// The kind of the message: a text.
    pub message_type: String,
    /// The header: a text.
    pub header: String,
    /// The body: bytes.
    pub body: Vec<u8>,
    /// The lease of the deposit in milliseconds: a number of 64 bits. It is 0, so that the sweeper may claim the
    /// message at once.
    pub lease: i64,
    /// The id of the causing message: a text or null.
    pub causation_id: Option<String>,
}
