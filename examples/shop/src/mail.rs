//! The service `mail`: writes to customers, no faster than the mail server allows.

use std::io::{self, Write};

use brighter::prelude::*;
use sqlx::PgPool;

use crate::messages::SendMail;

pub(crate) async fn run(broker: RabbitMq, db: PgPool) -> Result<host::Exit, BoxError> {
    let processor = CommandProcessor::builder()
        .handler(Mailer)
        .broker(broker)
        .inbox(PostgresInbox::from_pool(db).await?)
        .build()?;
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<SendMail>::new("mail").rate(Rate::per_second(20)))
        .build()?;
    Ok(host::run(dispatcher).await.into())
}

/// Prints mails. Put your mail server here.
struct Mailer;

/// The inbox drops a message that is delivered again. But a mail server takes part in no transaction: when this process
/// is killed after it has sent a mail and before the inbox knows, the mail is sent again.
#[handler]
impl Handler<SendMail> for Mailer {
    #[use_inbox(lease = "30s", step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, mail: &SendMail) -> Result<(), io::Error> {
        writeln!(io::stdout(), "mail to {}: {}", mail.customer, mail.text)
    }
}
