//! Every expression makes a policy or a layer: an argument ends where the expression does.
#![allow(clippy::all, unused_parens, unused_braces)]

use std::time::Duration;

use brighter::layer::FeatureSwitchMap;
use brighter::prelude::*;

#[derive(Command)]
struct Work;

const N: usize = 2;

fn policy() -> Policy {
    pick::<1, u8>()
}

fn pick<const M: usize, T: Default>() -> Policy {
    let _ = T::default();
    Policy::timeout(Duration::from_secs(1) * M as u32)
}

unsafe fn unsafely() -> Policy {
    policy()
}

fn two<A, B>(_: A, _: B) -> Policy {
    policy()
}

struct Choice<const M: usize> {
    wide: bool,
}

impl<const M: usize> Choice<M> {
    fn policy(self) -> Policy {
        if self.wide && M < N { policy() } else { pick::<2, u8>() }
    }
}

fn same<T>(value: T) -> T {
    value
}

struct Handles;

#[handler]
impl Handler<Work> for Handles {
    #[use_policy(if let Some(policy) = Some(policy()) && N < 3 { policy } else { policy() }, step = 15)]
    #[use_policy(const { Duration::from_secs(1) }.pipe(Policy::timeout), step = 16)]
    #[layer((), step = 17)]
    #[use_policy(r#retry, step = 18)]
    #[feature_switch(r#type, step = 19)]
    #[fallback(r#match, step = 20)]
    #[use_policy(policy(), step = 21,)]
    async fn handle(&self, _: &Work) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[derive(Command)]
struct More;

struct HandlesMore;

#[handler]
impl Handler<More> for HandlesMore {
    #[use_policy(if N < 3 { policy() } else { pick::<1, u8>() }, step = 1)]
    #[use_policy(if N < 3 && 3 > N || N << 1 >= 2 { policy() } else { policy() }, step = 2)]
    #[use_policy(pick::<{ N + 1 }, Vec<(u8, Vec<u8>)>>(), step = 3)]
    #[use_policy({ let a = 1; if a < 2 { pick::<1, u8>() } else { pick::<2, u8>() } }, step = 4)]
    #[use_policy(match N { 0 => pick::<1, u8>(), _ if N >= 1 => pick::<2, u8>(), _ => policy() }, step = 0x05)]
    #[use_policy((|a: u8, b: u8| -> Policy { let _ = a << b; policy() })(1, 2), step = 6)]
    #[use_policy(two(N < 1, N > 2), step = 7)]
    #[use_policy(two::<u8, Vec<u8>>(1, vec![]), step = 8)]
    #[use_policy(<Policy as From<Retry>>::from(Retry::default()), step = 9)]
    #[use_policy([retry, if N < 3 { policy() } else { policy() }, two::<_, _>(N < 1, 2)], step = 10)]
    #[use_policy(Choice::<1> { wide: N < 3 }.policy(), step = 11)]
    #[use_policy((if N > 3 { policy() } else { policy() }), step = 12)]
    #[use_policy(loop { if N < 3 { break policy() } }, step = 13)]
    #[use_policy(unsafe { unsafely() }, step = 14)]
    async fn handle(&self, _: &More) -> Result<(), std::io::Error> {
        Ok(())
    }
}

impl Handles {
    async fn r#match(&self, _: &Work, _: &HandlerError) -> Result<(), std::io::Error> {
        Ok(())
    }
}

trait Pipe: Sized {
    fn pipe<T>(self, f: impl FnOnce(Self) -> T) -> T {
        f(self)
    }
}

impl<T> Pipe for T {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let processor = CommandProcessor::builder().handler(Handles).handler(HandlesMore).feature_switches(FeatureSwitchMap::new()).build().unwrap();
    processor.send(Work).await.unwrap();
    processor.send(More).await.unwrap();
    let pipeline = processor.describe().next().unwrap();
    let detail = |number: u32| {
        let step = pipeline.steps.iter().find(|step| step.step.number == number).unwrap();
        step.detail.clone()
    };
    assert!(detail(18).contains("retry") && !detail(18).contains('#'), "{}", detail(18));
    assert!(detail(19).contains("type") && !detail(19).contains('#'), "{}", detail(19));
    assert!(detail(20).contains("match") && !detail(20).contains('#'), "{}", detail(20));
}
