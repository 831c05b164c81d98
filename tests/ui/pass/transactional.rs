//! Handlers with a transaction, in every form.

#[path = "../support/tx.rs"]
#[allow(dead_code)]
mod tx;

use brighter::policy::Retry;
use brighter::prelude::*;
use tx::{Tx, TxPool};

#[derive(Command)]
struct Greet {
    id: MessageId,
}

#[derive(Command)]
#[command(reply = u32)]
struct Count;

struct Plain;

#[handler]
impl Handler<Greet> for Plain {
    #[transactional(step = 1)]
    async fn handle(&self, greet: &Greet, tx: &mut Tx<'_>, cx: &Context) -> Result<(), BoxError> {
        inner(tx).await;
        inner(tx).await;
        assert_eq!(cx.get::<brighter::inbox::InboxKey>().map(|key| key.id.clone()), Some(greet.id.clone()));
        Ok(())
    }
}

async fn inner(_: &mut Tx<'_>) {}

type Everlasting = Tx<'static>;

struct Alias {
    pool: TxPool,
}

#[handler]
impl Handler<Greet> for Alias {
    #[use_policy(Retry::attempts(2), step = 1)]
    #[transactional(context = "alias", pool = pool, isolation = serializable, on_duplicate = reject, step = 2)]
    async fn handle(&self, _: &Greet, _: &mut Everlasting) -> Result<(), BoxError> {
        Ok(())
    }
}

struct Named;

#[handler]
impl Handler<Count> for Named {
    type Error = std::io::Error;

    #[transactional(read_only, step = 1)]
    #[fallback(nothing, step = 2)]
    async fn handle(&self, _: &Count, _: &mut tx::Tx<'static>) -> Result<u32, std::io::Error> {
        Ok(1)
    }
}

impl Named {
    async fn nothing(&self, _: &Count, _: &HandlerError) -> Result<u32, std::io::Error> {
        Ok(0)
    }
}

#[handler(Greet)]
#[transactional(step = 1)]
struct OnStruct;

#[handler(on_struct)]
impl Handler<Greet> for OnStruct {
    async fn handle(&self, _: &Greet, _: &mut Tx<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

struct Behind;

#[handler]
impl Handler<Greet> for Behind {
    #[cfg(not(debug_assertions))]
    #[transactional(step = 1)]
    async fn handle(&self, _: &Greet, _: &mut Tx<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    #[cfg(debug_assertions)]
    #[transactional(step = 2)]
    async fn handle(&self, _: &Greet, _: &mut Tx<'_>, _: &Context) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() {
    let builder = || {
        CommandProcessor::builder()
            .outbox(InMemoryOutbox::new())
            .inbox(InMemoryInbox::new())
    };
    let greet = || Greet { id: MessageId::new() };
    builder().handler(Plain).build().unwrap().send(greet()).await.unwrap();
    builder().handler(Alias { pool: TxPool }).build().unwrap().send(greet()).await.unwrap();
    builder().handler(OnStruct).build().unwrap().send(greet()).await.unwrap();
    builder().handler(std::sync::Arc::new(Behind)).build().unwrap().send(greet()).await.unwrap();
    assert_eq!(builder().handler(Named).build().unwrap().send(Count).await.unwrap(), 1);
}
