//! The specification's worked examples, by what they show.

use portcullis::domain::metric::Direction;
use portcullis::stats::combination::{Weighted, ln_adjusted, ln_weighted_sum};
use portcullis::stats::e_process::{self, Evidence, Test, epoch_evidence};
use portcullis::stats::marks::{Bets, Marks};
use portcullis::stats::moments::RawSums;
use portcullis::stats::outcome::Outcome;
use portcullis::stats::undefined::Undefined;

fn assert_near(found: f64, expected: f64, absolute: f64, relative: f64, what: &str) {
    let reach = absolute + relative * expected.abs();
    assert!((found - expected).abs() <= reach, "{what}: {found}, expected {expected}");
}

/// Moments of units of which `ones` have the value 1 and the others 0.
fn proportion(n: u64, ones: u64) -> Outcome {
    Outcome::Mean(RawSums { n, sum: ones as f64, sum_squares: ones as f64, nonzero: ones }.about(0.0))
}

/// Evidence for harm where higher is better, on the scale of the control's mean.
fn fall(control: Outcome, treatment: Outcome, margin: f64) -> Evidence {
    let scale = control.counted().mean().unwrap();
    epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(margin), scale).unwrap()
}

fn z(evidence: Evidence) -> f64 {
    evidence.score / evidence.information.sqrt()
}

#[test]
fn a_fall_by_a_tenth_on_twenty_thousand_units_an_arm_is_harm() {
    let found = fall(proportion(20_000, 2_000), proportion(20_000, 1_800), 0.0);
    assert_near(z(found), 3.411, 5e-4, 0.0, "z");
    assert_near(found.score, 116.34, 5e-3, 0.0, "score");
    assert_near(found.information, 1_163.4, 5e-2, 0.0, "information");
    assert_near(e_process::ln_e(found).exp(), 43.7, 5e-2, 0.0, "e-value");
}

#[test]
fn the_same_fall_beyond_a_margin_of_two_percent_only_holds() {
    let found = fall(proportion(20_000, 2_000), proportion(20_000, 1_800), 0.02);
    assert_near(z(found), 2.756, 5e-4, 0.0, "z");
    assert_near(e_process::ln_e(found).exp(), 8.84, 5e-3, 0.0, "e-value");
}

#[test]
fn a_p_value_of_four_in_a_thousand_is_not_enough_for_one_who_looks_all_the_time() {
    let found = fall(proportion(50_000, 5_000), proportion(50_000, 4_750), 0.0);
    assert_near(z(found), 2.665, 5e-4, 0.0, "z");
    assert_near(e_process::ln_e(found).exp(), 6.9, 5e-2, 0.0, "e-value");
}

#[test]
fn a_total_loss_at_one_percent_is_harm_by_the_spread_of_both_arms() {
    let found = fall(proportion(99_000, 9_900), proportion(1_000, 0), 0.0);
    assert_near(z(found), 10.5, 5e-2, 0.0, "z");
    assert_near(e_process::ln_e(found), 46.2, 5e-2, 0.0, "ln e");
}

#[test]
fn a_total_loss_of_twenty_units_is_no_evidence_yet() {
    let (control, treatment) = (proportion(99_000, 9_900), proportion(20, 0));
    let found = epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(0.0), 0.1);
    assert_eq!(found, Err(Undefined::TooFewInEpoch));
    // Even if it counted, it would say little.
    let variance =
        control.counted().variance().unwrap() * 98_999.0 / 99_018.0 * (1.0 / 20.0 + 1.0 / 99_000.0);
    let evidence = Evidence { score: 0.1 * 0.1 / variance, information: 0.1 * 0.1 / variance };
    assert_near(z(evidence), 1.49, 5e-3, 0.0, "z");
    assert_near(e_process::ln_e(evidence).exp(), 1.38, 5e-3, 0.0, "e-value");
}

#[test]
fn one_guardrail_of_ten_can_carry_a_rollback() {
    let mut parts = vec![Weighted { weight: 0.1, ln_e: f64::NEG_INFINITY }; 10];
    parts[0].ln_e = 400_f64.ln();
    assert_near(ln_weighted_sum(&parts).exp(), 40.0, 0.0, 1e-12, "launch");
    let mut parts = vec![Weighted { weight: 0.2, ln_e: 0.1_f64.ln() }; 5];
    parts[0].ln_e = 100_f64.ln();
    assert_near(ln_weighted_sum(&parts).exp(), 20.08, 0.0, 1e-12, "launch");
    assert_near(ln_adjusted(&parts)[0].exp(), 20.08, 0.0, 1e-12, "culprit");
}

/// The e-value of marks in one stretch.
fn marked(share: f64, treated: u64, control: u64, direction: Direction, margin: f64) -> f64 {
    Bets::on(&Marks { share, treated, control }, direction, margin).ln_e().exp()
}

#[test]
fn a_few_crashes_at_one_percent_are_harm() {
    let crashes = |treated, control| marked(0.01, treated, control, Direction::LowerIsBetter, 0.0);
    assert_near(crashes(2, 0).ln(), 5.99, 5e-3, 0.0, "two of two, ln e");
    assert_near(crashes(2, 0), 399.0, 0.5, 0.0, "two of two");
    assert_near(crashes(3, 2), 5_050.0, 5.0, 0.0, "three of five");
}

#[test]
fn crashes_at_even_shares_take_more_of_them() {
    let crashes = |treated, control, margin| marked(0.5, treated, control, Direction::LowerIsBetter, margin);
    assert_near(crashes(8, 0, 0.0), 82.0, 0.5, 0.0, "eight of eight");
    assert_near(crashes(20, 5, 0.0), 38.0, 0.5, 0.0, "twenty of twenty-five");
    assert_near(crashes(20, 5, 0.1), 20.4, 0.05, 0.0, "twenty of twenty-five beyond a tenth more");
}

#[test]
fn fewer_conversions_are_seen_in_their_marks() {
    let conversions = |margin| marked(0.5, 1_700, 2_000, Direction::HigherIsBetter, margin);
    assert_near(conversions(0.0), 24_100.0, 50.0, 0.0, "any fall");
    assert_near(conversions(0.05), 37.0, 0.5, 0.0, "a fall beyond a twentieth");
}
