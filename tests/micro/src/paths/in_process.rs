//! Requests that stay in the process.

use std::convert::Infallible;

use brighter::CommandProcessor;
use brighter::prelude::*;
use futures_util::FutureExt;

use crate::Walk;

#[derive(Debug, Command)]
struct Plain;

struct HandlesPlain;

#[handler]
impl Handler<Plain> for HandlesPlain {
    async fn handle(&self, _: &Plain) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Debug, Command)]
struct Guarded;

struct HandlesGuarded;

#[handler]
impl Handler<Guarded> for HandlesGuarded {
    #[request_logging(step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, _: &Guarded) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Debug, Event)]
struct Happened;

struct Hears;

#[handler]
impl Handler<Happened> for Hears {
    async fn handle(&self, _: &Happened) -> Result<(), Infallible> {
        Ok(())
    }
}

pub(super) fn send() -> Walk {
    let processor = CommandProcessor::builder().handler(HandlesPlain).build().unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            processor.send(Plain).now_or_never().unwrap().unwrap();
        }
    })
}

pub(super) fn send_through_three_steps() -> Walk {
    let processor = CommandProcessor::builder()
        .handler(HandlesGuarded)
        .build()
        .unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            processor.send(Guarded).now_or_never().unwrap().unwrap();
        }
    })
}

pub(super) fn publish(handlers: usize) -> Walk {
    let builder = (0..handlers).fold(CommandProcessor::builder(), |builder, _| builder.handler(Hears));
    let processor = builder.build().unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            processor.publish(Happened).now_or_never().unwrap().unwrap();
        }
    })
}
