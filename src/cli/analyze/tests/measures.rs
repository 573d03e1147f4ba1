//! Ratios, covariates, caps and segments.

use std::fmt::Write as _;

use super::*;

/// Units of both arms with columns that are made from the number of the unit: sums of clicks over sessions, spending that
/// follows what was spent before, and a country. The treatment loses `loss` of its clicks and spending in `where_lost`.
fn shop(units: u64, loss: f64, where_lost: &str) -> Vec<u8> {
    let mut rows = "id,arm,country,sessions,clicks,before,spent\n".to_owned();
    for unit in 0..units {
        for arm in ["old", "new"] {
            let country = ["at", "be"][usize::from(unit % 2 == 1)];
            let kept = if arm == "new" && where_lost.contains(country) { 1.0 - loss } else { 1.0 };
            let sessions = 1 + unit * 7 % 5;
            let clicks = (sessions * (unit * 13 % 4)) as f64 * kept;
            let before = (unit * 31 % 97) as f64;
            let spent = (2.0 * before + (unit * 53 % 17) as f64) * kept;
            writeln!(rows, "{arm}-{unit},{arm},{country},{sessions},{clicks},{before},{spent}").unwrap();
        }
    }
    rows.into_bytes()
}

fn of(table: &[u8], guardrail: &str) -> Value {
    json(table, |args| args.guardrail = vec![guardrail.to_owned()])
}

#[test]
fn a_ratio_is_that_of_the_sums() {
    let found = of(&shop(4_000, 0.2, "at be"), "clicks:per=sessions");
    let metric = &found["metrics"][0];
    assert_eq!((&metric["metric"], &metric["per"]), (&"clicks/sessions".into(), &"sessions".into()));
    assert_near(&metric["control"]["mean"], 1.5);
    assert_near(&metric["treatments"][0]["relative_effect"], -0.2);
    assert_eq!(found["decision"], "roll_back");
    let text = analyze(&shop(400, 0.2, "at be"), |args| {
        args.guardrail = vec!["clicks:per=sessions".to_owned()];
        args.output.format = Format::Text;
    });
    assert!(text.unwrap().contains("it is a sum divided by that of `sessions`"));
}

#[test]
fn a_ratio_without_a_denominator_is_undefined_with_a_reason() {
    let mut rows = "id,arm,value,visits\n".to_owned();
    for unit in 0..400 {
        writeln!(rows, "{unit},{},{},0", ["old", "new"][unit % 2], unit % 5).unwrap();
    }
    let found = of(rows.as_bytes(), "value:per=visits");
    let new = &found["metrics"][0]["treatments"][0];
    assert_eq!((&new["mean"], &new["verdict"]), (&Value::Null, &"blind".into()));
    assert_eq!(new["undefined"]["mean"], "the denominators of an arm add up to 0");
}

#[test]
fn a_covariate_makes_a_small_fall_plain() {
    let table = shop(2_000, 0.02, "at be");
    let (plain, adjusted) = (of(&table, "spent"), of(&table, "spent:covariate=before"));
    let width = |found: &Value| {
        let interval = &found["metrics"][0]["treatments"][0]["interval"];
        interval["high"].as_f64().unwrap() - interval["low"].as_f64().unwrap()
    };
    assert!(width(&adjusted) < 0.2 * width(&plain));
    assert_eq!((&plain["decision"], &adjusted["decision"]), (&"hold".into(), &"roll_back".into()));
    assert_eq!(adjusted["metrics"][0]["covariate"], "before");
    assert_near(&adjusted["metrics"][0]["treatments"][0]["relative_effect"], -0.02);
}

#[test]
fn a_unit_that_nothing_is_known_of_from_before_counts_with_zero() {
    let rows = |before: &str| {
        format!("id,arm,before,value\n1,old,{before},1\n2,old,3,2\n3,new,{before},4\n4,new,1,2\n")
    };
    let found = |before: &str| of(rows(before).as_bytes(), "value:covariate=before")["metrics"].clone();
    assert_eq!(found(""), found("0"));
    let bad = of(rows("?").as_bytes(), "value:covariate=before");
    let reason = "column `before` is neither true, false nor a finite number: `?`";
    assert_eq!(
        (&bad["bad_rows"]["count"], &bad["bad_rows"]["listed"][0]["reason"]),
        (&2.into(), &reason.into())
    );
}

#[test]
fn a_cap_cuts_what_lies_above_it_and_counts_how_often() {
    let table = b"id,arm,value\n1,old,1\n2,old,9\n3,new,500\n4,new,3\n";
    let metric = of(table, "value:cap=10")["metrics"][0].clone();
    assert_eq!((&metric["cap"], &metric["capped"]), (&10.0.into(), &1.into()));
    assert_near(&metric["treatments"][0]["mean"], 6.5);
    let text = analyze(table, |args| {
        args.guardrail = vec!["value:cap=10".to_owned()];
        args.output.format = Format::Text;
    });
    assert!(text.unwrap().contains("values above 10 count as 10, which 1 are"));
}

#[test]
fn intervals_of_three_levels_hold_one_another_and_are_wider_at_every_look() {
    let found = of(&shop(4_000, 0.05, "at be"), "spent");
    let new = &found["metrics"][0]["treatments"][0];
    let intervals = new["intervals"].as_array().unwrap();
    let width = |intervals: &Value, kind: &str| {
        let ends = &intervals[kind];
        ends["high"].as_f64().unwrap() - ends["low"].as_f64().unwrap()
    };
    let levels: Vec<f64> = intervals.iter().map(|found| found["level"].as_f64().unwrap()).collect();
    assert_eq!(levels, [0.8, 0.9, 0.95]);
    for kind in ["one_look", "one_look_relative", "every_look", "every_look_relative"] {
        assert!(intervals.windows(2).all(|pair| width(&pair[0], kind) < width(&pair[1], kind)), "{kind}");
    }
    for found in intervals {
        assert!(width(found, "one_look") < width(found, "every_look"));
        let middle =
            |kind: &str| 0.5 * (found[kind]["low"].as_f64().unwrap() + found[kind]["high"].as_f64().unwrap());
        let effect = new["effect"].as_f64().unwrap();
        assert!((middle("every_look") / effect - 1.0).abs() < 1e-9, "the sign is that of the effect");
        assert!((middle("one_look") / effect - 1.0).abs() < 1e-9);
    }
    assert_eq!(new["interval"], intervals[2]["one_look"]);
}

#[test]
fn a_segment_that_alone_is_harmed_is_told_and_decides_nothing() {
    let table = shop(4_000, 0.5, "be");
    let found = json(&table, |args| {
        args.guardrail = vec!["clicks".to_owned()];
        args.segment = Some("country".to_owned());
    });
    let segments = found["segments"].as_array().unwrap();
    let names: Vec<&str> = segments.iter().map(|one| one["segment"].as_str().unwrap()).collect();
    assert_eq!(names, ["at", "be"]);
    assert_eq!((&segments[0]["harm"], &segments[1]["harm"]), (&false.into(), &true.into()));
    assert_eq!(segments[0]["n"], serde_json::json!([2_000, 2_000]));
    for segment in segments {
        assert!(segment["interaction_p_value"].as_f64().unwrap() < 0.001, "{segment}");
    }
    let without = of(&table, "clicks");
    assert_eq!((&found["ln_e"], &found["decision"]), (&without["ln_e"], &without["decision"]));
    let text = analyze(&table, |args| {
        args.guardrail = vec!["clicks".to_owned()];
        args.segment = Some("country".to_owned());
        args.output.format = Format::Text;
    });
    assert!(text.unwrap().contains("No segment decides by itself."));
}

#[test]
fn segments_that_do_not_differ_are_drawn_to_one_another() {
    let found = json(&shop(4_000, 0.1, "at be"), |args| {
        args.guardrail = vec!["clicks".to_owned()];
        args.segment = Some("country".to_owned());
    });
    let of = |segment: usize, name: &str| found["segments"][segment][name].as_f64().unwrap();
    assert!(of(0, "interaction_p_value") > 0.05);
    let apart = |name: &str| (of(0, name) - of(1, name)).abs();
    assert!(apart("shrunk") < apart("effect"));
}

#[test]
fn a_unit_without_a_segment_still_counts() {
    let table = b"id,arm,country,value\n1,old,,1\n2,old,at,2\n3,new,at,4\n4,new,,2\n";
    let found = json(table, |args| args.segment = Some("country".to_owned()));
    assert_eq!((&found["units"], &found["bad_rows"]["count"]), (&4.into(), &0.into()));
    assert_eq!(found["segments"][0]["segment"], "(empty)");
    let none = &found["segments"][0];
    assert_eq!(
        (&none["shrunk"], &none["undefined"]["shrunk"]),
        (&Value::Null, &"an arm has fewer than 2 units".into())
    );
}

#[test]
fn a_wrong_option_is_named_with_what_would_be_right() {
    let table = "id,arm,country,value\n1,old,at,1\n2,new,at,2\n";
    let cases: [(&str, Change); 6] = [
        (
            "--guardrail value:per=x, per x: must be a column of the table; its columns are `id`, `arm`, ",
            |args| {
                args.guardrail = vec!["value:per=x".to_owned()];
            },
        ),
        ("--guardrail value:per=country:covariate=id, covariate: must be left out beside per=", |args| {
            args.guardrail = vec!["value:per=country:covariate=id".to_owned()];
        }),
        ("--guardrail value:cap=inf, cap: must be a finite number, is inf", |args| {
            args.guardrail = vec!["value:cap=inf".to_owned()];
        }),
        ("--guardrail arm: must be another column than those of --unit and --arm", |args| {
            args.guardrail = vec!["value:per=arm".to_owned()];
        }),
        ("--segment x: must be a column of the table", |args| args.segment = Some("x".to_owned())),
        ("--segment arm: must be another column than those of --unit and --arm", |args| {
            args.segment = Some("arm".to_owned());
        }),
    ];
    for (expected, change) in cases {
        let found = error(table, change);
        assert!(found.starts_with(expected), "{found}");
    }
    let rows: Vec<String> = (0..20).map(|unit| format!("{unit},old,land-{unit},1\n")).collect();
    let found = error(&format!("id,arm,country,value\n{}", rows.concat()), |args| {
        args.segment = Some("country".to_owned());
    });
    assert!(found.contains("--segment country: must have at most 10 different values"), "{found}");
}
