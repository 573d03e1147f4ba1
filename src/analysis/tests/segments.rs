//! Harm in one segment of the units: what holds the launch, and what rolls it back.

use super::*;
use crate::analysis::decision::{Decision, DecisionAction, DecisionId, GUARD};
use crate::analysis::measurement::{Columns, OTHER, Past, segment_name};
use crate::analysis::news::says_same;
use crate::domain::metric::Action as MetricAction;
use crate::domain::policy::Policy;

const COUNTRIES: [&str; 3] = ["DE", "FR", "US"];

/// A gate at 50 percent whose policy tells countries apart.
pub(super) fn by_country(metrics: Vec<Metric>) -> Launch {
    let mut launch = gate(metrics, vec![Step::at_once(50.0), Step::at_once(80.0)]);
    let segments = vec!["country".to_owned()];
    launch.policy.policy = Policy { segments, ..Policy::built_in("production") };
    launch
}

fn rows(control: Moments, treatment: Moments) -> Vec<ArmMoments> {
    let row = |(arm, moments): (&str, Moments)| ArmMoments {
        epoch: 1,
        week: 0,
        arm: arm.to_owned(),
        moments: Outcome::Mean(moments),
        settled: Outcome::Mean(moments),
        past: Vec::new(),
    };
    [(CONTROL, control), (TREATMENT, treatment)].map(row).to_vec()
}

/// So many units an arm and country, of whom one in ten does it, and in Germany a share of the treated ones.
pub(super) fn countries(launch: &Launch, units: u64, treated: u64) -> Measurement {
    harmed_in("DE", launch, units, treated)
}

/// The same with another country that is told apart.
fn harmed_in(harmed: &str, launch: &Launch, units: u64, treated: u64) -> Measurement {
    let ones = units / 10;
    let own = |country: &str| if country == harmed { treated } else { ones };
    let segments: BTreeMap<String, Vec<ArmMoments>> = COUNTRIES
        .iter()
        .map(|country| {
            (segment_name("country", country), rows(moments(units, ones), moments(units, own(country))))
        })
        .collect();
    let whole = [moments(3 * units, 3 * ones), moments(3 * units, 2 * ones + treated)];
    let columns =
        Columns::from([("country".to_owned(), COUNTRIES.iter().map(|one| (*one).to_owned()).collect())]);
    let of_metrics = launch.metrics.iter().map(|pinned| (pinned.metric.key.clone(), segments.clone()));
    Measurement { columns: Some(columns), segments: of_metrics.collect(), ..measured(launch, &whole) }
}

fn weights(judgement: &Judgement) -> (f64, f64) {
    let verdicts = judgement.verdicts.iter().map(|verdict| verdict.weight).sum();
    (verdicts, judgement.segments.iter().map(|segment| segment.weight).sum())
}

#[test]
fn segments_take_a_fifth_of_the_weight_and_only_where_the_policy_names_some() {
    let metrics = || vec![guardrail("buys"), Metric { weight: 3.0, ..guardrail("visits") }];
    let launch = by_country(metrics());
    let found = judge(&launch, Some(&countries(&launch, 1_000, 100)), NOW);
    let (verdicts, segments) = weights(&found);
    assert!((verdicts - 0.8).abs() < 1e-12 && (segments - 0.2).abs() < 1e-12, "{verdicts} {segments}");
    assert_eq!(found.segments.len(), 2 * (COUNTRIES.len() + 1));
    let of_value = |value: &str| found.segments.iter().filter(|one| one.value == value).count();
    assert_eq!((of_value("DE"), of_value(OTHER)), (2, 2));
    assert!((found.segments[0].weight - 0.2 * 0.25 / 4.0).abs() < 1e-12);

    // Before values are known their part of the evidence stands at 1.
    let unknown = Measurement { columns: None, ..countries(&launch, 1_000, 40) };
    let (waits, whole) = (judge(&launch, Some(&unknown), NOW), only_whole(&launch, 40));
    assert!(waits.segments.is_empty());
    assert!((waits.ln_e.exp() - (0.8 * whole.ln_e.exp() + 0.2)).abs() < 1e-9 * whole.ln_e.exp());

    // Numbers by segment change nothing where no policy names columns.
    let plain = gate(metrics(), launch.steps.clone());
    let (with, without) = (countries(&plain, 1_000, 40), only_whole(&plain, 40));
    let found = judge(&plain, Some(&Measurement { columns: None, ..with }), NOW);
    assert_eq!(found, without);
    assert_eq!(weights(&found), (1.0, 0.0));
}

/// What the launch says of all units alone, without columns.
fn only_whole(launch: &Launch, treated: u64) -> Judgement {
    let mut plain = launch.clone();
    plain.policy.policy.segments.clear();
    let found = countries(&plain, 1_000, treated);
    judge(&plain, Some(&Measurement { columns: None, segments: BTreeMap::new(), ..found }), NOW)
}

#[test]
fn harm_in_one_segment_holds_and_names_it_and_more_of_it_rolls_back() {
    let launch = by_country(vec![guardrail("buys")]);
    let found = judge(&launch, Some(&countries(&launch, 500, 20)), NOW);
    assert!(found.ln_e.exp() < 20.0, "{}", found.ln_e.exp());
    let held = plan(&launch, &found, None, NOW);
    assert_eq!((held.kind, held.action), (DecisionKind::Hold, Action::None));
    let reason = &held.reasons[0];
    assert_eq!(reason.code, ReasonCode::HarmInSegment);
    assert_eq!(reason.segment.as_deref(), Some("country=DE"));
    assert_eq!((reason.metric.as_deref(), reason.arm.as_deref()), (Some("buys"), Some(TREATMENT)));
    assert!(
        reason.message.starts_with("where country is DE, buys is 0.04000 on 500 units"),
        "{}",
        reason.message
    );
    let harmed: Vec<&str> =
        found.segments.iter().filter(|one| one.harm).map(|one| one.value.as_str()).collect();
    assert_eq!(harmed, ["DE"]);

    let found = judge(&launch, Some(&countries(&launch, 650, 26)), NOW);
    let whole = judge(&by_country_without(&launch), Some(&countries(&launch, 650, 26)), NOW);
    assert!(found.ln_e.exp() >= 20.0 && whole.ln_e.exp() < 20.0, "{} {}", found.ln_e.exp(), whole.ln_e.exp());
    let acted = plan(&launch, &found, None, NOW);
    assert_eq!((acted.kind, acted.action), (DecisionKind::RollBack, Action::RollBack));
    assert!(codes(&acted.reasons).contains(&ReasonCode::HarmInSegment));
}

#[test]
fn harm_that_moves_to_another_segment_is_news_and_the_same_again_is_not() {
    let launch = by_country(vec![guardrail("buys")]);
    let said = |harmed: &str, treated: u64| {
        let found = judge(&launch, Some(&harmed_in(harmed, &launch, 500, treated)), NOW);
        plan(&launch, &found, None, NOW)
    };
    let first = said("DE", 20);
    assert_eq!((first.kind, first.reasons[0].code), (DecisionKind::Hold, ReasonCode::HarmInSegment));
    let last = Decision {
        id: DecisionId(Uuid::nil()),
        launch: launch.clone(),
        judgement: None,
        kind: first.kind,
        action: DecisionAction::None,
        arm: None,
        reasons: first.reasons,
        percentage: 50.0,
        actor: GUARD.to_owned(),
        at: NOW,
        config_revision: 1,
        guard_age_ms: None,
        tells_undecided: true,
        target_revision: None,
        latch: None,
    };
    assert!(says_same(&last, &said("DE", 21)), "other figures are none");
    let moved = said("FR", 20);
    assert_eq!(codes(&moved.reasons), codes(&last.reasons));
    assert!(!says_same(&last, &moved));
}

fn by_country_without(launch: &Launch) -> Launch {
    let mut plain = launch.clone();
    plain.policy.policy.segments.clear();
    plain
}

#[test]
fn segments_that_are_alike_hold_nothing() {
    let launch = by_country(vec![guardrail("buys")]);
    let found = judge(&launch, Some(&countries(&launch, 1_000, 95)), NOW);
    assert!(found.segments.iter().all(|segment| !segment.harm));
    assert_ne!(plan(&launch, &found, None, NOW).kind, DecisionKind::Hold);
}

#[test]
fn a_judgement_of_segments_is_made_again_from_its_record() {
    let launch = by_country(vec![guardrail("buys")]);
    for treated in [26, 60] {
        let found = judge(&launch, Some(&countries(&launch, 650, treated)), NOW);
        assert_eq!(judge(&launch, found.measurement(&launch).as_ref(), NOW), found);
    }
}

#[test]
fn a_guardrail_that_only_holds_does_so_in_a_segment_and_never_rolls_back() {
    let holds = Metric { action: MetricAction::Hold, ..guardrail("buys") };
    let launch = by_country(vec![holds]);
    let found = judge(&launch, Some(&countries(&launch, 5_000, 200)), NOW);
    assert_eq!(weights(&found), (0.0, 0.0));
    let plan = plan(&launch, &found, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    assert!(codes(&plan.reasons).contains(&ReasonCode::HarmInSegment), "{:?}", plan.reasons);
    assert!(codes(&plan.reasons).contains(&ReasonCode::Harm), "{:?}", plan.reasons);

    let reports = Metric { action: MetricAction::Report, ..guardrail("buys") };
    let launch = by_country(vec![reports]);
    let found = judge(&launch, Some(&countries(&launch, 5_000, 200)), NOW);
    assert!(found.segments.is_empty());
    assert_eq!(super::plan(&launch, &found, None, NOW).kind, DecisionKind::Allow);
}

#[test]
fn harm_of_a_segment_in_one_bucket_rolls_nothing_back() {
    let launch = by_country(vec![guardrail("buys")]);
    // Until the last bucket there was nobody.
    let mut found = countries(&launch, 650, 26);
    let empty = Past { at: NOW.plus_ms(-60_000), moments: Outcome::default(), settled: Outcome::default() };
    let of_segments = found.segments.values_mut().flat_map(BTreeMap::values_mut);
    found.metrics.values_mut().chain(of_segments).flatten().for_each(|row| row.past.push(empty));
    found.kept_from = Some(NOW.plus_ms(-60_000));
    let judged = judge(&launch, Some(&found), NOW);
    assert!(judged.ln_e.exp() >= 20.0);
    let plan = plan(&launch, &judged, None, NOW);
    assert_eq!((plan.kind, plan.action), (DecisionKind::Hold, Action::None));
    assert_eq!(judge(&launch, judged.measurement(&launch).as_ref(), NOW), judged);
}

/// Looks of one launch whose units come from three countries, 50 an arm, country and look; gives at which of the looks the
/// launch was first held for a segment, and at which it was rolled back, with segments and without.
fn simulated(seed: u64, harmed: f64) -> [Option<u32>; 3] {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut launch = by_country(vec![guardrail("buys")]);
    let mut plain = by_country_without(&launch);
    let mut counts = [[(0, 0); 2]; COUNTRIES.len()];
    let mut first = [None; 3];
    for look in 1..=30 {
        for (country, arms) in counts.iter_mut().enumerate() {
            for (arm, (units, ones)) in arms.iter_mut().enumerate() {
                let share = if country == 0 && arm == 1 { harmed } else { 0.1 };
                *units += 50;
                *ones += (0..50).filter(|_| random.random_bool(share)).count() as u64;
            }
        }
        let arm =
            |arm: usize| counts.iter().map(|arms| arms[arm]).fold((0, 0), |(n, k), (m, l)| (n + m, k + l));
        let whole = [arm(0), arm(1)].map(|(units, ones)| moments(units, ones));
        let by_country = COUNTRIES.iter().zip(counts).map(|(country, [control, treated])| {
            let [control, treated] = [control, treated].map(|(units, ones)| moments(units, ones));
            (segment_name("country", country), rows(control, treated))
        });
        let columns = COUNTRIES.iter().map(|one| (*one).to_owned()).collect();
        let measurement = Measurement {
            columns: Some(Columns::from([("country".to_owned(), columns)])),
            segments: BTreeMap::from([("buys".to_owned(), by_country.collect())]),
            ..measured(&launch, &whole)
        };
        let found = judge(&launch, Some(&measurement), NOW);
        let without = judge(&plain, Some(&measurement), NOW);
        found.note_in(&mut launch);
        without.note_in(&mut plain);
        let seen = [
            found.segments.iter().any(|one| one.harm),
            found.ln_e >= 20_f64.ln(),
            without.ln_e >= 20_f64.ln(),
        ];
        for (first, seen) in first.iter_mut().zip(seen) {
            *first = first.or(seen.then_some(look));
        }
    }
    first
}

#[test]
fn harmless_launches_are_seldom_held_for_a_segment_or_rolled_back() {
    let runs: Vec<[Option<u32>; 3]> = (0..200).map(|seed| simulated(seed, 0.1)).collect();
    let alarms = |which: usize| runs.iter().filter(|first| first[which].is_some()).count();
    assert!(alarms(0) <= 10 && alarms(1) <= 10, "{} {}", alarms(0), alarms(1));
}

#[test]
fn harm_in_one_country_is_acted_on_earlier_with_segments_than_without() {
    let runs: Vec<[Option<u32>; 3]> = (0..60).map(|seed| simulated(seed, 0.04)).collect();
    let median = |which: usize| {
        let mut looks: Vec<u32> = runs.iter().map(|first| first[which].unwrap_or(u32::MAX)).collect();
        looks.sort_unstable();
        looks[looks.len() / 2]
    };
    assert!(median(0) <= median(1) && median(1) < median(2), "{} {} {}", median(0), median(1), median(2));
}
