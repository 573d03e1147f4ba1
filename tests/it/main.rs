//! The whole service, as its callers see it: a real server on a free port, and everything asserted over gRPC.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what goes wrong in a test fails it, in the functions it calls as well"
)]

mod administration;
mod bad_input;
mod commands;
mod demo;
mod documents;
mod evaluation;
mod events;
mod experiments;
mod guard;
mod launches;
mod moments;
mod replay;
mod restart;
mod server;
mod visitors;
