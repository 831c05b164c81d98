//! The messages that the services exchange. This file is all that they have to agree on.

use brighter::prelude::*;

/// What a customer wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) item: String,
    pub(crate) quantity: i32,
}

/// An order was placed. Posted by `orders`, handled by `payments`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", kind = "event")]
pub(crate) struct OrderPlaced {
    pub(crate) order_id: String,
    pub(crate) order: Order,
}

/// An order was paid. Posted by `payments`, handled by `orders`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Taken", kind = "event")]
pub(crate) struct PaymentTaken {
    pub(crate) order_id: String,
}

/// Write to a customer. Posted by `payments` at once and by `orders` for later, handled by `mail`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Mail.Send")]
pub(crate) struct SendMail {
    /// The id of the message, by which it can be cancelled.
    pub(crate) id: MessageId,
    pub(crate) customer: String,
    pub(crate) text: String,
}

/// What does this cost, in cents? Asked by `orders`, answered by `payments`.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Price.Get", reply = i64)]
pub(crate) struct GetPrice {
    pub(crate) item: String,
}
