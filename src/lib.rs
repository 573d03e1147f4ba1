//! Portcullis: feature gates and experiments whose launches are rolled back when a guardrail metric falls.
//!
//! The modules stand in the order of their floors; each uses only those above it in this list.

pub mod domain; // the words of the trade, checked when made
pub mod stats; // estimates from sufficient statistics
pub mod engine; // a snapshot and a user in, a decision out
pub mod analysis; // from measurements to a plan

pub mod clock; // the one place that reads the wall clock
pub mod error; // what can go wrong, in terms a caller can act on
pub mod failpoint; // where tests end the program; nothing otherwise
pub mod database; // the database file, opened and brought up to date
pub mod store; // configuration, launches, decisions, audit
pub mod events; // events, exposures, moments

pub mod live; // what is in force, swapped whole
pub mod ingest; // bounded queues in front of the event store
pub mod admin; // one audited function per change
pub mod jobs; // the guard, woken by new data and by a period

pub mod transport; // gRPC and HTTP
pub mod config; // every setting, parsed once
pub mod telemetry; // logs
pub mod app; // builds the parts in floor order, starts and drains them
pub mod cli; // the commands
