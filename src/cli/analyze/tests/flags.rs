//! Flags and tables that cannot be taken.

use super::*;

#[test]
fn a_wrong_flag_is_named_with_what_would_be_right() {
    let cases: [(&str, Change); 16] = [
        ("--alpha: must be above 0 and below 1, is 1", |args| args.alpha = 1.0),
        ("--alpha: must be above 0 and below 1, is NaN", |args| args.alpha = f64::NAN),
        ("--unit user: must be a column of the table; its columns are `id`, `arm`, `value`", |args| {
            args.unit = Some("user".to_owned());
        }),
        ("--arm id: must be another column than that of --unit", |args| args.arm = Some("id".to_owned())),
        (
            "--control olf: must be an arm with usable rows; the values of column `arm` are `new`, `old`",
            |args| args.control = "olf".to_owned(),
        ),
        (
            "--treatment no: must be an arm with usable rows; the values of column `arm` are `new`, `old`",
            |args| args.treatment = vec!["new".to_owned(), "no".to_owned()],
        ),
        ("--guardrail: must be given at least once", |args| args.guardrail.clear()),
        ("--guardrail x: must be a column of the table; its columns are `id`, `arm`, `value`", |args| {
            args.guardrail = vec!["x:weight=2".to_owned()];
        }),
        ("--guardrail value:weight=2: must name a metric only once", |args| {
            args.guardrail.push("value:weight=2".to_owned());
        }),
        ("--guardrail arm: must be another column than those of --unit and --arm", |args| {
            args.guardrail = vec!["arm".to_owned()];
        }),
        ("--guardrail value:margin=1, margin: must be at least 0 and below 1, is 1", |args| {
            args.guardrail = vec!["value:margin=1".to_owned()];
        }),
        ("--guardrail value:margin=-0.1, margin: must be at least 0 and below 1, is -0.1", |args| {
            args.guardrail = vec!["value:margin=-0.1".to_owned()];
        }),
        ("--guardrail value:margin=much, margin: must be a number, is `much`", |args| {
            args.guardrail = vec!["value:margin=much".to_owned()];
        }),
        ("--guardrail value:weight=0, weight: must be above 0 and at most 1,000, is 0", |args| {
            args.guardrail = vec!["value:weight=0".to_owned()];
        }),
        ("--guardrail value:weight=1001, weight: must be above 0 and at most 1,000, is 1001", |args| {
            args.guardrail = vec!["value:weight=1001".to_owned()];
        }),
        (
            "--guardrail value:lower: `lower` must be one of lower_is_better, higher_is_better, margin=, \
             ship_margin=, weight=, cap=, per=, covariate=, covariate_per=",
            |args| args.guardrail = vec!["value:lower".to_owned()],
        ),
    ];
    for (expected, change) in cases {
        assert_eq!(error(SMALL, change), expected);
    }
}

#[test]
fn a_table_that_cannot_be_judged_says_why() {
    let cases = [
        ("", "must have a header line, is empty"),
        ("id,arm,value\n", "has no usable row: 0 rows, 0 bad, 0 of units in two arms"),
        ("id,arm,value\n1,old,?\n", "the first on line 2: column `value` is neither true"),
        ("id,arm,value\n1,old,1\n", "--arm arm: must have an arm besides the control"),
        ("id,arm,value,value\n1,old,1,1\n", "--guardrail value: must name one column"),
    ];
    for (table, expected) in cases {
        let found = error(table, |_| {});
        assert!(found.contains(expected), "{found}");
    }
    let rows: Vec<String> = (0..200).map(|unit| format!("{unit},arm-{unit},1\n")).collect();
    let found = error(&format!("id,arm,value\n{}", rows.concat()), |_| {});
    assert!(found.contains("must have at most 100 different values"), "{found}");
}

#[test]
fn a_column_may_have_colons_and_spaces_in_its_name() {
    let found = json(b"id,arm,a: b\n1,old,1\n2,new,1\n", |args| {
        args.guardrail = vec!["a: b:lower_is_better".to_owned()];
    });
    assert_eq!(found["metrics"][0]["metric"], "a: b");
    assert_eq!(found["metrics"][0]["direction"], "lower_is_better");
}

#[test]
fn shares_are_of_every_arm_and_above_zero() {
    let told = |shares: &'static [&'static str]| {
        error(SMALL, |args| args.shares = shares.iter().map(|share| (*share).to_owned()).collect())
    };
    for (shares, said) in [
        (&["old=50"][..], "`new` has none"),
        (&["old=50", "new=0"], "--shares new=0: must be ARM=SHARE"),
        (&["old=50", "new"], "--shares new: must be ARM=SHARE"),
        (&["old=50", "new=NaN"], "must be ARM=SHARE"),
        (&["old=50", "other=50"], "must be an arm that is compared: old, new"),
        (&["old=50", "old=50"], "must name an arm only once"),
    ] {
        let told = told(shares);
        assert!(told.contains(said), "{told}");
    }
}
