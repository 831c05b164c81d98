//! The table of step attributes: one file and one line for each.

use super::attribute::Attribute;
use super::{
    backstop, fallback, feature_switch, layer, monitor, request_logging, timeout, transactional, use_inbox,
    use_policy, validate,
};

pub(super) const ALL: &[Attribute] = &[
    backstop::REJECT,
    backstop::DEFER,
    backstop::DONT_ACK,
    fallback::ATTRIBUTE,
    feature_switch::ATTRIBUTE,
    layer::ATTRIBUTE,
    monitor::ATTRIBUTE,
    request_logging::ATTRIBUTE,
    timeout::ATTRIBUTE,
    transactional::ATTRIBUTE,
    use_inbox::ATTRIBUTE,
    use_policy::ATTRIBUTE,
    validate::ATTRIBUTE,
];
