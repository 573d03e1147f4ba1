//! Moments look by look.

use super::*;

/// One line.
fn line(look: u64, arm: &str, n: u64, mean: f64, variance: f64) -> String {
    format!(
        r#"{{"look": {look}, "arm": "{arm}", "metric": "value", "n": {n}, "mean": {mean}, "variance": {variance}}}"#
    )
}

/// One line of zeros and ones.
fn share(look: u64, arm: &str, n: u64, ones: u64) -> String {
    let mean = ones as f64 / n as f64;
    line(look, arm, n, mean, mean * (1.0 - mean) * n as f64 / (n as f64 - 1.0))
}

fn of_looks(args: &mut AnalyzeArgs) {
    (args.unit, args.arm) = (None, None);
}

fn judge(lines: &[String]) -> Value {
    json(lines.join("\n").as_bytes(), of_looks)
}

fn refusal(lines: &[String]) -> String {
    error(&lines.join("\n"), of_looks)
}

/// By look: a fall by a tenth in every look.
fn steady(looks: u64) -> Vec<String> {
    let of_look =
        |look| [share(look, "old", 4_000 * look, 400 * look), share(look, "new", 4_000 * look, 360 * look)];
    (1..=looks).flat_map(of_look).collect()
}

/// By look: no difference, besides the one look in which most of an arm's rows were late.
fn glitch(looks: u64, at: u64) -> Vec<String> {
    let lost = |look| if look >= at { 500 } else { 0 };
    let of_look = |look| {
        [
            share(look, "old", 6_000 * look, 600 * look),
            share(look, "new", 6_000 * look, 600 * look - lost(look)),
        ]
    };
    (1..=looks).flat_map(of_look).collect()
}

#[test]
fn the_last_look_is_judged_as_a_table_of_the_same_units_is() {
    let table = table(&[super::arm("old", 20_000, 2_000), super::arm("new", 20_000, 1_800)]);
    let (of_table, of_looks) = (json(&table, |_| {}), judge(&steady(5)));
    assert_near(&of_looks["e_value"], 43.7);
    let (whole, last) = (of_table["ln_e"].as_f64().unwrap(), of_looks["ln_e"].as_f64().unwrap());
    assert!((whole - last).abs() < 1e-9, "{whole} and {last}");
    assert_eq!(of_looks["looks"].as_array().unwrap().len(), 5);
}

#[test]
fn what_is_left_without_a_look_is_the_evidence_of_the_others() {
    // All looks are the same, so that four of five are the evidence of four, on the scale of the first look.
    let (four, five) = (judge(&steady(4)), judge(&steady(5)));
    let left = five["looks"][4]["ln_e_without_one_look"].as_f64().unwrap();
    let whole = four["ln_e"].as_f64().unwrap();
    assert!((left - whole).abs() < 1e-9, "{left} and {whole}");
    let verdict = &five["looks"][4]["verdicts"][0];
    assert!((verdict["ln_e_without_one_look"].as_f64().unwrap() - left).abs() < 1e-12);
}

#[test]
fn harm_is_acted_on_once_no_single_look_carries_it() {
    let found = judge(&steady(6));
    let looks = found["looks"].as_array().unwrap();
    let acted: Vec<bool> = looks.iter().map(|look| look["decision"] == "roll_back").collect();
    for (look, acted) in looks.iter().zip(&acted) {
        let reaches = |name: &str| look[name].as_f64().unwrap() >= 20.0;
        assert_eq!(*acted, reaches("e_value") && reaches("e_value_without_one_look"), "{look}");
    }
    assert_eq!(acted, [false, false, false, false, false, true]);
    assert_eq!(looks[4]["verdicts"][0]["verdict"], "undecided");
    assert_eq!(looks[5]["verdicts"][0]["verdict"], "harm");
    assert_eq!((&found["decision"], &found["rolled_back_at"]), (&"roll_back".into(), &6.into()));
}

#[test]
fn the_first_look_alone_carries_no_rollback() {
    let found = judge(&[share(1, "old", 50_000, 10_000), share(1, "new", 50_000, 5_000)]);
    let look = &found["looks"][0];
    assert!(look["ln_e"].as_f64().unwrap() > 100.0);
    assert_eq!((&look["e_value_without_one_look"], &look["without_look"]), (&1.0.into(), &1.into()));
    assert_eq!((&found["decision"], &look["verdicts"][0]["verdict"]), (&"hold".into(), &"undecided".into()));
}

#[test]
fn a_glitch_of_one_look_is_held_and_named() {
    let found = judge(&glitch(6, 4));
    let look = &found["looks"][3];
    assert!(look["e_value"].as_f64().unwrap() >= 20.0, "{look}");
    assert_eq!((&look["without_look"], &look["decision"]), (&4.into(), &"hold".into()));
    let message = look["reasons"][0]["message"].as_str().unwrap();
    assert!(message.contains("is carried by look 4: without it, it is "), "{message}");
    assert_eq!(found["decision"], "hold");
    let text = analyze(glitch(6, 4).join("\n").as_bytes(), |args| {
        of_looks(args);
        args.output.json = false;
        args.output.format = Format::Text;
    });
    let text = text.unwrap();
    for part in ["12 lines, 6 looks, 72,000 units", "without one look", "the last 32 looks", "decision: hold"]
    {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn a_rollback_stands_whatever_later_looks_say() {
    let mut lines = steady(6);
    lines.extend([share(7, "old", 28_000, 2_800), share(7, "new", 28_000, 2_900)]);
    let found = judge(&lines);
    assert_ne!(found["looks"][6]["decision"], "roll_back");
    assert_eq!((&found["decision"], &found["rolled_back_at"]), (&"roll_back".into(), &6.into()));
    let p_value = found["p_value"].as_f64().unwrap();
    let largest = found["looks"][5]["e_value"].as_f64().unwrap();
    assert!((p_value * largest - 1.0).abs() < 1e-9);
}

#[test]
fn lines_may_stand_in_any_order_with_blank_ones_between() {
    let mut lines = steady(5);
    lines.reverse();
    lines.insert(3, String::new());
    let (found, expected) = (judge(&lines), judge(&steady(5)));
    assert_eq!(found["looks"], expected["looks"]);
    let looks: Vec<u64> =
        found["looks"].as_array().unwrap().iter().map(|look| look["look"].as_u64().unwrap()).collect();
    assert_eq!(looks, [1, 2, 3, 4, 5]);
}

#[test]
fn an_arm_without_a_line_is_as_it_was_and_that_is_told() {
    let mut lines = steady(3);
    lines.remove(3);
    let found = judge(&lines);
    assert_eq!(found["looks"][1]["units"], 4_000 + 8_000);
    let note = found["notes"][0].as_str().unwrap();
    assert!(note.contains("1 look(s) lack lines") && note.contains("look 2"), "{note}");
}

#[test]
fn burn_in_goes_by_the_units_that_are_not_zero() {
    // 150 units an arm with 3 % are expected to have fewer than ten ones.
    let found = judge(&[share(1, "old", 150, 6), share(1, "new", 150, 3)]);
    assert_eq!(found["metrics"][0]["treatments"][0]["verdict_reason"], "burn_in");
    let counts = |nonzero: u64| {
        let line = |arm: &str| {
            format!(
                r#"{{"look": 1, "arm": "{arm}", "metric": "value", "n": 150, "nonzero": {nonzero}, "mean": 2.5, "variance": 9}}"#
            )
        };
        judge(&[line("old"), line("new")])["metrics"][0]["treatments"][0]["verdict_reason"].clone()
    };
    assert_eq!((counts(9), counts(10)), ("burn_in".into(), "undecided".into()));
}

#[test]
fn published_figures_may_be_rounded() {
    let of_look = |look: u64| {
        let line = |arm: &str, ones: u64| {
            let (n, ones) = (4_000 * look, ones * look + look % 3);
            let mean = ones as f64 / n as f64;
            let round = |figure: f64| (figure * 1e4).round() / 1e4;
            line(look, arm, n, round(mean), round(mean * (1.0 - mean)))
        };
        [line("old", 400), line("new", 390)]
    };
    let lines: Vec<String> = (1..=12).flat_map(of_look).collect();
    let found = judge(&lines);
    assert_eq!(found["metrics"][0]["proportion"], true);
    // Every look is about the same, and so is what is left without any of them.
    for look in found["looks"].as_array().unwrap().iter().skip(4) {
        let (whole, left) = (look["ln_e"].as_f64().unwrap(), look["ln_e_without_one_look"].as_f64().unwrap());
        assert!((whole - left).abs() < 0.35, "{look}");
        assert!(left.abs() > 1e-9, "{look}");
    }
}

#[test]
fn units_other_than_zero_are_counted_on_all_lines_or_on_none() {
    let with = share(1, "new", 900, 90).replace("\"n\"", "\"nonzero\": 90, \"n\"");
    let found = refusal(&[share(1, "old", 900, 90), with]);
    assert!(
        found.contains("line 1, nonzero: must be given, as on line 2, or on no line of `value`"),
        "{found}"
    );
}

#[test]
fn moments_that_are_not_cumulative_are_refused_by_line_and_field() {
    let lines = [
        share(1, "old", 900, 90),
        share(1, "new", 900, 90),
        share(2, "old", 800, 80),
        share(2, "new", 900, 90),
    ];
    let found = refusal(&lines);
    assert!(
        found.contains("table.csv, line 3, n: must be at least 900, as at the look before on line 1, is 800"),
        "{found}"
    );
    let found = refusal(&[share(1, "old", 900, 90), share(1, "old", 900, 91)]);
    assert!(
        found.contains("line 2, look: must be another than on line 1, which has `value` in `old` at it"),
        "{found}"
    );
}

#[test]
fn a_wrong_line_is_named_with_what_would_be_right() {
    let cases = [
        (r#"{"look": 1,"#, "line 2, column 11: must be a JSON object such as {\"look\": 1, "),
        ("[1]", "line 2, column 1: must be a JSON object"),
        (
            r#"{"look": "one"}"#,
            "line 2, look: must be a number, growing from look to look, of at most 15 digits, is \"one\"",
        ),
        (r#"{"look": -1e16}"#, "line 2, look: must be a number"),
        (r#"{"look": 1}"#, "line 2, arm: must be a text that is not empty, is missing"),
        (r#"{"n": 1.5}"#, "line 2, n: must be a whole number of units, at least 0, is 1.5"),
        (r#"{"n": -1}"#, "line 2, n: must be a whole number of units, at least 0, is -1"),
        (r#"{"n": 5, "mean": null}"#, "line 2, mean: must be a finite number, is null"),
        (r#"{"n": 5, "variance": -1}"#, "line 2, variance: must be at least 0"),
        (r#"{"n": 5, "nonzero": 6}"#, "line 2, nonzero: must be at most n"),
    ];
    for (line, expected) in cases {
        let found = refusal(&[share(1, "old", 900, 90), line.to_owned()]);
        assert!(found.contains(expected), "{line}: {found}");
    }
    let many: Vec<String> = (0..30).map(|_| "{}".to_owned()).collect();
    let found = refusal(&many);
    assert!(found.contains("; and 160 more like these"), "{found}");
}

#[test]
fn flags_of_a_table_do_not_fit_moments_by_look() {
    let lines = steady(1).join("\n");
    let cases: [(&str, Change); 6] = [
        ("--unit: must be left out: the file has moments by look, and no units", |args| {
            args.unit = Some("id".to_owned());
        }),
        ("--segment: must be left out: the file has moments by look, and no units", |args| {
            args.segment = Some("country".to_owned());
        }),
        ("--guardrail other: must be a metric of the file; its metrics are `value`", |args| {
            args.guardrail = vec!["other".to_owned()];
        }),
        (
            "--guardrail value:cap=5, cap: must be left out: it takes a table with one row a unit, and these are moments",
            |args| args.guardrail = vec!["value:cap=5".to_owned()],
        ),
        ("--control odd: must be an arm with lines of the guardrails; the arms are `new`, `old`", |args| {
            args.control = "odd".to_owned();
        }),
        ("--treatment no: must be an arm with lines of the guardrails; the arms are `old`", |args| {
            args.treatment = vec!["no".to_owned()];
        }),
    ];
    for (expected, change) in cases {
        let found = error(&lines, |args| {
            of_looks(args);
            change(args);
        });
        assert_eq!(found, expected);
    }
    let message = error(SMALL, |args| args.unit = None);
    assert_eq!(message, "--unit: must be given for a table with one row a unit");
}
