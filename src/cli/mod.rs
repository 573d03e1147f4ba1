//! The commands.

pub mod analyze;
mod guardrail;
mod lines;
mod report;
mod table;
mod text;
