//! One line at the root of the crate in place of `crate = …` in each macro.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

extern crate queue as brighter;

use brighter::prelude::*;

#[derive(Command)]
#[command(reply = u8)]
struct Ask;

struct Answers;

#[handler]
impl Handler<Ask> for Answers {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Ask) -> Result<u8, std::io::Error> {
        Ok(3)
    }
}

#[tokio::test]
async fn handler_runs_under_an_alias_of_a_renamed_dependency() {
    let processor = CommandProcessor::builder().handler(Answers).build().unwrap();
    assert_eq!(processor.send(Ask).await.unwrap(), 3);
}
