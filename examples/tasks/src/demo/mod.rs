//! The demo: API, outbox, broker and worker in one process, and a story that meets every trouble once.

mod client;
mod events;
mod gateway;
mod narrator;
mod outcome;
mod stage;
mod story;

use crate::failure::Failure;

/// Tells the story, and checks that it came out as it should.
pub(crate) async fn run() -> Result<(), Failure> {
    let narrator = narrator::Narrator::new();
    events::listen(&narrator);
    let mut stage = stage::Stage::set_up(narrator.clone()).await?;
    let told = story::tell(&mut stage).await;
    let aside = outcome::Aside::of(&stage).await;
    stage.end().await;
    // The table is worth most when something went wrong.
    let verdict = outcome::show(&stage, &aside);
    told.and(verdict)
}
