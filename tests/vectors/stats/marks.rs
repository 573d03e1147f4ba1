//! The e-process on assignment marks, against direct evaluation in sixty digits.

use portcullis::domain::metric::Direction;
use portcullis::stats::marks::{Bets, Marks};
use serde_json::Value;

use super::case::{Case, number};

/// Several stretches with shares of their own.
pub(super) fn stretches(case: &mut Case<'_>) {
    let direction = match case.text("direction") {
        "up" => Direction::LowerIsBetter,
        _ => Direction::HigherIsBetter,
    };
    let margin = case.number("margin_relative");
    let of_stretch = |block: &Value| {
        let count = |field: &str| block[field].as_u64().unwrap();
        let marks =
            Marks { share: number(&block["p"]), treated: count("events_t"), control: count("events_c") };
        Bets::on(&marks, direction, margin)
    };
    let blocks = case.input["blocks"].as_array().unwrap();
    let found = blocks.iter().map(of_stretch).fold(Bets::default(), |sum, more| sum + more).ln_e();
    case.near("log_e", found);
    case.holds("e_ge_20", Some(found >= 20_f64.ln()) == case.output["e_ge_20"].as_bool());
}
