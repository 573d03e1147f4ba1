//! How much time evidence must cover before it lets a launch go on.

use super::*;
use crate::analysis::answer::{answer, answer_ship};
use crate::domain::launch::Override;
use crate::domain::time::DAY_MS;

/// The usual cycle: a day for a step, a week for everyone.
fn usual(mut launch: Launch) -> Launch {
    launch.policy.policy.cycle = Some(Cycle::default());
    launch
}

/// What is planned where all guardrails are shown safe by numbers up to so many days after the start.
fn after_days(launch: &Launch, days: i64) -> Plan {
    let now = START.plus_ms(days * DAY_MS);
    let arms = vec![moments(2_000_000, 200_000); launch.arms.len()];
    let found = Measurement { as_of: now, watermark: now, ..measured(launch, &arms) };
    plan(launch, &judge(launch, Some(&found), now), None, now)
}

fn unseen(plan: &Plan) -> bool {
    let is_cycle = |reason: &Reason| reason.message.contains("of a cycle of");
    plan.reasons.iter().any(|reason| reason.code == ReasonCode::StepNotDone && is_cycle(reason))
}

#[test]
fn a_step_by_evidence_waits_for_a_day_and_one_to_everyone_for_a_week() {
    let to = |percentage| {
        let first = Step { needs: Needs::Evidence, ..Step::at_once(50.0) };
        gate(vec![guardrail("buys")], vec![first, Step::at_once(percentage)])
    };
    let further = usual(to(80.0));
    let early = after_days(&further, 0);
    assert_eq!((early.kind, early.action.clone(), unseen(&early)), (DecisionKind::Allow, Action::None, true));
    assert_eq!(after_days(&further, 1).action, Action::Advance);
    let everyone = usual(to(100.0));
    assert!(unseen(&after_days(&everyone, 1)) && unseen(&after_days(&everyone, 6)));
    assert_eq!(after_days(&everyone, 7).action, Action::Advance);
    for days in [0, -1] {
        assert!(!unseen(&after_days(&to(100.0), days)), "none is asked for");
    }
    assert_eq!(after_days(&to(100.0), 0).action, Action::Advance);
}

#[test]
fn what_needs_only_time_waits_for_no_cycle() {
    let launch = usual(gate(vec![guardrail("buys")], vec![Step::at_once(50.0), Step::at_once(100.0)]));
    assert_eq!(after_days(&launch, 0).action, Action::Advance);
    // And nothing is seen in any time where nothing is watched.
    let by_evidence = Step { needs: Needs::Evidence, ..Step::at_once(50.0) };
    let unwatched = usual(gate(Vec::new(), vec![by_evidence, Step::at_once(100.0)]));
    assert_eq!(after_days(&unwatched, 0).action, Action::Advance);
}

#[test]
fn a_group_is_shipped_after_a_week_or_by_an_override() {
    let launch = usual(experiment());
    let early = after_days(&launch, 6);
    assert_eq!((early.kind, unseen(&early)), (DecisionKind::Hold, true));
    let late = after_days(&launch, 7);
    assert_eq!((late.kind, unseen(&late)), (DecisionKind::Allow, false));

    let found = judge(&launch, Some(&measured(&launch, &[moments(2_000_000, 200_000); 5])), NOW);
    let kind = |launch: &Launch| answer_ship(launch, Some(&found), None, NOW).0;
    assert_eq!(kind(&launch), DecisionKind::Hold);
    let word = Override {
        principal: "ada".to_owned(),
        reason: "It must go out.".to_owned(),
        at: START,
        expires_at: NOW.plus_ms(1),
    };
    assert_eq!(kind(&Launch { overridden: Some(word), ..launch.clone() }), DecisionKind::Allow);
    let mut shadow = launch.clone();
    shadow.policy.policy.shadow = true;
    assert_eq!(kind(&shadow), DecisionKind::Allow);
    // A launch that began before there was any has none.
    let mut old = launch;
    old.policy.policy.cycle = None;
    assert_eq!(answer(&old, Some(&found), None, NOW).0, DecisionKind::Allow);
}
