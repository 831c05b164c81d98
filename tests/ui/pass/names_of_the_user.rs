//! What a module calls its own is nothing to expanded code.
#![allow(dead_code, non_camel_case_types, unused_imports, unused_macros)]

use brighter::prelude::{self as names, *};

mod core {}
mod std {}
mod alloc {}
mod tower {}
mod serde_json {}
mod tracing {}
mod tokio {}
mod __private {}

#[derive(Debug)]
pub struct Failed;

impl ::std::fmt::Display for Failed {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        f.write_str("failed")
    }
}

impl ::std::error::Error for Failed {}

pub type Result<T = (), E = Failed> = ::std::result::Result<T, E>;
pub type Fallible<T> = ::std::result::Result<T, Failed>;
pub type Done = ::std::result::Result<(), Failed>;

pub struct Option;
pub struct Box;
pub struct Arc;
pub struct String;
pub struct Vec;
pub struct Duration;
pub struct Policy;
pub struct Request;
pub struct Context;
pub struct Pin;
pub struct Wiring;
pub struct Pipeline;
pub struct Step;
pub trait Send {}
pub trait Sync {}
pub trait Future {}
pub trait Layer {}
pub fn handler() {}
pub fn stack() {}
pub fn wiring() {}
pub const Some: u8 = 1;
pub const None: u8 = 2;
macro_rules! stringify { () => {} }
macro_rules! unimplemented { () => {} }
macro_rules! compile_error { () => {} }

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Remind", type = "Remind.v2")]
pub struct Remind {
    id: MessageId,
}

#[derive(Command)]
#[command(reply = u8)]
pub struct Count<T>(T);

/// Primitive types too.
mod primitive {
    use brighter::mapper::{MapError, MessageMapper};

    pub struct str;
    pub struct u32;
    pub struct bool;

    #[derive(brighter::Message)]
    #[message(topic = "Primitive", type = "Primitive.v2", mapper = Mapper)]
    pub struct Primitive;

    #[derive(Default)]
    pub struct Mapper;

    impl MessageMapper<Primitive> for Mapper {
        fn to_message(
            &self,
            _: &Primitive,
            _: brighter::message::MessageHeader,
        ) -> Result<brighter::Message, MapError> {
            Err(MapError::new("not here"))
        }

        fn to_request(&self, _: &brighter::Message) -> Result<Primitive, MapError> {
            Err(MapError::new("not here"))
        }
    }

    #[brighter::handler]
    impl brighter::Handler<Primitive> for u32 {
        #[use_inbox(step = 1)]
        #[fallback(later, step = 2)]
        async fn handle(&self, _: &Primitive) -> crate::Done {
            Ok(())
        }
    }

    impl u32 {
        async fn later(&self, _: &Primitive, _: &brighter::HandlerError) -> crate::Done {
            Ok(())
        }
    }
}

/// Types of the names of ours.
mod ours {
    #[derive(brighter::Command)]
    pub struct Command;

    #[derive(brighter::Event)]
    pub struct Event;

    #[derive(brighter::Command)]
    pub struct Handler;

    #[brighter::handler]
    impl brighter::Handler<Command> for Handler {
        #[use_policy(retry, step = 1)]
        async fn handle(&self, _: &Command) -> super::Done {
            Ok(())
        }
    }

    pub mod brighter_ {
        pub mod brighter {}

        #[::brighter::handler]
        impl ::brighter::Handler<super::Event> for super::Handler {
            #[fallback(later, step = 1)]
            #[timeout("1s", step = 2)]
            #[brighter::monitor(step = 3)]
            async fn handle(&self, _: &super::Event) -> crate::Done {
                Ok(())
            }
        }

        impl super::Handler {
            async fn later(&self, _: &super::Event, _: &::brighter::HandlerError) -> crate::Done {
                Ok(())
            }
        }
    }
}

pub struct Whole;

#[names::handler]
impl Handler<Remind> for Whole {
    #[defer_on_error("1s", step = 1)]
    #[request_logging(step = 2)]
    #[use_inbox(step = 3)]
    #[use_policy([retry, brighter::policy::Policy::timeout(::std::time::Duration::from_secs(1))], step = 4)]
    #[timeout("5s", step = 5)]
    #[fallback(later, step = 6)]
    async fn handle(&self, _: &Remind) -> Result {
        Ok(())
    }
}

impl Whole {
    async fn later(&self, _: &Remind, _: &HandlerError) -> Result {
        Ok(())
    }
}

/// Aliases by any name.
pub struct One;
pub struct Two;
pub struct Three;

#[handler]
impl Handler<Remind> for One {
    async fn handle(&self, _: &Remind) -> Result<()> {
        Ok(())
    }
}

#[handler]
impl Handler<Count<u8>> for Two {
    async fn handle(&self, count: &Count<u8>) -> Fallible<u8> {
        Ok(count.0)
    }
}

macro_rules! outcome { () => { Done } }

#[handler]
impl Handler<Remind> for Three {
    async fn handle(&self, _: &Remind) -> outcome!() {
        Ok(())
    }
}

fn main() {}
