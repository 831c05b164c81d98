//! Between requests, messages and the form in which they are kept.

use std::hint::black_box;

use brighter::MessageId;
use brighter::mapper::{JsonMapper, MessageMapper};
use brighter::message::{MessageHeader, MessageType};
use brighter::transport::rabbitmq::__private::OnTheWire;
use brighter::transport::rabbitmq::Headers;

use super::messages::Order;
use crate::Walk;

fn header() -> MessageHeader {
    let header = MessageHeader::new(MessageId::new(), "Micro.Order", MessageType::Command);
    header.with_correlation_id(MessageId::new())
}

pub(super) fn to_message() -> Walk {
    let (order, header) = (Order::new(1), header());
    Box::new(move |times| {
        for _ in 0..times {
            black_box(JsonMapper.to_message(&order, header.clone()).unwrap());
        }
    })
}

pub(super) fn to_request() -> Walk {
    let message = JsonMapper.to_message(&Order::new(1), header()).unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            let order: Order = JsonMapper.to_request(&message).unwrap();
            black_box(order);
        }
    })
}

pub(super) fn write_header() -> Walk {
    let header = header();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(serde_json::to_string(&header).unwrap());
        }
    })
}

pub(super) fn read_header() -> Walk {
    let text = serde_json::to_string(&header()).unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            let header: MessageHeader = serde_json::from_str(&text).unwrap();
            black_box(header);
        }
    })
}

pub(super) fn write_to_the_wire() -> Walk {
    let message = JsonMapper.to_message(&Order::new(1), header()).unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(OnTheWire::of(&message).unwrap());
        }
    })
}

pub(super) fn write_lean_to_the_wire() -> Walk {
    let message = JsonMapper.to_message(&Order::new(1), header()).unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(OnTheWire::with(&message, Headers::Lean).unwrap());
        }
    })
}

pub(super) fn read_from_the_wire() -> Walk {
    let message = JsonMapper.to_message(&Order::new(1), header()).unwrap();
    let wire = OnTheWire::of(&message).unwrap();
    Box::new(move |times| {
        for _ in 0..times {
            black_box(wire.read().unwrap());
        }
    })
}
