//! What the plan says.

use serde_json::Value;

use super::*;
use crate::cli::output::Format;

/// A change of the flags.
type Change = fn(&mut PlanArgs);

/// A metric with nine times the squared mean as its variance, at a ramp of 1 % with 10,000 treated units a day.
fn args() -> PlanArgs {
    PlanArgs {
        effect: vec![0.1, 0.5],
        rate: None,
        mean: None,
        sd: None,
        variation: Some(3.0),
        correlation: 0.0,
        share: 0.01,
        daily: Some(1_000_000.0),
        guardrails: 1,
        arms: 1,
        alpha: ALPHA,
        power: 0.8,
        ship_margin: DEFAULT_SHIP_MARGIN,
        units: None,
        output: Output { format: Format::Json, json: false },
    }
}

fn plan(change: impl FnOnce(&mut PlanArgs)) -> Result<String, PlanError> {
    let mut args = args();
    change(&mut args);
    let mut out = Vec::new();
    run(&args, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn json(change: impl FnOnce(&mut PlanArgs)) -> Value {
    serde_json::from_str(&plan(change).unwrap()).unwrap()
}

fn assert_near(found: &Value, expected: f64, relative: f64) {
    let found = found.as_f64().unwrap();
    assert!((found / expected - 1.0).abs() <= relative, "{found} is not near {expected}");
}

#[test]
fn a_fall_by_a_tenth_at_one_percent_is_found_in_sixteen_hours() {
    let found = json(|_| {});
    assert_near(&found["noise"], 9.09, 1e-3);
    let half = &found["harm"][0]["delays"][1];
    assert_eq!(half["found"], 0.5);
    assert_near(&half["treated"], 6_800.0, 5e-3);
    assert_near(&half["days"], 16.0 / 24.0, 0.03);
    let half_of_larger = &found["harm"][1]["delays"][1];
    assert_near(&half_of_larger["treated"], 272.0, 5e-3);
    assert_near(&half_of_larger["days"], 39.0 / 24.0 / 60.0, 0.01);
}

#[test]
fn one_planned_look_takes_the_units_of_the_textbook() {
    // (z₀.₉₅ + z₀.₈)²·c/δ² = 6.1826·9.0909/0.01.
    let found = json(|_| {});
    assert_near(&found["harm"][0]["one_look"]["treated"], 5_620.5, 1e-4);
    assert_near(&found["harm"][0]["one_look"]["control"], 99.0 * 5_620.5, 1e-4);
    assert_near(&found["harm"][0]["inflation"], 12.7 / 6.1826, 0.005);
}

#[test]
fn more_guardrails_take_longer_to_find_harm_and_to_be_shown_safe() {
    let (one, five) = (json(|_| {}), json(|args| args.guardrails = 5));
    assert_near(&five["level"], 0.01, 1e-12);
    let half = |plan: &Value| plan["harm"][0]["delays"][1]["treated"].as_f64().unwrap();
    assert!((half(&five) / half(&one) - 10.6 / 7.49).abs() < 0.01);
    assert_near(&five["safety"]["power_each"], 0.96, 1e-12);
    let safe = |plan: &Value| plan["safety"]["every_look"]["treated"].as_f64().unwrap();
    assert!(safe(&five) > safe(&one));
}

#[test]
fn rate_mean_and_variation_say_the_same() {
    let noise = |change: Change| {
        json(|args| {
            args.variation = None;
            change(args);
        })["noise"]
            .clone()
    };
    let of_rate = noise(|args| args.rate = Some(0.1));
    assert_near(&of_rate, 9.0 / 0.99, 1e-12);
    assert_eq!(noise(|args| args.variation = Some(3.0)), of_rate);
    assert_eq!(noise(|args| (args.mean, args.sd) = (Some(-2.0), Some(6.0))), of_rate);
}

#[test]
fn a_covariate_saves_what_it_explains() {
    let (plain, adjusted) = (json(|_| {}), json(|args| args.correlation = 0.6));
    for path in ["/harm/0/every_look/treated", "/harm/0/one_look/treated", "/safety/one_look/treated"] {
        let of = |plan: &Value| plan.pointer(path).unwrap().as_f64().unwrap();
        assert!((of(&adjusted) / of(&plain) - 0.64).abs() < 1e-6, "{path}");
    }
}

#[test]
fn the_smallest_harm_of_some_units_takes_those_units() {
    let units = json(|_| {})["harm"][0]["every_look"]["treated"].as_f64();
    let found = json(|args| args.units = units);
    assert_near(&found["detectable"]["every_look"], 0.1, 1e-6);
    assert!(found["detectable"]["one_look"].as_f64().unwrap() < 0.1);
}

#[test]
fn the_text_has_units_and_times() {
    let text = plan(|args| {
        args.output.format = Format::Text;
        args.units = Some(10_000.0);
    });
    let text = text.unwrap();
    for part in
        ["10 %", "one planned look, power 80 %", "found in 50 % of launches", "16.3 h", "39 min", "10,000"]
    {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let text = plan(|args| (args.output.format, args.daily) = (Format::Text, None)).unwrap();
    assert!(!text.contains(" h\n") && !text.contains("NaN"), "{text}");
}

#[test]
fn a_wrong_flag_is_named_with_what_would_be_right() {
    let cases: [(&str, Change); 9] = [
        ("--effect: must be above 0 and below 1, is 0", |args| args.effect = vec![0.1, 0.0]),
        ("--rate: must be above 0 and below 1, is 1", |args| args.rate = Some(1.0)),
        ("--mean: must be a finite number other than 0, is 0", |args| args.mean = Some(0.0)),
        ("--sd: must be above 0, is -1", |args| args.sd = Some(-1.0)),
        ("--share: must be above 0 and below 1, is NaN", |args| args.share = f64::NAN),
        ("--power: must be above 0.05 and below 1, is 0.01", |args| args.power = 0.01),
        ("--guardrails: must be above 0, is 0", |args| args.guardrails = 0),
        ("--correlation: must be above -1 and below 1, is 1", |args| args.correlation = 1.0),
        ("--ship-margin: must be above the margin and below 1, is 0", |args| args.ship_margin = 0.0),
    ];
    for (expected, change) in cases {
        assert_eq!(plan(change).unwrap_err().to_string(), expected);
    }
}
