//! Estimates from sufficient statistics. It knows numbers, not experiments.
//!
//! From the ground up: distributions ([`normal`], [`student`], [`chi_square`], [`beta`]); what is kept of units ([`moments`],
//! [`joint_moments`]); one arm's [`estimate`]; the [`effect`] of one arm against another for one planned look, also with a
//! [`covariate`]; and what holds at every look. A number that cannot be had is an [`undefined::Undefined`] with its reason.
//! Tails come as logarithms, which never underflow.

pub mod against_level;
pub mod anytime;
pub mod asymptotic;
pub mod beta;
pub mod boundary;
pub mod chi_square;
pub mod combination;
mod continued_fraction;
pub mod correction;
pub mod covariate;
pub mod e_process;
pub mod effect;
pub mod estimate;
pub mod exact_sum;
pub mod fisher;
pub mod joint_moments;
mod left_out;
pub mod long_sum;
pub mod marks;
pub mod moments;
pub mod non_inferiority;
pub mod normal;
pub mod order;
pub mod outcome;
pub mod planning;
pub mod proportion;
pub mod quantile;
pub mod root;
pub mod sample_ratio;
pub mod segments;
pub mod sequential_planning;
pub mod sequential_sample_ratio;
pub mod student;
pub mod two_by_two;
pub mod undefined;
