//! Estimates from sufficient statistics. It knows numbers, not experiments.

pub mod beta;
pub mod chi_square;
pub mod combination;
mod continued_fraction;
pub mod correction;
pub mod e_process;
pub mod covariate;
pub mod effect;
pub mod estimate;
pub mod fisher;
pub mod joint_moments;
pub mod long_sum;
pub mod moments;
pub mod normal;
pub mod order;
pub mod planning;
pub mod proportion;
pub mod quantile;
pub mod sample_ratio;
pub mod segments;
pub mod sequential_planning;
pub mod student;
pub mod undefined;
