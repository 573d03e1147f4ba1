//! Estimates from sufficient statistics. It knows numbers, not experiments.

pub mod combination;
pub mod e_process;
pub mod effect;
pub mod joint_moments;
pub mod long_sum;
pub mod moments;
pub mod normal;
pub mod student;
