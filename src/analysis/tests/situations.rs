//! What the guard says and does, situation by situation.

use super::*;
use crate::domain::metric::DEFAULT_FRESHNESS_MS;

#[test]
fn without_any_look_a_raise_is_held() {
    let (kind, reasons) = answer_raise(&ramp(Needs::Time), None, None, Needs::Time, NOW);
    assert_eq!((kind, codes(&reasons)), (DecisionKind::Hold, vec![ReasonCode::NotJudged]));
}

#[test]
fn without_numbers_a_guardrail_is_blind_and_holds() {
    let launch = ramp(Needs::Time);
    let judgement = judge(&launch, None, NOW);
    assert_eq!(
        (only(&judgement).verdict, only(&judgement).reason),
        (Verdict::Blind, Some(ReasonCode::NoData))
    );
    assert_eq!((judgement.ln_e, judgement.as_of), (0.0, None));
    let plan = plan(&launch, &judgement, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    assert_eq!(codes(&plan.reasons)[0], ReasonCode::NoData);
}

#[test]
fn a_missing_arm_is_no_data() {
    let launch = ramp(Needs::Time);
    let judgement = look(&launch, &[moments(5_000, 500), moments(0, 0)]);
    assert_eq!(
        (only(&judgement).verdict, only(&judgement).reason),
        (Verdict::Blind, Some(ReasonCode::NoData))
    );
}

#[test]
fn numbers_older_than_the_metrics_freshness_are_stale_and_hold() {
    let launch = ramp(Needs::Time);
    let measured = measured(&launch, &same());
    let at = |age: i64| judge(&launch, Some(&measured), NOW.plus_ms(age));
    assert_eq!(only(&at(DEFAULT_FRESHNESS_MS)).verdict, Verdict::Undecided);
    let stale = at(DEFAULT_FRESHNESS_MS + 1);
    assert_eq!((only(&stale).verdict, only(&stale).reason), (Verdict::Blind, Some(ReasonCode::Stale)));
    let plan = plan(&launch, &stale, None, stale.at);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    assert_eq!(codes(&plan.reasons), [ReasonCode::Stale]);
    assert!(plan.reasons[0].message.contains("300001 ms old"), "{}", plan.reasons[0].message);
}

#[test]
fn before_burn_in_there_is_no_evidence() {
    let launch = ramp(Needs::Time);
    for arms in [[moments(99, 18), moments(99, 0)], [moments(100, 18), moments(100, 0)]] {
        let judgement = look(&launch, &arms);
        assert_eq!(only(&judgement).reason, Some(ReasonCode::BurnIn));
        assert_eq!((judgement.ln_e, only(&judgement).scale), (0.0, None));
        assert_eq!(plan(&launch, &judgement, None, NOW).kind, DecisionKind::Hold);
    }
    let through = look(&launch, &[moments(100, 90), moments(100, 0)]);
    assert_eq!(only(&through).verdict, Verdict::Harm, "what is expected counts, not what is seen");
}

#[test]
fn epochs_too_small_to_count_are_burn_in_even_when_together_they_are_not() {
    let mut launch = ramp(Needs::Time);
    for _ in 0..7 {
        launch.begin_epoch(50.0, START);
    }
    let row = |epoch: u32, arm: &str| ArmMoments {
        epoch,
        arm: arm.to_owned(),
        week: 0,
        moments: Outcome::Mean(moments(20, 10)),
        settled: Outcome::Mean(moments(20, 10)),
        past: Vec::new(),
    };
    let rows = (1..=8).flat_map(|epoch| [row(epoch, CONTROL), row(epoch, TREATMENT)]).collect();
    let metrics = BTreeMap::from([("buys".to_owned(), rows)]);
    let judgement = judge(&launch, Some(&unbucketed(Vec::new(), metrics)), NOW);
    assert_eq!(
        (only(&judgement).verdict, only(&judgement).reason),
        (Verdict::Blind, Some(ReasonCode::BurnIn))
    );
}

#[test]
fn a_warning_is_reached_at_the_hold_level_and_kept_until_below_half_of_it() {
    let mut launch = ramp(Needs::Time);
    let e = |launch: &Launch, treatment| look(launch, &[moments(20_000, 2_000), treatment]);
    let below = e(&launch, moments(20_000, 1_855));
    assert!((2.5..5.0).contains(&below.ln_e.exp()) && !below.warned, "{}", below.ln_e.exp());
    let reached = e(&launch, moments(20_000, 1_830));
    assert!((5.0..20.0).contains(&reached.ln_e.exp()) && reached.warned, "{}", reached.ln_e.exp());
    let plan = plan(&launch, &reached, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    assert_eq!(codes(&plan.reasons), [ReasonCode::Warning]);
    launch.warned = true;
    assert!(e(&launch, moments(20_000, 1_855)).warned, "kept between half the level and the level");
    let left = e(&launch, moments(20_000, 1_880));
    assert!(left.ln_e.exp() < 2.5 && !left.warned, "{}", left.ln_e.exp());
}

#[test]
fn harm_in_a_gate_turns_the_whole_treatment_off() {
    for needs in [Needs::Time, Needs::Evidence] {
        let launch = ramp(needs);
        let plan = decide(&launch, &harm());
        assert_eq!((plan.kind, plan.action), (DecisionKind::RollBack, Action::RollBack));
        assert_eq!(codes(&plan.reasons), [ReasonCode::Harm, ReasonCode::Harm]);
        assert_eq!(plan.reasons[0].metric.as_deref(), Some("buys"));
        let (kind, _) = answer_raise(&launch, Some(&look(&launch, &harm())), None, Needs::Time, NOW);
        assert_eq!(kind, DecisionKind::RollBack);
    }
}

#[test]
fn total_breakage_at_one_percent_is_harm_although_the_arm_has_no_variance() {
    let launch = ramp_from(1.0, Needs::Time);
    let judgement = look(&launch, &[moments(99_000, 9_900), moments(1_000, 0)]);
    assert_eq!(only(&judgement).verdict, Verdict::Harm);
    assert_eq!(plan(&launch, &judgement, None, NOW).action, Action::RollBack);
}

#[test]
fn total_breakage_of_what_always_worked_is_harm_although_no_arm_has_a_variance() {
    let launch = ramp_from(10.0, Needs::Time);
    let broken = decide(&launch, &[moments(9_000, 9_000), moments(1_000, 0)]);
    assert_eq!((broken.kind, broken.action), (DecisionKind::RollBack, Action::RollBack));
    let healthy = decide(&launch, &[moments(9_000, 9_000), moments(1_000, 1_000)]);
    assert_eq!((healthy.kind, healthy.action), (DecisionKind::Allow, Action::Advance));
}

#[test]
fn harm_stands_when_the_numbers_turn_stale() {
    let launch = ramp(Needs::Time);
    let judgement = judge(&launch, Some(&measured(&launch, &harm())), NOW.plus_ms(30 * HOUR_MS));
    assert_eq!(only(&judgement).verdict, Verdict::Harm);
    assert_eq!(plan(&launch, &judgement, None, judgement.at).action, Action::RollBack);
}

#[test]
fn a_metric_that_is_no_guardrail_does_not_roll_back() {
    let metric = Metric { tags: Vec::new(), ..guardrail("buys") };
    let launch = gate(vec![metric], vec![Step::at_once(50.0), Step::at_once(80.0)]);
    let judgement = look(&launch, &harm());
    assert_eq!((judgement.ln_e, only(&judgement).verdict), (0.0, Verdict::Harm));
    assert_eq!(plan(&launch, &judgement, None, NOW).action, Action::Advance);
}

#[test]
fn one_harmed_arm_of_four_is_stopped_alone_and_then_counts_no_longer() {
    let mut launch = experiment();
    let fine = moments(5_000, 500);
    let arms = [fine, fine, moments(5_000, 250), fine, fine];
    let found = decide(&launch, &arms);
    assert_eq!(found.kind, DecisionKind::RollBack);
    assert_eq!(found.action, Action::StopArms(vec!["b".to_owned()]));
    assert_eq!(found.reasons[0].arm.as_deref(), Some("b"));
    launch.stop_arm("b", NOW);
    let judgement = look(&launch, &arms);
    assert_eq!(judgement.verdicts.len(), 3);
    assert!(judgement.ln_e < 0.0, "{}", judgement.ln_e);
    assert_eq!(plan(&launch, &judgement, None, NOW).action, Action::None);
}

#[test]
fn all_arms_harmed_roll_the_experiment_back() {
    let bad = moments(5_000, 250);
    let plan = decide(&experiment(), &[moments(5_000, 500), bad, bad, bad, bad]);
    assert_eq!((plan.kind, plan.action), (DecisionKind::RollBack, Action::RollBack));
}

#[test]
fn a_total_that_no_arm_carries_alone_rolls_the_experiment_back() {
    let launch = experiment();
    // Each arm's e-value is between 20 and 80, so a quarter of it is below 20.
    let worse = moments(20_000, 1_800);
    let judgement = look(&launch, &[moments(20_000, 2_000), worse, worse, worse, worse]);
    assert!(judgement.verdicts.iter().all(|verdict| (20.0..80.0).contains(&verdict.ln_e.exp())));
    let plan = plan(&launch, &judgement, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::RollBack, Action::RollBack));
}

#[test]
fn after_arms_were_stopped_no_verdict_claims_more_than_the_launch_shows() {
    let mut launch = experiment();
    for arm in ["b", "c", "d"] {
        launch.stop_arm(arm, NOW);
    }
    let fine = moments(20_000, 2_000);
    let judgement = look(&launch, &[fine, moments(20_000, 1_800), fine, fine, fine]);
    assert!(only(&judgement).ln_e.exp() > 20.0 && judgement.ln_e.exp() < 20.0);
    assert_eq!(only(&judgement).verdict, Verdict::Undecided);
    assert_eq!(plan(&launch, &judgement, None, NOW).kind, DecisionKind::Hold);
}

#[test]
fn a_step_of_evidence_holds_until_every_guardrail_is_safe() {
    let launch = ramp(Needs::Evidence);
    let held = decide(&launch, &same());
    assert_eq!((held.kind, held.action), (DecisionKind::Hold, Action::None));
    assert_eq!(codes(&held.reasons), [ReasonCode::Undecided]);
    assert!(held.reasons[0].message.contains("no harm shown"), "{}", held.reasons[0].message);
    let safe = decide(&launch, &[moments(200_000, 20_000), moments(200_000, 20_400)]);
    assert_eq!((safe.kind, safe.action), (DecisionKind::Allow, Action::Advance));
    assert_eq!(codes(&safe.reasons), [ReasonCode::Safe]);
}

#[test]
fn a_step_of_time_goes_on_when_its_time_is_covered_and_its_units_are_there() {
    let launch = ramp(Needs::Time);
    let done = decide(&launch, &same());
    assert_eq!((done.kind, done.action), (DecisionKind::Allow, Action::Advance));
    // What is not known goes on, and never silently.
    assert_eq!(codes(&done.reasons), [ReasonCode::NoHarmShown, ReasonCode::Undecided]);
    assert!(done.reasons[1].message.contains("not shown safe"), "{}", done.reasons[1].message);

    let mut early = measured(&launch, &same());
    early.as_of = NOW.plus_ms(-1);
    let judgement = judge(&launch, Some(&early), NOW);
    let waiting = plan(&launch, &judgement, None, NOW);
    assert_eq!((waiting.kind, waiting.action), (DecisionKind::Allow, Action::None));
    let all = [ReasonCode::NoHarmShown, ReasonCode::Undecided, ReasonCode::StepNotDone];
    assert_eq!(codes(&waiting.reasons), all);

    let mut few = measured(&launch, &same());
    few.units[1].units = 499;
    let judgement = judge(&launch, Some(&few), NOW);
    let waiting = plan(&launch, &judgement, None, NOW);
    assert_eq!(waiting.action, Action::None);
    assert!(waiting.reasons[2].message.contains("499 of its 500"), "{}", waiting.reasons[2].message);
}

#[test]
fn the_units_of_earlier_steps_do_not_count_for_this_one() {
    let mut launch = ramp(Needs::Time);
    launch.steps.push(Step::at_once(100.0));
    launch.steps[1].min_units = 500;
    launch.advance(NOW);
    let found = decide(&launch, &same());
    assert_eq!((found.kind, found.action), (DecisionKind::Allow, Action::None));
    assert_eq!(codes(&found.reasons).last(), Some(&ReasonCode::StepNotDone));
}

#[test]
fn the_last_step_below_everyone_stays() {
    let launch = gate(vec![guardrail("buys")], vec![Step::at_once(50.0)]);
    assert_eq!(launch.state, LaunchState::Steady);
    let found = decide(&launch, &same());
    assert_eq!((found.kind, found.action), (DecisionKind::Allow, Action::None));
}

#[test]
fn at_everyone_the_launch_completes() {
    let mut launch = gate(vec![guardrail("buys")], vec![Step::at_once(50.0), Step::at_once(100.0)]);
    launch.advance(NOW);
    assert_eq!(decide(&launch, &same()).action, Action::Complete);
    assert_eq!(decide(&launch, &harm()).action, Action::RollBack, "protection comes first");
}

#[test]
fn an_experiment_does_not_complete_by_itself() {
    let fine = moments(5_000, 500);
    assert_eq!(decide(&experiment(), &[fine; 5]).action, Action::None);
}

#[test]
fn a_launch_without_guardrails_goes_by_the_clock() {
    let step = Step { min_duration_ms: HOUR_MS, ..Step::at_once(10.0) };
    let launch = gate(Vec::new(), vec![step, Step::at_once(50.0)]);
    let judgement = judge(&launch, None, NOW);
    assert_eq!(plan(&launch, &judgement, None, NOW.plus_ms(-1)).action, Action::None);
    let done = plan(&launch, &judgement, None, NOW);
    assert_eq!((done.kind, done.action), (DecisionKind::Allow, Action::Advance));
}

#[test]
fn a_closed_latch_blocks_whatever_the_numbers_say() {
    let launch = ramp(Needs::Time);
    let latch = Latch {
        id: LatchId(Uuid::nil()),
        target: launch.target.clone(),
        arm: None,
        launch: launch.id,
        cause: "buys fell by half".to_owned(),
        closed_at: START,
        resolution: None,
    };
    let judgement = look(&launch, &[moments(200_000, 20_000), moments(200_000, 20_400)]);
    let found = plan(&launch, &judgement, Some(&latch), NOW);
    assert_eq!((found.kind, found.action), (DecisionKind::Block, Action::None));
    assert_eq!(codes(&found.reasons)[0], ReasonCode::LatchClosed);
    assert!(found.reasons[0].message.contains("buys fell by half"));
    let (kind, _) = answer_raise(&launch, None, Some(&latch), Needs::Time, NOW);
    assert_eq!(kind, DecisionKind::Block);
    let harmed = plan(&launch, &look(&launch, &harm()), Some(&latch), NOW);
    assert_eq!(harmed.action, Action::RollBack, "new harm is acted on behind a closed latch too");
}

#[test]
fn weights_of_guardrails_and_arms_sum_to_one() {
    let target = Target::Experiment { experiment: "colour".to_owned() };
    let metrics = vec![Metric { weight: 3.0, ..guardrail("buys") }, guardrail("visits")];
    let launch = launch(target, &ARMS, metrics, vec![Step::at_once(100.0)]);
    let judgement = look(&launch, &[moments(5_000, 500); 5]);
    let weights: Vec<f64> = judgement.verdicts.iter().map(|verdict| verdict.weight).collect();
    assert_eq!(weights, [[0.1875; 4], [0.0625; 4]].concat());
}

#[test]
fn a_scale_once_frozen_is_kept() {
    let mut launch = ramp(Needs::Time);
    assert_eq!(only(&look(&launch, &same())).scale, Some(0.1));
    launch.metrics[0].scale = Some(0.25);
    assert_eq!(only(&look(&launch, &same())).scale, Some(0.25));
}

#[test]
fn an_e_value_beyond_all_numbers_is_still_told_in_words() {
    let found = decide(&ramp(Needs::Time), &[moments(20_000, 19_000), moments(20_000, 0)]);
    assert_eq!(found.action, Action::RollBack);
    assert!(found.reasons.iter().all(|reason| !reason.message.contains("inf")), "{:?}", found.reasons);
}

/// A ramp at its second step, with what units of the first did in it and so far.
fn returning(harmed: bool) -> (Launch, Measurement) {
    let mut launch = ramp(Needs::Time);
    launch.advance(NOW.plus_ms(-HOUR_MS));
    let row = |arm: &str, so_far: Moments| ArmMoments {
        epoch: 1,
        arm: arm.to_owned(),
        week: 0,
        moments: Outcome::Mean(moments(4_000, 400)),
        settled: Outcome::Mean(so_far),
        past: Vec::new(),
    };
    let treated = if harmed { moments(4_000, 420) } else { moments(4_000, 800) };
    let rows = vec![row(CONTROL, moments(3_000, 600)), row(TREATMENT, treated)];
    let metrics = launch.metrics.iter().map(|pinned| (pinned.metric.key.clone(), rows.clone())).collect();
    (launch, unbucketed(Vec::new(), metrics))
}

#[test]
fn harm_that_begins_after_a_raise_is_seen_in_units_that_come_back() {
    let (launch, measurement) = returning(true);
    let judgement = judge(&launch, Some(&measurement), NOW);
    assert_eq!(plan(&launch, &judgement, None, NOW).action, Action::RollBack);
    let (launch, measurement) = returning(false);
    let judgement = judge(&launch, Some(&measurement), NOW);
    assert_eq!(plan(&launch, &judgement, None, NOW).kind, DecisionKind::Allow);
}

#[test]
fn evidence_from_before_a_raise_says_nothing_of_a_share_beyond_the_plan() {
    let (mut launch, measurement) = returning(false);
    launch.replan(vec![Step::at_once(99.0)], NOW);
    let judgement = judge(&launch, Some(&measurement), NOW);
    assert_eq!(only(&judgement).reason, Some(ReasonCode::BurnIn));
    assert_eq!(plan(&launch, &judgement, None, NOW).kind, DecisionKind::Hold);
}

#[test]
fn a_warning_is_not_left_for_want_of_numbers() {
    let mut launch = ramp(Needs::Time);
    launch.warned = true;
    assert!(judge(&launch, None, NOW).warned);
}
