//! Nothing is in scope: every name that is written is looked up from the root.
#![no_implicit_prelude]
#![deny(warnings)]

type Outcome<T> = ::std::result::Result<T, ::std::io::Error>;

#[derive(::serde::Serialize, ::serde::Deserialize, ::brighter::Message)]
#[message(topic = "Ask", type = "Ask.v2", reply = u32)]
pub struct Ask {
    pub id: ::brighter::MessageId,
}

#[::brighter::derive(::serde::Serialize, ::serde::Deserialize, ::brighter::Message, topic = "Tell")]
pub struct Tell<T>(T);

#[derive(::brighter::Command)]
pub struct Open;

#[derive(::brighter::Event)]
pub enum Opened {
    Wide,
}

impl ::brighter::Validate for Ask {
    type Error = &'static str;

    fn validate(&self) -> ::std::result::Result<(), &'static str> {
        ::std::result::Result::Ok(())
    }
}

pub struct Answer;

#[::brighter::handler]
impl ::brighter::Handler<Ask> for Answer {
    #[monitor(step = 1)]
    #[defer_on_error("1s", step = 2)]
    #[defer_on_error(step = 3)]
    #[reject_on_error(step = 4)]
    #[dont_ack_on_error(step = 5)]
    #[request_logging(step = 6)]
    #[use_inbox(step = 7)]
    #[use_inbox(context = "mail", lease = "1m", on_duplicate = replay, step = 8)]
    #[use_policy([retry, circuit_breaker], step = 9)]
    #[timeout("5s", step = 10)]
    #[feature_switch(x, step = 11)]
    #[feature_switch("y", off = dont_ack, step = 12)]
    #[validate(step = 13)]
    #[fallback(later, step = 14)]
    #[fallback(later, on = broken_circuit, step = 15)]
    #[layer((), step = 16)]
    #[use_policy(::brighter::policy::Policy::timeout(::std::time::Duration::from_secs(1)), step = 17)]
    #[request_logging(step = 1, timing = after)]
    async fn handle(&self, _: &Ask) -> Outcome<u32> {
        ::std::result::Result::Ok(1)
    }
}

impl Answer {
    async fn later(&self, _: &Ask, _: &::brighter::HandlerError) -> Outcome<u32> {
        ::std::result::Result::Ok(1)
    }
}

#[::brighter::handler(Open)]
#[request_logging(step = 1)]
pub struct OnType;

#[::brighter::handler(on_struct)]
impl ::brighter::Handler<Open> for OnType {
    async fn handle(&self, _: &Open) -> Outcome<()> {
        ::std::result::Result::Ok(())
    }
}

pub struct Many;

#[::brighter::handler]
impl ::brighter::Handler<Opened> for Many {
    #[fallback(never, step = 1)]
    async fn handle(&self, _: &Opened) -> Outcome<()> {
        ::std::result::Result::Ok(())
    }
}

impl Many {
    async fn never(&self, _: &Opened, _: &::brighter::HandlerError) -> Outcome<()> {
        ::std::result::Result::Ok(())
    }
}

fn main() {
    let _ = (Opened::Wide, Tell(1_u8).0);
}
