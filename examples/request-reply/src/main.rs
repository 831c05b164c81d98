//! `cargo run -p request-reply`, or in two terminals with a file of your choice: `… warehouse stock.db` and
//! `… shop stock.db tea`.

use std::path::PathBuf;
use std::time::Duration;

use brighter::prelude::*;
use brighter::processor::CallError;
use request_reply::{count, shop, warehouse};

#[tokio::main]
async fn main() -> Result<host::Exit, BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["warehouse", path] => {
            let dispatcher = warehouse(path.as_ref()).await?;
            println!("answering; ctrl-c ends it");
            return Ok(host::run(dispatcher).await.into());
        }
        ["shop", path, item] => ask(&shop(path.as_ref()).await?, item).await,
        _ => both().await?,
    }
    Ok(host::Exit::SUCCESS)
}

/// Both of them, in one process.
async fn both() -> Result<(), BoxError> {
    let folder: PathBuf = std::env::temp_dir().join(format!("request-reply-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("stock.db");
    let dispatcher = warehouse(&path).await?;
    let processor = shop(&path).await?;
    for item in ["tea", "milk", "gold"] {
        ask(&processor, item).await;
    }
    dispatcher.end().await;
    processor.close().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

async fn ask(processor: &CommandProcessor, item: &str) {
    match processor.call(count(item), Duration::from_secs(5)).await {
        Ok(stock) => println!("{} of {}", stock.count, stock.item),
        Err(CallError::Failed { reason }) => println!("no answer about {item}: {reason}"),
        Err(error) => println!("no answer about {item}: {error}"),
    }
}
