//! Estimates from sufficient statistics. It knows numbers, not experiments.

pub mod anytime;
pub mod asymptotic;
pub mod boundary;
pub mod combination;
pub mod e_process;
pub mod effect;
pub mod joint_moments;
pub mod long_sum;
pub mod marks;
pub mod moments;
pub mod normal;
pub mod outcome;
pub mod root;
pub mod sequential_sample_ratio;
pub mod student;
