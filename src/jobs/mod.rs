//! Background work: idempotent, with no input but the time, woken by new data and by a period.

pub mod deliver;
pub mod follow;
pub mod guard;
pub mod lead;
pub mod measure;
pub mod retention;
