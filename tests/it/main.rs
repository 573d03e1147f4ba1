//! The whole service, as its callers see it: a real server on a free port, and everything asserted over gRPC.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong in a test fails it, in the functions it calls as well"
)]
#![expect(clippy::float_cmp, reason = "a share that was set is the very number that is read")]

mod actions;
mod administration;
mod analyze_and_plan;
mod apart;
mod bad_documents;
mod bad_input;
mod commands;
mod configs;
mod configurations;
mod cycles;
mod databases;
mod dead_man;
mod demo;
mod documents;
mod ended_by_hand;
mod enforcement;
mod evaluation;
mod events;
mod event_streams;
mod experiments;
mod explanations;
mod exposures;
mod faults;
mod followers;
mod golden;
mod guard;
mod harm;
mod history;
mod holdouts;
mod home;
mod http;
mod kills;
mod kills_of_groups;
mod kinds;
mod launches;
mod latched;
mod layers;
mod lease;
mod limits;
mod measurements;
mod news;
mod moments;
mod other_launches;
mod overrides;
mod protection;
mod receiver;
mod overriding;
mod pipelines;
mod policies;
mod racing;
mod ramps;
mod references;
mod replay;
mod restart;
mod scorecard;
mod segments;
mod server;
mod users;
mod visitors;
mod watching;
mod webhooks;
mod widening;
