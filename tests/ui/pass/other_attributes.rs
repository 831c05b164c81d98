//! Other attributes keep their place, and every form of generics, names and places works.
#![deny(warnings)]
#![allow(non_camel_case_types)]

use std::io::Error;
use std::marker::PhantomData;

use brighter::prelude::*;

#[derive(Debug, Command)]
#[command(reply = u8)]
#[must_use]
#[non_exhaustive]
struct Count {
    n: u8,
    #[allow(dead_code)]
    r#type: (),
}

fn count(n: u8) -> Count {
    Count { n, r#type: () }
}

/// Attributes above, between and below the steps.
struct Attributes;

#[doc(hidden)]
#[handler]
#[allow(clippy::unused_async)]
impl Handler<Count> for Attributes {
    #![allow(clippy::needless_pass_by_value)]

    /// Documented.
    #[use_policy(retry, step = 1)]
    #[tracing::instrument(skip(self, count), err, fields(n = count.n))]
    #[inline]
    #[doc = "And so on."]
    #[timeout("5s", step = 2)]
    #[expect(clippy::needless_return, reason = "for the test")]
    async fn handle(&self, count: &Count) -> Result<u8, Error> {
        return Ok(count.n);
    }
}

/// Patterns and attributes of parameters, and a macro in the body.
struct Patterns;

#[handler]
impl Handler<Count> for Patterns {
    #[tracing::instrument(skip_all)]
    #[timeout("5s", step = 1)]
    async fn handle(&self, #[allow(unused_variables)] Count { n, r#type }: &Count, _cx: &Context) -> Result<u8, Error> {
        macro_rules! plus {
            ($e:expr) => { $e + 1 };
        }
        Ok(plus!(n))
    }
}

/// Names that are keywords elsewhere.
#[derive(Command)]
#[command(reply = u8)]
struct r#struct;

struct r#enum;

#[handler]
impl Handler<r#struct> for r#enum {
    #[fallback(r#fn, step = 1)]
    async fn r#handle(&self, r#in: &r#struct) -> Result<u8, Error> {
        let r#struct = r#in;
        Err(Error::other("no"))
    }
}

impl r#enum {
    async fn r#fn(&self, _: &r#struct, _: &HandlerError) -> Result<u8, Error> {
        Ok(3)
    }
}

/// Generics of every kind, and where clauses in every form.
struct Generic<const N: usize, F: ?Sized = fn(&u8) -> u8, T = ()>
where
    T: Send,
{
    _types: PhantomData<fn(T)>,
    list: [u8; N],
    f: Box<F>,
}

#[handler]
impl<const N: usize, F, T> Handler<Count> for Generic<N, F, T>
where
    F: for<'x> Fn(&'x u8) -> u8 + Send + Sync + ?Sized + 'static,
    T: Send + 'static,
    Self: Sized,
{
    #[use_policy(retry, step = 1)]
    #[fallback(later, step = 2)]
    async fn handle<'a, 'b>(&'a self, count: &'b Count) -> Result<u8, Error>
    where
        T: Send,
    {
        Ok((self.f)(&count.n) + self.list[0])
    }
}

impl<const N: usize, F, T> Generic<N, F, T>
where
    F: Fn(&u8) -> u8 + Send + Sync + ?Sized,
    T: Send,
{
    async fn later(&self, _: &Count, _: &HandlerError) -> Result<u8, Error> {
        Ok(0)
    }
}

#[handler(Count)]
#[request_logging(step = 1)]
struct GenericType<'a, T: Send + Sync + 'static, const N: usize = 1>(PhantomData<fn(&'a [T; N])>)
where;

#[handler(on_struct)]
impl<T: Send + Sync> Handler<Count> for GenericType<'static, T, 1> {
    async fn handle(&self, count: &Count) -> Result<u8, Error> {
        Ok(count.n)
    }
}

/// A request in a function, with a handler beside it.
async fn local() -> u8 {
    use brighter as queue;

    #[derive(Command)]
    #[command(reply = u8, crate = queue)]
    struct Local;

    struct Handles;

    #[handler(crate = queue)]
    impl Handler<Local> for Handles {
        #[queue::use_policy(retry, step = 1)]
        async fn handle(&self, _: &Local) -> Result<u8, Error> {
            Ok(9)
        }
    }

    let processor = CommandProcessor::builder().handler(Handles).build().unwrap();
    processor.send(Local).await.unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let new = CommandProcessor::builder;
    let send = async |builder: brighter::processor::CommandProcessorBuilder| {
        builder.build().unwrap().send(count(2)).await.unwrap()
    };
    assert_eq!(send(new().handler(Attributes)).await, 2);
    assert_eq!(send(new().handler(Patterns)).await, 3);
    let generic = Generic::<2, _> {
        _types: PhantomData::<fn(())>,
        list: [5, 6],
        f: Box::new(|n: &u8| *n + 1),
    };
    assert_eq!(send(new().handler(generic)).await, 8);
    assert_eq!(send(new().handler(GenericType::<u8>(PhantomData))).await, 2);
    let processor = new().handler(r#enum).build().unwrap();
    assert_eq!(processor.send(r#struct).await.unwrap(), 3);
    assert_eq!(local().await, 9);
}
