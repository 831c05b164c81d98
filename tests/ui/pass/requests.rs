//! Every form of request.
#![deny(warnings)]

use brighter::mapper::{JsonMapper, MapError, MessageMapper, Postable};
use brighter::message::MessageHeader;
use brighter::prelude::*;
use brighter::request::RequestKind;

#[derive(Command)]
#[command(reply = Invoice)]
struct Bill {
    id: MessageId,
}

struct Invoice;

#[derive(Command)]
struct Unit;

#[derive(Event)]
struct Tuple(#[event(id)] MessageId, u8);

#[derive(Event)]
enum Either<T> {
    Left(T),
    Right,
}

#[derive(Command)]
struct Generic<T: Clone, const N: usize>
where
    T: PartialEq,
{
    #[command(id)]
    key: Id,
    #[allow(dead_code)]
    id: [T; N],
}

type Id = MessageId;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Data", kind = "document")]
struct Data<T> {
    r#type: T,
}

#[derive(Message)]
#[message(topic = "Text", type = "Text.v2", kind = "command", mapper = TextMapper<u8, ()>, reply = Vec<u8>)]
struct Text(#[message(id)] MessageId);

struct TextMapper<A, B>(std::marker::PhantomData<(A, B)>);

impl<A, B> Default for TextMapper<A, B> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl MessageMapper<Text> for TextMapper<u8, ()> {
    fn to_message(&self, _: &Text, _: MessageHeader) -> Result<brighter::Message, MapError> {
        Err(MapError::new("not here"))
    }

    fn to_request(&self, _: &brighter::Message) -> Result<Text, MapError> {
        Err(MapError::new("not here"))
    }
}

fn command<R: Command>(request: &R) -> bool {
    R::KIND == RequestKind::Command && request.id().is_some()
}

fn event<R: Event>(request: &R) -> bool {
    R::KIND != RequestKind::Command && request.id().is_some()
}

fn main() {
    assert!(command::<Bill>(&Bill { id: MessageId::new() }));
    assert!(!command(&Unit));
    let tuple = Tuple(MessageId::new(), 1);
    assert!(event(&tuple));
    assert_eq!(tuple.1, 1);
    assert!(!event(&Either::Left(3)));
    assert!(!event(&Either::<()>::Right));
    let generic = Generic {
        key: Id::from("one"),
        id: [1],
    };
    assert_eq!(generic.id().unwrap().to_string(), "one");
    assert_eq!(<Data<u8> as Request>::KIND, RequestKind::Document);
    assert!(command(&Text(MessageId::new())));
    assert_eq!(<Text as Postable>::EVENT_TYPE, "Text.v2");
    assert_eq!(<Data<u8> as Postable>::EVENT_TYPE, "Data");
    let _: JsonMapper = <<Data<u8> as Postable>::Mapper as Default>::default();
    let _: Option<<Bill as Request>::Reply> = Some(Invoice);
    let Data { r#type } = Data { r#type: 1 };
    assert_eq!(r#type, 1);
}
