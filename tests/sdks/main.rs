//! The real SDKs against a real server: they get its answers, its edits and its restarts, and it gets their events.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong in a test fails it, in the functions it calls as well"
)]

mod answers;
#[path = "../it/apart.rs"]
mod apart;
#[path = "../it/documents.rs"]
#[expect(dead_code, reason = "shared with the tests over gRPC, which use the rest")]
mod documents;
mod driver;
mod events;
#[path = "../it/home.rs"]
#[expect(dead_code, reason = "shared with the tests over gRPC, which use the rest")]
mod home;
mod lab;
mod mixture;
mod polling;
mod project;
#[path = "../it/server.rs"]
#[expect(dead_code, reason = "shared with the tests over gRPC, which use the rest")]
mod server;
mod users;
#[path = "../it/visitors.rs"]
#[expect(dead_code, reason = "shared with the tests over gRPC, which use the rest")]
mod visitors;
