//! What counts as evidence: marks, fresh starts, buckets of event time, and the arms' shares.

use std::collections::BTreeSet;

use super::*;
use crate::analysis::decision::Bucket;
use crate::analysis::measurement::{Past, WEEK_MS};
use crate::analysis::outlook::outlook;
use crate::analysis::published::Published;
use crate::analysis::scorecard::scorecard;
use crate::stats::combination::{Weighted, ln_weighted_mean};
use crate::stats::e_process::{self, Test, epoch_evidence};
use crate::stats::undefined::Undefined;

const MINUTE_MS: i64 = 60_000;

/// Crashes, of which fewer are better, at a share in percent.
fn crashes(percentage: f64) -> Launch {
    let metric =
        Metric { kind: MetricKind::Conversion, direction: Direction::LowerIsBetter, ..guardrail("crashes") };
    gate(vec![metric], vec![Step::at_once(percentage)])
}

/// What an arm did up to each minute before now, the earliest first; the last is now.
fn row(arm: &str, states: &[Moments]) -> ArmMoments {
    let minutes = i64::try_from(states.len()).unwrap() - 1;
    let past = states.iter().zip(0..minutes).map(|(state, minute)| Past {
        at: NOW.plus_ms((minute - minutes) * MINUTE_MS),
        moments: Outcome::Mean(*state),
        settled: Outcome::Mean(*state),
    });
    let now = Outcome::Mean(*states.last().unwrap());
    ArmMoments { epoch: 1, week: 0, arm: arm.to_owned(), moments: now, settled: now, past: past.collect() }
}

/// Both arms minute by minute, kept apart from the first on.
fn by_minute(launch: &Launch, control: &[Moments], treatment: &[Moments]) -> Measurement {
    let rows = vec![row(CONTROL, control), row(TREATMENT, treatment)];
    let kept_from = NOW.plus_ms((1 - i64::try_from(control.len()).unwrap()) * MINUTE_MS);
    let key = launch.metrics[0].metric.key.clone();
    Measurement { kept_from: Some(kept_from), ..unbucketed(Vec::new(), BTreeMap::from([(key, rows)])) }
}

#[test]
fn a_few_crashes_at_one_percent_roll_back_long_before_the_burn_in() {
    let launch = crashes(1.0);
    let found = look(&launch, &[moments(990, 2), moments(10, 3)]);
    // Half of 5,050, which the marks show, and half of the 1 that means show before their burn-in.
    let expected = f64::midpoint(5_050.0, 1.0);
    assert!((found.ln_e.exp() / expected - 1.0).abs() < 1e-3, "{}", found.ln_e.exp());
    assert_eq!(only(&found).verdict, Verdict::Harm);
    assert_eq!(plan(&launch, &found, None, NOW).action, Action::RollBack);
}

#[test]
fn two_crashes_warn_and_do_not_roll_back() {
    let launch = crashes(1.0);
    let found = look(&launch, &[moments(990, 0), moments(10, 2)]);
    assert!(found.ln_e.exp() > 100.0 && found.warned, "{}", found.ln_e.exp());
    assert_eq!((only(&found).verdict, only(&found).reason), (Verdict::Undecided, Some(ReasonCode::Warning)));
    let plan = plan(&launch, &found, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    assert!(plan.reasons[0].message.contains("fewer than 3 treated units"), "{}", plan.reasons[0].message);
}

#[test]
fn marks_are_not_counted_where_most_units_have_the_event() {
    let metric = Metric { kind: MetricKind::Conversion, ..guardrail("buys") };
    let launch = gate(vec![metric], vec![Step::at_once(50.0)]);
    let arms = [moments(2_000, 1_000), moments(2_000, 950)];
    let [control, treatment] = arms.map(Outcome::Mean);
    let test = Test::Harm(0.0);
    let by_means = epoch_evidence(&control, &treatment, Direction::HigherIsBetter, test, 0.5).unwrap();
    assert!((look(&launch, &arms).ln_e - e_process::ln_e(by_means)).abs() < 1e-9);
}

#[test]
fn marks_are_counted_however_few_units_have_the_event_and_up_to_a_fifth_of_them() {
    let metric = Metric { kind: MetricKind::Conversion, ..guardrail("buys") };
    for (ones, counted) in [(20, true), (200, true), (3_000, true), (4_200, false), (15_000, false)] {
        let launch = gate(vec![metric.clone()], vec![Step::at_once(50.0)]);
        let arms = [moments(20_000, ones), moments(20_000, ones - ones / 8)];
        let both = look(&launch, &arms);
        let mut by_means = launch.clone();
        by_means.metrics[0].metric.kind = MetricKind::Count;
        let differs = (both.ln_e - look(&by_means, &arms).ln_e).abs() > 1e-6;
        assert!(only(&both).scale.is_some() && differs == counted, "{ones}: {both:?}");
    }
}

/// Units with a spread of 1 about `mean`.
fn spread_about(mean: f64) -> Moments {
    Moments::from_mean_and_variance(1_000_000, mean, 1.0, 1_000_000)
}

#[test]
fn a_metric_of_either_sign_with_a_mean_near_zero_is_weighed_by_its_spread() {
    let launch = ramp(Needs::Time);
    let found = look(&launch, &[spread_about(0.001), spread_about(-0.009)]);
    assert_eq!(only(&found).verdict, Verdict::Harm, "{found:?}");
    assert_eq!(plan(&launch, &found, None, NOW).action, Action::RollBack);
    let scale = only(&found).scale.unwrap();
    assert!((scale - 0.05).abs() < 1e-5, "{scale}");
    // Less than a standard error of the difference.
    let found = look(&launch, &[spread_about(0.001), spread_about(0.0)]);
    assert_eq!((found.warned, plan(&launch, &found, None, NOW).action), (false, Action::Advance));
    let found = look(&launch, &[spread_about(0.001), spread_about(0.011)]);
    assert_eq!((found.warned, plan(&launch, &found, None, NOW).action), (false, Action::Advance));
}

#[test]
fn harm_of_one_minute_holds_and_harm_of_two_is_acted_on() {
    let launch = ramp(Needs::Time);
    let control = [moments(5_000, 500), moments(6_000, 600), moments(7_000, 700)];
    let calm = [moments(5_000, 500), moments(6_000, 600), moments(7_000, 560)];
    let found = judge(&launch, Some(&by_minute(&launch, &control, &calm)), NOW);
    let least = found.least.unwrap();
    assert!(found.ln_e.exp() > 20.0 && least.ln_e.exp() < 20.0, "{found:?}");
    assert_eq!(least.bucket, Some(Bucket { from: NOW.plus_ms(-MINUTE_MS), to: NOW }));
    assert_eq!(only(&found).verdict, Verdict::Undecided);
    let held = plan(&launch, &found, None, NOW);
    assert_eq!((held.kind, held.action), (DecisionKind::Hold, Action::None));
    assert!(held.reasons[0].message.contains("carried by one bucket"), "{}", held.reasons[0].message);

    let lasting = [moments(5_000, 500), moments(6_000, 460), moments(7_000, 400)];
    let found = judge(&launch, Some(&by_minute(&launch, &control, &lasting)), NOW);
    assert!(found.least.unwrap().ln_e.exp() >= 20.0, "{found:?}");
    assert_eq!(only(&found).verdict, Verdict::Harm);
    assert_eq!(plan(&launch, &found, None, NOW).action, Action::RollBack);
}

#[test]
fn units_that_all_came_in_one_minute_leave_nothing_without_it() {
    let launch = ramp(Needs::Time);
    let none = moments(0, 0);
    let found = by_minute(&launch, &[none, moments(5_000, 500)], &[none, moments(5_000, 250)]);
    let found = judge(&launch, Some(&found), NOW);
    assert!(found.ln_e.exp() > 20.0);
    assert_eq!(found.least.unwrap().ln_e.to_bits(), 0.0_f64.to_bits());
    assert_eq!(plan(&launch, &found, None, NOW).kind, DecisionKind::Hold);
}

#[test]
fn what_is_older_than_the_kept_minutes_can_not_be_left_out() {
    let launch = ramp(Needs::Time);
    let (control, treatment) = (moments(5_000, 500), moments(5_000, 250));
    let found = by_minute(&launch, &[control, control], &[treatment, treatment]);
    let found = judge(&launch, Some(&found), NOW);
    assert_eq!(found.least.map(|least| least.ln_e), Some(found.ln_e));
    assert_eq!(plan(&launch, &found, None, NOW).action, Action::RollBack);
}

#[test]
fn a_judgement_can_be_made_again_from_its_record() {
    let launch = ramp(Needs::Time);
    let control = [moments(5_000, 500), moments(6_000, 600), moments(6_000, 600)];
    let treatment = [moments(5_000, 300), moments(5_500, 310), moments(6_000, 320)];
    let found = judge(&launch, Some(&by_minute(&launch, &control, &treatment)), NOW);
    let record: Judgement = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(judge(&launch, record.measurement(&launch).as_ref(), record.at), found);
}

#[test]
fn a_judgement_of_arms_that_begin_one_after_the_other_can_be_made_again_from_its_record() {
    let launch = experiment();
    // All come in another minute: first an arm, then the control, then the other arms.
    let states = |first: usize| {
        let sums: Vec<Moments> = (0..6_usize)
            .map(|minute| moments(if minute < first { 0 } else { 900 + minute as u64 }, 7))
            .collect();
        sums
    };
    let rows = ARMS.iter().zip([2, 1, 3, 0, 4]).map(|(arm, first)| {
        let mut row = row(arm, &states(first));
        // Cells begin with what came first.
        row.past.retain(|past| past.moments.n() > 0);
        row
    });
    let kept_from = NOW.plus_ms(-5 * MINUTE_MS);
    let metrics = BTreeMap::from([("buys".to_owned(), rows.collect())]);
    let found = Measurement { kept_from: Some(kept_from), ..unbucketed(Vec::new(), metrics) };
    let found = judge(&launch, Some(&found), NOW);
    assert_eq!(judge(&launch, found.measurement(&launch).as_ref(), NOW), found);
}

/// Harm that came over some minutes, and the same as a server gets it that does not measure.
fn as_followed(launch: &Launch) -> [Measurement; 2] {
    let states = |ones: u64| [1, 2, 3, 4].map(|minute| moments(1_000 * minute, ones * minute));
    let own = by_minute(launch, &states(200), &states(50));
    let (number, metrics) = (1, BTreeMap::new());
    let published = Published { launch: launch.id, number, at: NOW, measurement: own.clone(), metrics };
    [own, published.without_buckets().measurement]
}

#[test]
fn harm_in_numbers_that_came_without_their_buckets_is_a_warning() {
    let launch = ramp(Needs::Time);
    let [own, followed] = as_followed(&launch).map(|found| judge(&launch, Some(&found), NOW));
    assert_eq!(plan(&launch, &own, None, NOW).action, Action::RollBack);
    assert!((followed.ln_e - own.ln_e).abs() < 1e-12, "{} {}", followed.ln_e, own.ln_e);
    let said = plan(&launch, &followed, None, NOW);
    assert_eq!((said.kind, said.action), (DecisionKind::Hold, Action::None));
    assert_eq!(said.reasons[0].code, ReasonCode::Warning);
    assert!(said.reasons[0].message.contains("came without their buckets"), "{}", said.reasons[0].message);
    assert_eq!(only(&followed).verdict, Verdict::Undecided);
    assert!(followed.arms.iter().all(|arm| !arm.harmed));
    assert_eq!(judge(&launch, followed.measurement(&launch).as_ref(), NOW), followed);
    // A table without times has none to leave out.
    let table = Measurement { stripped: BTreeSet::new(), ..as_followed(&launch)[1].clone() };
    let found = judge(&launch, Some(&table), NOW);
    assert_eq!(plan(&launch, &found, None, NOW).action, Action::RollBack);
}

#[test]
fn what_a_guardrail_only_holds_by_it_holds_by_without_buckets_too() {
    let only_holds = Metric { action: crate::domain::metric::Action::Hold, ..guardrail("buys") };
    let launch = gate(vec![only_holds], vec![Step::at_once(50.0), Step::at_once(80.0)]);
    for found in as_followed(&launch) {
        let said = plan(&launch, &judge(&launch, Some(&found), NOW), None, NOW);
        assert_eq!((said.kind, said.action), (DecisionKind::Hold, Action::None));
    }
}

#[test]
fn a_metric_without_its_buckets_does_not_keep_another_one_from_being_acted_on() {
    let launch = gate(vec![guardrail("buys"), guardrail("signs")], vec![Step::at_once(50.0)]);
    let [mut found, _] = as_followed(&launch);
    let rows = found.metrics["buys"].clone();
    found.metrics.insert("signs".to_owned(), rows);
    found.stripped = BTreeSet::from(["buys".to_owned()]);
    let said = plan(&launch, &judge(&launch, Some(&found), NOW), None, NOW);
    assert_eq!(said.action, Action::RollBack);
}

/// A ramp at its second step, with what the units of each step did.
fn two_steps(first: [Moments; 2], second: [Moments; 2]) -> (Launch, Measurement) {
    let mut launch = gate(vec![guardrail("buys")], vec![Step::at_once(50.0), Step::at_once(60.0)]);
    launch.advance(NOW.plus_ms(-HOUR_MS / 2));
    let row = |epoch: u32, arm: &str, moments: Moments| ArmMoments {
        epoch,
        week: 0,
        arm: arm.to_owned(),
        moments: Outcome::Mean(moments),
        settled: Outcome::Mean(moments),
        past: Vec::new(),
    };
    let rows = [(1, first), (2, second)].into_iter().flat_map(|(epoch, [control, treatment])| {
        [row(epoch, CONTROL, control), row(epoch, TREATMENT, treatment)]
    });
    let metrics = BTreeMap::from([("buys".to_owned(), rows.collect())]);
    (launch, unbucketed(Vec::new(), metrics))
}

#[test]
fn harm_that_begins_with_a_later_step_is_seen_beside_much_that_was_well() {
    let well = moments(200_000, 20_000);
    let (launch, found) = two_steps([well, well], [moments(4_000, 400), moments(6_000, 420)]);
    let found = judge(&launch, Some(&found), NOW);
    assert_eq!(plan(&launch, &found, None, NOW).action, Action::RollBack, "{}", found.ln_e.exp());
    // Evidence of all steps together, and that of the second alone after that of the first.
    let evidence = |control, treatment| {
        let (control, treatment) = (Outcome::Mean(control), Outcome::Mean(treatment));
        epoch_evidence(&control, &treatment, Direction::HigherIsBetter, Test::Harm(0.0), 0.1).unwrap()
    };
    let scale_of_all = 20_400.0 / 204_000.0;
    assert!((only(&found).scale.unwrap() - scale_of_all).abs() < 1e-12);
    let second = evidence(moments(4_000, 400), moments(6_000, 420));
    let first = evidence(well, well);
    let all = first + second;
    let afresh = e_process::ln_e(first) + e_process::ln_e(second);
    let parts = [(0.75, e_process::ln_e(all)), (0.25, afresh)];
    let expected = ln_weighted_mean(&parts.map(|(weight, ln_e)| Weighted { weight, ln_e }));
    assert!((found.ln_e - expected).abs() < 1e-9, "{} and {expected}", found.ln_e);
    assert!(e_process::ln_e(all).exp() < 20.0, "all steps together show nothing yet");
}

#[test]
fn a_long_hold_starts_afresh_every_week() {
    let launch = Launch { started_at: START, ..gate(vec![guardrail("buys")], vec![Step::at_once(50.0)]) };
    let now = START.plus_ms(WEEK_MS + HOUR_MS);
    let row = |week: u32, arm: &str, moments: Moments| ArmMoments {
        epoch: 1,
        week,
        arm: arm.to_owned(),
        moments: Outcome::Mean(moments),
        settled: Outcome::Mean(moments),
        past: Vec::new(),
    };
    let well = moments(200_000, 20_000);
    let rows = vec![
        row(0, CONTROL, well),
        row(0, TREATMENT, well),
        row(1, CONTROL, moments(8_000, 800)),
        row(1, TREATMENT, moments(8_000, 560)),
    ];
    let metrics = BTreeMap::from([("buys".to_owned(), rows)]);
    let found = Measurement { as_of: now, watermark: now, ..unbucketed(Vec::new(), metrics) };
    let found = judge(&launch, Some(&found), now);
    assert_eq!(only(&found).epochs.len(), 2);
    assert_eq!(only(&found).by_epoch().len(), 1);
    assert_eq!(plan(&launch, &found, None, now).action, Action::RollBack, "{}", found.ln_e.exp());
}

#[test]
fn arms_that_did_not_get_their_units_make_every_number_blind() {
    let launch = ramp(Needs::Time);
    let found = look(&launch, &[moments(6_000, 600), moments(5_000, 250)]);
    assert!(found.ln_e.exp() > 20.0 && found.ln_e_sample_ratio.exp() > 1_000.0);
    assert_eq!((only(&found).verdict, only(&found).reason), (Verdict::Blind, Some(ReasonCode::SampleRatio)));
    let plan = plan(&launch, &found, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    let reason = plan.reasons.iter().find(|reason| reason.code == ReasonCode::SampleRatio).unwrap();
    assert!(reason.message.contains("6000 in control, 5000 in treatment"), "{}", reason.message);
    // There is harm whatever is taken away: it is not acted on for another reason, and nothing else is claimed.
    assert!(plan.reasons.iter().all(|reason| !reason.message.contains("carried")), "{:?}", plan.reasons);
}

#[test]
fn arms_that_may_have_lost_units_are_told_of_before_they_hold() {
    let launch = ramp(Needs::Time);
    let found = look(&launch, &[moments(5_300, 530), moments(4_900, 490)]);
    assert!((100.0..1_000.0).contains(&found.ln_e_sample_ratio.exp()), "{}", found.ln_e_sample_ratio.exp());
    let plan = plan(&launch, &found, None, NOW);
    assert_eq!(plan.kind, DecisionKind::Allow);
    assert!(codes(&plan.reasons).contains(&ReasonCode::SampleRatio), "{:?}", plan.reasons);
}

#[test]
fn the_groups_of_an_experiment_are_held_to_their_weights() {
    let launch = experiment();
    let arms = [10_000, 5_000, 5_000, 5_000, 5_000].map(|units| moments(units, units / 10));
    let weights = |control: f64| {
        ARMS.iter().map(move |arm| ((*arm).to_owned(), if *arm == "control" { control } else { 15.0 }))
    };
    let judged = |shares: BTreeMap<String, f64>| {
        judge(&launch, Some(&Measurement { shares, ..measured(&launch, &arms) }), NOW)
    };
    let even = judged(weights(15.0).collect());
    assert_eq!(even.verdicts[0].reason, Some(ReasonCode::SampleRatio));
    let planned = judged(weights(30.0).collect());
    assert_eq!(planned.verdicts[0].reason, Some(ReasonCode::Undecided));
    assert_eq!(judged(BTreeMap::new()).ln_e_sample_ratio.to_bits(), 0.0_f64.to_bits(), "unknown shares");
}

#[test]
fn what_is_excluded_shrinks_and_what_is_missing_is_what_it_takes() {
    let launch = ramp(Needs::Evidence);
    let at = |units: u64| {
        let arms = [moments(units, units / 10); 2];
        let found = look(&launch, &arms);
        (outlook(&launch, &found, only(&found)), only(&found).verdict)
    };
    let (early, verdict) = at(20_000);
    assert_eq!(verdict, Verdict::Undecided);
    let (later, _) = at(100_000);
    assert!(early.excluded.unwrap() > later.excluded.unwrap(), "{early:?} and {later:?}");
    assert!(later.excluded.unwrap() > DEFAULT_SHIP_MARGIN);
    let enough = 20_000 + early.missing_units.unwrap();
    assert!(enough > 100_000, "{early:?}");
    assert_eq!(at(enough + enough / 100).1, Verdict::Safe);
    assert_eq!(at(enough - enough / 50).1, Verdict::Undecided);
    // The units came in an hour.
    let hours = early.missing_days.unwrap() * 24.0;
    assert!((hours * 20_000.0 / early.missing_units.unwrap() as f64 - 1.0).abs() < 1e-3, "{early:?}");
}

#[test]
fn a_rise_by_more_than_the_whole_may_be_what_is_excluded() {
    let metric = Metric { direction: Direction::LowerIsBetter, ..guardrail("errors") };
    let launch = gate(vec![metric], vec![Step::at_once(50.0)]);
    let excluded = |arms: [Moments; 2]| {
        let found = look(&launch, &arms);
        assert_eq!(only(&found).verdict, Verdict::Undecided, "{found:?}");
        outlook(&launch, &found, only(&found)).excluded
    };
    let few = excluded([moments(600, 60), moments(600, 76)]).unwrap();
    assert!((1.0..2.0).contains(&few), "{few}");
    assert!(excluded([moments(20_000, 2_000), moments(20_000, 2_000)]).unwrap() < 0.2);
    // Of a fall, no more than all can be lost.
    let found = look(&ramp(Needs::Time), &[moments(240, 24), moments(240, 4)]);
    let excluded = outlook(&ramp(Needs::Time), &found, only(&found)).excluded;
    assert_eq!(excluded, Err(Undefined::NothingExcluded));
}

#[test]
fn what_is_missing_says_why_it_cannot_be_told() {
    let launch = ramp(Needs::Time);
    let mut nobody = measured(&launch, &[moments(20_000, 2_000); 2]);
    nobody.units = Vec::new();
    let found = judge(&launch, Some(&nobody), NOW);
    let told = outlook(&launch, &found, only(&found));
    assert!(told.missing_units.is_ok() && told.missing_days == Err(Undefined::NoTraffic), "{told:?}");
    let found = look(&launch, &[moments(20, 2); 2]);
    let told = outlook(&launch, &found, only(&found));
    assert_eq!((told.excluded, told.missing_units), (Err(Undefined::BurnIn), Err(Undefined::BurnIn)));
}

#[test]
fn a_p_value_is_that_of_the_largest_evidence_of_looks_that_can_be_trusted() {
    let mut launch = ramp(Needs::Time);
    let warning = look(&launch, &[moments(5_000, 500), moments(5_000, 415)]);
    warning.note_in(&mut launch);
    let then = warning.p_value(&launch);
    assert!(then < 0.2 && (then * warning.ln_e.exp() - 1.0).abs() < 1e-9, "{then}");
    let calm = look(&launch, &[moments(9_000, 900), moments(9_000, 900)]);
    assert!(calm.ln_e < warning.ln_e);
    assert_eq!((calm.p_value(&launch), calm.p_value_of_verdict(&launch, only(&calm))), (then, then));
    calm.note_in(&mut launch);
    let scored = scorecard(&launch, &measured(&launch, &[moments(9_000, 900); 2]), 0.95);
    let of_scorecard = scored[0].groups[0].score.p_value_at_every_look;
    assert_eq!((calm.p_value(&launch), of_scorecard), (then, then));
    // Far fewer in the treatment than its share: whatever they show, it counts for nothing.
    let skewed = look(&launch, &[moments(9_000, 900), moments(6_000, 200)]);
    assert!(skewed.ln_e > warning.ln_e + 1.0);
    skewed.note_in(&mut launch);
    assert_eq!((skewed.p_value(&launch), calm.p_value(&launch)), (then, then));
}

#[test]
fn a_launch_of_a_time_before_p_values_were_kept_is_read() {
    let launch = ramp(Needs::Time);
    let mut stored = serde_json::to_value(&launch).unwrap();
    assert!(stored.as_object_mut().unwrap().remove("largest_evidence").is_none());
    assert_eq!(serde_json::from_value::<Launch>(stored).unwrap(), launch);
}

#[test]
fn a_hold_for_evidence_says_what_is_excluded_and_what_is_missing() {
    let found = decide(&ramp(Needs::Evidence), &[moments(20_000, 2_000); 2]);
    let message = &found.reasons[0].message;
    assert!(message.contains("% or more is excluded so far"), "{message}");
    assert!(
        message.contains("more units of treatment") && message.contains("days at this pace"),
        "{message}"
    );
}

#[test]
fn a_ratio_without_sessions_says_why_it_is_blind() {
    let mut pairs = crate::stats::joint_moments::PairMoments::default();
    for unit in 0..500 {
        pairs.add(f64::from(unit % 3), 0.0);
    }
    let launch = ramp(Needs::Time);
    let mut found = measured(&launch, &[moments(500, 50); 2]);
    for row in found.metrics.values_mut().flatten() {
        (row.moments, row.settled) = (Outcome::Ratio(pairs), Outcome::Ratio(pairs));
    }
    let judgement = judge(&launch, Some(&found), NOW);
    assert_eq!(
        (only(&judgement).verdict, only(&judgement).reason),
        (Verdict::Blind, Some(ReasonCode::Undefined))
    );
    let plan = plan(&launch, &judgement, None, NOW);
    assert!(plan.reasons[0].message.contains("denominators"), "{}", plan.reasons[0].message);
}
