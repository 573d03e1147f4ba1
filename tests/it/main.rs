//! The whole service, as its callers see it: a real server on a free port, and everything asserted over gRPC.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong in a test fails it, in the functions it calls as well"
)]

mod administration;
mod analyze_and_plan;
mod bad_documents;
mod bad_input;
mod commands;
mod configs;
mod configurations;
mod databases;
mod demo;
mod documents;
mod evaluation;
mod events;
mod event_streams;
mod experiments;
mod explanations;
mod exposures;
mod guard;
mod history;
mod holdouts;
mod home;
mod http;
mod kinds;
mod launches;
mod layers;
mod measurements;
mod moments;
mod overrides;
mod references;
mod replay;
mod restart;
mod server;
mod users;
mod visitors;
mod widening;
