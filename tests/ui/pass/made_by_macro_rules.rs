//! Fragments of every kind arrive in invisible groups.
#![deny(warnings)]

use std::io::Error;

use brighter::layer::FeatureSwitchMap;
use brighter::prelude::*;

fn policy() -> Policy {
    Policy::timeout(std::time::Duration::from_secs(1))
}

macro_rules! requests {
    ($m:meta, $derive:path, $v:vis, $name:ident, $id:ty, $topic:literal, $kind:expr, $reply:ty) => {
        #[derive(Serialize, Deserialize, $derive)]
        #[message(topic = $topic, kind = $kind, reply = $reply)]
        #[$m]
        $v struct $name {
            $v id: $id,
        }
    };
}

requests!(allow(dead_code), brighter::Message, pub(crate), Ask, MessageId, "Ask", "command", Vec<u8>);

macro_rules! by_attribute {
    ($m:meta, $item:item) => {
        #[derive(Serialize, Deserialize)]
        #[$m]
        $item
    };
}

by_attribute!(brighter::derive(Message, topic = "Tell"), pub struct Tell { id: MessageId });

macro_rules! with_derive {
    ($derive:path, $key:ident, $topic:literal, $v:vis $name:ident) => {
        #[brighter::derive(Serialize, Deserialize, $derive, $key = $topic)]
        $v struct $name;
    };
}

with_derive!(brighter::Message, topic, "Shout", Shout);

/// Types, paths, blocks, expressions, literals, patterns, visibilities, lifetimes and attributes.
macro_rules! whole {
    (
        $m:meta, $trait_:path, $request:ty, $handler:ty, $error:ty, $result:ty, $step:meta, $policy:expr, $list:expr,
        $name:path, $text:literal, $one:literal, $two:expr, $method:ident, $word:tt, $p:pat, $body:block,
        $plain:vis fn $fallback:ident
    ) => {
        #[$m]
        #[handler]
        impl $trait_ for $handler {
            #[$step]
            #[use_policy($policy, step = $one)]
            #[use_policy($list, step = $two)]
            #[use_policy($name, step = 4)]
            #[timeout($text, step = 5)]
            #[fallback($method, on = $word, step = 6)]
            #[feature_switch($method, step = 7)]
            $plain async fn handle(&self, $p: &$request) -> Result<$result, $error> $body
        }

        impl $handler {
            async fn $fallback(&self, _: &$request, _: &HandlerError) -> Result<$result, $error> $body
        }
    };
}

struct Whole;

whole!(
    allow(clippy::unused_async), Handler<Ask>, Ask, Whole, Error, Vec<u8>, request_logging(step = 1), policy(),
    [retry, policy()], circuit_breaker, "5s", 2, 3, later, any, _, { Ok(vec![1]) }, fn later
);

/// The whole item, or its members, as one fragment each.
macro_rules! items {
    (item $item:item) => {
        #[handler]
        $item
    };
    (members $ty:ty, $($member:item)*) => {
        #[handler]
        impl Handler<Ask> for $ty { $($member)* }
    };
    (of $request:ty, $item:item) => {
        #[handler($request)]
        #[request_logging(step = 1)]
        $item
    };
}

struct Item;

items! {
    item impl Handler<Ask> for Item {
        #[use_policy(retry, step = 1)]
        async fn handle(&self, _: &Ask) -> Result<Vec<u8>, Error> {
            Ok(vec![2])
        }
    }
}

struct Members;

items! {
    members Members,
    type Error = Error;
    #[use_policy(retry, step = 1)]
    async fn handle(&self, _: &Ask) -> Result<Vec<u8>, Error> {
        Ok(vec![3])
    }
}

struct MembersWithoutAttributes;

items! {
    members MembersWithoutAttributes,
    type Error = Error;
    async fn handle(&self, _: &Ask, _: &Context) -> Result<Vec<u8>, Error> {
        Ok(vec![4])
    }
}

items! {
    of Ask,
    pub(crate) struct OnType;
}

#[handler(on_struct)]
impl Handler<Ask> for OnType {
    async fn handle(&self, _: &Ask) -> Result<Vec<u8>, Error> {
        Ok(vec![5])
    }
}

/// The return type as one fragment, and one more macro around.
macro_rules! outer {
    ($handler:ident, $output:ty, $body:block) => {
        inner!($handler, $output, $body);
    };
}

macro_rules! inner {
    ($handler:ident, $output:ty, $body:block) => {
        #[handler]
        impl Handler<Ask> for $handler {
            async fn handle(&self, _: &Ask) -> $output $body
        }
    };
}

struct Nested;
outer!(Nested, Result<Vec<u8>, Error>, { Ok(vec![6]) });

struct Alias;
outer!(Alias, std::io::Result<Vec<u8>>, { Ok(vec![7]) });

/// A body that is an expression with weight: it stays one.
macro_rules! product {
    ($handler:ident, $a:expr, $b:expr) => {
        #[handler]
        impl Handler<Ask> for $handler {
            async fn handle(&self, _: &Ask) -> Result<Vec<u8>, Error> {
                Ok(vec![$a * $b])
            }
        }
    };
}

struct Product;
product!(Product, 1 + 1, if true { 2 } else { 3 } + 2);

async fn reply(builder: brighter::processor::CommandProcessorBuilder) -> u8 {
    let processor = builder.build().unwrap();
    processor.send(Ask { id: MessageId::new() }).await.unwrap()[0]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let new = CommandProcessor::builder;
    assert_eq!(reply(new().handler(Whole).feature_switches(FeatureSwitchMap::new())).await, 1);
    assert_eq!(reply(new().handler(Item)).await, 2);
    assert_eq!(reply(new().handler(Members)).await, 3);
    assert_eq!(reply(new().handler(MembersWithoutAttributes)).await, 4);
    assert_eq!(reply(new().handler(OnType)).await, 5);
    assert_eq!(reply(new().handler(Nested)).await, 6);
    assert_eq!(reply(new().handler(Alias)).await, 7);
    assert_eq!(reply(new().handler(Product)).await, 8);
    assert_eq!(<Ask as brighter::mapper::Postable>::TOPIC, "Ask");
    assert_eq!(<Tell as brighter::mapper::Postable>::TOPIC, "Tell");
    assert_eq!(<Shout as brighter::mapper::Postable>::TOPIC, "Shout");
    assert!(Tell { id: MessageId::new() }.id().is_some());
}
