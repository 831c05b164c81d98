//! A consumer that hears nothing asks whether it should.
//!
//! A node that is cut off from the leader of a queue, or leads it without a majority, keeps the connection up, answers
//! heartbeats, and delivers nothing. So a consumer that waits, has nothing in hand and got nothing for a moment asks the
//! broker, in two ways:
//!
//! - It asks for its queue: the queue may know of no consumer, or have messages that do not come. A node that is cut off
//!   answers this from what it knew last.
//! - It fetches a message from a quorum queue that should be empty. The members of the queue have to agree on that, so a
//!   node that is cut off has no answer. If there is a message after all, it is delivered like any other.
//!
//! While an answer is due for long the process is not ready. If there is none, or each time a doubtful one, the consumer
//! ends and is consumed again, by another node if there is one. The process is not ready then until the consumer that
//! began again got a message or an answer: a queue without a majority accepts consumers, and gives them nothing. That consumer
//! waits for longer before it ends in turn: a message for which the broker needs seconds comes to none otherwise.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::consumer_channel::ConsumerChannel;
use super::open_questions::OpenQuestion;
use super::question::{Answer, question};
use super::silence::{Silence, SilenceVerdict};
use crate::backoff::random;

/// A consumer asks when nothing came for one to two of these, with a random quarter added.
const LOOK: Duration = Duration::from_millis(1200);
/// How long it rests after an answer that is well, with a random half added, for as long as nothing comes.
const SILENT: Duration = Duration::from_secs(15);
/// How soon it asks again if the answer gives cause to.
const AGAIN: Duration = Duration::from_millis(750);
/// The broker may take this long to answer: a quorum queue that has lost its leader has another by then.
const ANSWER: Duration = Duration::from_secs(7);
/// So many doubtful answers in a row end the consumer: a message may be on its way just then.
const ENOUGH: u32 = 3;
/// Each consumer that ends makes the next wait twice as long, up to so many times.
const MOST_PATIENCE: u32 = 8;
/// While nothing comes it fetches a message with one question of so many: each fetch is an entry in the log of the queue.
const FETCHES: u32 = 4;

/// Asks whenever this consumer has heard nothing for a while, until it is over. `doubted` is the question that the consumer
/// before it left open, if it did.
pub(super) async fn watch(
    silence: Arc<Silence>,
    consumer: Weak<ConsumerChannel>,
    mut doubted: Option<OpenQuestion>,
) {
    let Some((confirms, questions, name)) = consumer.upgrade().map(|consumer| {
        let questions = Arc::clone(&consumer.connections.questions);
        (consumer.confirms(), questions, consumer.channel.name.clone())
    }) else {
        return;
    };
    let mut in_a_row = questions.ended_in_a_row(&name);
    let (mut doubt, mut answers) = (0, 0);
    loop {
        let is_rest = doubt == 0 && answers > 0;
        let pause = match (doubt, answers) {
            (0, 0) if doubted.is_none() => LOOK + LOOK.mul_f64(random() / 4.0),
            (0, 1..) => SILENT + SILENT.mul_f64(random() / 2.0),
            _ => AGAIN,
        };
        // What comes then is news.
        let is_waited_for = is_rest || doubted.is_some();
        silence.rest(is_waited_for);
        if is_waited_for && silence.has_heard() {
            answers = 0;
            if doubted.take().is_some() {
                in_a_row = 0;
                questions.is_well(&name);
            }
            continue;
        }
        let is_stall = tokio::select! {
            () = silence.until_over() => return,
            // The flag says so as well, and is looked at above.
            () = silence.until_heard(), if is_waited_for => continue,
            // Others of this process get no answer.
            () = confirms.stalled() => true,
            () = sleep(pause) => false,
        };
        let Some(consumer) = consumer.upgrade().filter(|consumer| consumer.is_consuming()) else {
            return;
        };
        if !silence.is_silent() || consumer.has_unsettled() {
            (doubt, answers) = (0, 0);
            continue;
        }
        let fetches = doubt > 0 || is_stall || answers % FETCHES == 0;
        let _open = questions.ask();
        let patience = 2u32.saturating_pow(in_a_row).min(MOST_PATIENCE);
        let verdict = match question(&consumer, &silence, fetches, ANSWER * patience).await {
            Answer::Well => {
                doubt = 0;
                answers += 1;
                if doubted.take().is_some() {
                    in_a_row = 0;
                    questions.is_well(&name);
                }
                None
            }
            Answer::Doubtful(what) => {
                doubt += 1;
                (doubt >= ENOUGH * patience).then_some(SilenceVerdict {
                    what,
                    is_unanswered: false,
                })
            }
            Answer::None(what) => {
                doubt = ENOUGH * patience;
                Some(SilenceVerdict {
                    what,
                    is_unanswered: true,
                })
            }
        };
        if let Some(verdict) = verdict
            && !silence.has_heard()
        {
            questions.doubt(&name, in_a_row + 1);
            doubted = questions.doubted(&name);
            silence.end(verdict);
        }
    }
}
