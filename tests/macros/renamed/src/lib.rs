//! A library of a strict company: what the macros write is clean under every lint that it denies.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations,
    unused_lifetimes
)]
#![deny(
    unused_qualifications,
    single_use_lifetimes,
    let_underscore_drop,
    elided_lifetimes_in_paths
)]
#![deny(
    explicit_outlives_requirements,
    trivial_casts,
    trivial_numeric_casts,
    unused_results,
    unit_bindings
)]
#![deny(
    variant_size_differences,
    unused_import_braces,
    unnameable_types,
    redundant_lifetimes,
    unsafe_code
)]
#![deny(
    non_local_definitions,
    meta_variable_misuse,
    absolute_paths_not_starting_with_crate,
    deprecated
)]
#![deny(
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    keyword_idents,
    non_ascii_idents
)]
#![deny(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::absolute_paths,
    clippy::unwrap_used
)]
#![deny(
    clippy::missing_docs_in_private_items,
    clippy::expect_used,
    clippy::panic,
    clippy::unimplemented
)]
#![deny(
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![deny(
    clippy::clone_on_ref_ptr,
    clippy::default_numeric_fallback,
    clippy::let_underscore_must_use
)]
#![deny(
    clippy::let_underscore_untyped,
    clippy::missing_inline_in_public_items,
    clippy::same_name_method
)]
#![deny(
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::std_instead_of_core
)]
#![deny(
    clippy::alloc_instead_of_core,
    clippy::str_to_string,
    clippy::pattern_type_mismatch,
    clippy::todo
)]
#![deny(
    clippy::renamed_function_params,
    clippy::multiple_inherent_impl,
    clippy::min_ident_chars
)]
#![deny(
    clippy::redundant_type_annotations,
    clippy::impl_trait_in_params,
    clippy::allow_attributes
)]
#![deny(
    clippy::allow_attributes_without_reason,
    clippy::future_not_send,
    clippy::large_futures
)]
#![deny(clippy::question_mark_used, clippy::exhaustive_structs)]
#![allow(clippy::wildcard_imports, reason = "that of the prelude")]

use core::fmt::Error;

use queue::prelude::*;

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(crate = queue, topic = "Ask", reply = u32)]
#[non_exhaustive]
pub struct Ask {
    /// Its id.
    pub id: MessageId,
}

/// A handler.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Answer;

#[handler(crate = queue)]
impl Handler<Ask> for Answer {
    #[request_logging(step = 8)]
    #[use_inbox(step = 2)]
    #[use_policy([retry, circuit_breaker], step = 3)]
    #[timeout("5s", step = 4)]
    #[feature_switch(answers, step = 5)]
    #[cfg_attr(all(), monitor(step = 6))]
    #[cfg_attr(any(), monitor(step = 6))]
    #[fallback(later, step = 7)]
    #[defer_on_error("1s", step = 1)]
    #[inline]
    async fn handle(&self, _: &Ask) -> Result<u32, Error> {
        Ok(1_u32)
    }
}

impl Answer {
    /// Another answer.
    #[expect(clippy::unused_async, reason = "a fallback is async")]
    async fn later(&self, _: &Ask, _: &HandlerError) -> Result<u32, Error> {
        Ok(2_u32)
    }
}

/// A handler with its steps on the type, beside other attributes.
#[derive(Debug, Clone, Copy)]
#[handler(Ask, crate = queue)]
#[request_logging(step = 1)]
#[non_exhaustive]
pub struct Beside;

#[handler(on_struct, crate = queue)]
impl Handler<Ask> for Beside {
    #[inline]
    async fn handle(&self, _: &Ask) -> Result<u32, Error> {
        Ok(1_u32)
    }
}

/// Without a step that is there.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Bare;

#[handler(crate = queue)]
impl Handler<Ask> for Bare {
    #[cfg_attr(any(), monitor(step = 1))]
    #[inline]
    async fn handle(&self, _: &Ask) -> Result<u32, Error> {
        Ok(1_u32)
    }
}

/// A request that is on its way out.
#[derive(Debug, Clone, Copy, Command)]
#[command(crate = queue)]
#[deprecated = "use `Ask`"]
#[non_exhaustive]
pub struct Old;

/// A handler of it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AnswersOld;

#[expect(deprecated, reason = "until all have moved")]
#[handler(crate = queue)]
impl Handler<Old> for AnswersOld {
    #[request_logging(step = 1)]
    #[inline]
    async fn handle(&self, _: &Old) -> Result<(), Error> {
        Ok(())
    }
}

/// A handler of it, with its steps on the type.
#[derive(Debug, Clone, Copy)]
#[allow(deprecated, clippy::allow_attributes, reason = "until all have moved")]
#[handler(Old, crate = queue)]
#[request_logging(step = 1)]
#[non_exhaustive]
pub struct AnswersOldBeside;

#[allow(deprecated, clippy::allow_attributes, reason = "until all have moved")]
#[handler(on_struct, crate = queue)]
impl Handler<Old> for AnswersOldBeside {
    #[inline]
    async fn handle(&self, _: &Old) -> Result<(), Error> {
        Ok(())
    }
}
