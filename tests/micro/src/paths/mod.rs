//! The paths.

mod in_process;
mod mapping;
mod messages;

use crate::Path;

/// Every path.
pub const PATHS: &[Path] = &[
    Path {
        name: "send",
        summary: "send: a command to its handler, no steps",
        prepare: in_process::send,
    },
    Path {
        name: "send-three-steps",
        summary: "send: through logging, circuit breaker and retry, logging off",
        prepare: in_process::send_through_three_steps,
    },
    Path {
        name: "publish-1",
        summary: "publish: an event to one handler",
        prepare: || in_process::publish(1),
    },
    Path {
        name: "publish-10",
        summary: "publish: an event to ten handlers",
        prepare: || in_process::publish(10),
    },
    Path {
        name: "publish-100",
        summary: "publish: an event to a hundred handlers",
        prepare: || in_process::publish(100),
    },
    Path {
        name: "map-to-message",
        summary: "mapper: a request of a kilobyte to JSON",
        prepare: mapping::to_message,
    },
    Path {
        name: "map-to-request",
        summary: "mapper: a kilobyte of JSON to its request",
        prepare: mapping::to_request,
    },
    Path {
        name: "header-write",
        summary: "header: to the form in which outboxes keep it",
        prepare: mapping::write_header,
    },
    Path {
        name: "header-read",
        summary: "header: from the form in which outboxes keep it",
        prepare: mapping::read_header,
    },
    Path {
        name: "wire-write",
        summary: "RabbitMQ: a message to the properties and headers of AMQP",
        prepare: mapping::write_to_the_wire,
    },
    Path {
        name: "wire-write-lean",
        summary: "RabbitMQ: a message to the properties of AMQP, with lean headers",
        prepare: mapping::write_lean_to_the_wire,
    },
    Path {
        name: "wire-read",
        summary: "RabbitMQ: the properties and headers of AMQP to a message",
        prepare: mapping::read_from_the_wire,
    },
    Path {
        name: "broker",
        summary: "in-memory broker: publish, receive, ack",
        prepare: messages::broker,
    },
    Path {
        name: "outbox",
        summary: "in-memory outbox: deposit, mark as dispatched",
        prepare: messages::outbox,
    },
    Path {
        name: "pump",
        summary: "pump: publish to the in-memory broker, then pump, handler, ack; 1 KB",
        prepare: || messages::pump(1),
    },
    Path {
        name: "pump-of-1000",
        summary: "pump: publish to the in-memory broker, then pump, handler, ack; 1 KB, with a thousand subscriptions",
        prepare: || messages::pump(1_000),
    },
    Path {
        name: "post-to-ack",
        summary: "post, in-memory outbox and broker, pump, handler, ack; 1 KB",
        prepare: messages::post_to_ack,
    },
];
