//! The [`DepositStatement`]: a deposit for clients that brighter does not know.

/// What deposits one message, for whoever has a transaction that is not one of sqlx: execute
/// [`sql`](Self::sql) in it with the seven values in the order of the fields here. The message is sent if that transaction
/// commits.
///
/// A message whose id the outbox holds already is left as it is, and no row is counted; in MySQL it is an error of the
/// unique index.
///
/// How to do so with tokio-postgres, Diesel and SeaORM is in
/// [other database libraries](https://github.com/brighter-rs/brighter/blob/main/docs/other-database-libraries.md).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DepositStatement {
    /// The statement, with placeholders as the database has them: `?1`, `$1` or `?`.
    pub sql: String,
    /// A text.
    pub message_id: String,
    /// A text.
    pub topic: String,
    /// A text.
    pub message_type: String,
    /// A text.
    pub header: String,
    /// Bytes.
    pub body: Vec<u8>,
    /// A number of 64 bits: for how long nobody else sends it, in milliseconds. 0, so that the sweeper may at once.
    pub lease: i64,
    /// A text, or nothing.
    pub causation_id: Option<String>,
}
