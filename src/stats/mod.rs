//! Estimates from sufficient statistics. It knows numbers, not experiments.

pub mod combination;
pub mod e_process;
pub mod effect;
pub mod moments;
pub mod normal;
pub mod student;
