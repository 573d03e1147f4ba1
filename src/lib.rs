//! Portcullis: feature gates and experiments whose launches are rolled back when a guardrail metric falls.
//!
//! The modules stand in the order of their floors; each uses only those above it in this list.

pub mod domain; // the words of the trade, checked when made
pub mod stats; // estimates from sufficient statistics
pub mod engine; // a snapshot and a user in, a decision out
pub mod analysis; // from measurements to a plan
pub mod cli; // the commands
