//! A path of `crate = …` in a module without the standard prelude.
#![no_implicit_prelude]

pub(super) struct Counts;

#[derive(::queue::Command)]
#[command(crate = ::queue, reply = u8)]
pub(super) struct Count(pub(super) u8);

#[::queue::handler(crate = ::queue)]
impl ::queue::Handler<Count> for Counts {
    #[fallback(none, step = 1)]
    #[use_policy(retry, step = 2)]
    async fn handle(&self, count: &Count) -> ::std::result::Result<u8, ::std::io::Error> {
        ::std::result::Result::Ok(count.0)
    }
}

impl Counts {
    async fn none(
        &self,
        _: &Count,
        _: &::queue::HandlerError,
    ) -> ::std::result::Result<u8, ::std::io::Error> {
        ::std::result::Result::Ok(0)
    }
}
