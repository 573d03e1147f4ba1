//! What meets a condition, as tables.

use serde_json::{Value, json};

use super::Condition;
use crate::domain::condition::{self, Draw, EnvironmentField, Operator, Subject, TimeField};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::engine::form::{IdList, Ruleset};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const DAY: i64 = 86_400_000;

fn compiled(subject: Subject, operator: Operator, values: &Value) -> Option<Condition> {
    let values = values.as_array().unwrap().clone();
    let list = IdList::new(["vip-1"], 1, NOW);
    let ruleset = Ruleset { id_lists: [("vips".to_owned(), list.into())].into(), ..Ruleset::default() };
    Condition::compile(&condition::Condition { subject, operator, values }, &ruleset, |_| None)
}

fn holds(subject: Subject, operator: Operator, values: &Value, user: &User) -> bool {
    compiled(subject, operator, values).unwrap().holds(user, NOW, |_| false)
}

fn attribute() -> Subject {
    Subject::Attribute("it".to_owned())
}

/// Checks which values of an attribute meet a condition, and which do not.
#[expect(clippy::needless_pass_by_value, reason = "the tables are easier to read")]
fn check(operator: Operator, values: Value, meet: Value, fail: Value) {
    for (expected, found) in [(true, &meet), (false, &fail)] {
        for value in found.as_array().unwrap() {
            let user = User { custom: [("it".to_owned(), value.clone())].into(), ..User::default() };
            assert_eq!(holds(attribute(), operator, &values, &user), expected, "{value} {operator} {values}");
        }
    }
}

fn missing(operator: Operator, values: &Value) -> bool {
    holds(attribute(), operator, values, &User::default())
}

#[test]
fn texts_are_compared_whole_and_without_regard_to_case() {
    let not = json!(["d", "de ", "", 1]);
    check(Operator::Any, json!(["de", "At"]), json!(["DE", "at"]), not.clone());
    check(Operator::None, json!(["de", "At"]), not, json!(["DE", "at"]));
    check(Operator::Any, json!(["ZÜRICH"]), json!(["Zürich"]), json!(["zurich"]));
    check(Operator::AnyCaseSensitive, json!(["De"]), json!(["De"]), json!(["de", "DE"]));
    check(Operator::NoneCaseSensitive, json!(["De"]), json!(["de", "DE"]), json!(["De"]));
    // Longer than what is lowered in place.
    let long = "Ab".repeat(100);
    check(Operator::Any, json!([long.to_uppercase()]), json!([long]), json!(["ab"]));
}

#[test]
fn other_types_are_compared_by_their_text() {
    check(Operator::Any, json!(["3", 0.5, true]), json!([3, 3.0, "3", 0.5, true, "TRUE"]), json!([1, false]));
    check(Operator::Any, json!([10]), json!([10, 10.0, "10"]), json!(["10.0", "010"]));
}

#[test]
fn parts_of_texts_are_found() {
    check(Operator::StrStartsWithAny, json!(["Ann", "x"]), json!(["anna", "X"]), json!(["joanna", ""]));
    check(Operator::StrEndsWithAny, json!(["@Corp.test"]), json!(["a@corp.TEST"]), json!(["corp.test"]));
    check(Operator::StrContainsAny, json!(["orp"]), json!(["a@CORP.test"]), json!(["or p"]));
    check(Operator::StrContainsNone, json!(["orp"]), json!(["or p"]), json!(["a@CORP.test"]));
    check(Operator::StrMatches, json!(["^a+b$"]), json!(["aab"]), json!(["AAB", "b", "aabc"]));
}

#[test]
fn numbers_are_compared_as_numbers_and_what_is_none_meets_nothing() {
    let none = ["", "ten", "NaN", "1,5", " 18 "];
    for (operator, meet, fail) in [
        (Operator::Gt, json!(["1e2", 10.5]), json!(["9", "10.0", true])),
        (Operator::Gte, json!(["1e2", 10]), json!(["9"])),
        (Operator::Lt, json!(["9", -0.5]), json!(["10.0", 11])),
        (Operator::Lte, json!(["9", 10.0]), json!(["1e2"])),
    ] {
        check(operator, json!([10]), meet.clone(), fail);
        check(operator, json!(["10"]), meet, json!(none));
    }
}

#[test]
fn versions_are_compared_number_by_number() {
    let (less, same, more) = (
        json!(["2.9", 1, "-1.0"]),
        json!(["2.10", "2.10.0.0", "2.10-beta.7", "02.010", "2. 10"]),
        json!(["2.10.1", "10", "99999999999999999999"]),
    );
    let less = json!(less.as_array().unwrap().iter().filter(|it| **it != json!("-1.0")).collect::<Vec<_>>());
    let both =
        |a: &Value, b: &Value| json!([a.as_array().unwrap().clone(), b.as_array().unwrap().clone()].concat());
    for (operator, meet, fail) in [
        (Operator::VersionGt, more.clone(), both(&less, &same)),
        (Operator::VersionGte, both(&more, &same), less.clone()),
        (Operator::VersionLt, less.clone(), both(&more, &same)),
        (Operator::VersionLte, both(&less, &same), more.clone()),
        (Operator::VersionEq, same.clone(), both(&less, &more)),
        (Operator::VersionNeq, both(&less, &more), same),
    ] {
        check(operator, json!(["2.10"]), meet, fail);
        // What follows the first difference need not be numbers.
        let later = [Operator::VersionGt, Operator::VersionGte, Operator::VersionNeq].contains(&operator);
        let (meet, fail) = if later { (json!(["3.x"]), json!([])) } else { (json!([]), json!(["3.x"])) };
        check(operator, json!(["2.10"]), meet, fail);
        check(operator, json!(["2.10"]), json!([]), json!(["", "latest", "2..1", "2.x", "v2", "-1"]));
    }
}

#[test]
fn equality_is_of_types_too_but_for_numbers_written_as_text() {
    check(Operator::Eq, json!([10]), json!([10, 10.0, "10"]), json!(["ten", 11, true]));
    check(Operator::Eq, json!([true]), json!([true]), json!(["true", 1, false]));
    check(Operator::Eq, json!(["a"]), json!(["a"]), json!(["A", 1]));
    check(Operator::Neq, json!([10]), json!(["ten", 11]), json!([10, "10"]));
    check(Operator::Eq, json!([null]), json!([null]), json!(["", 0]));
    assert!(missing(Operator::Eq, &json!([null])) && !missing(Operator::Neq, &json!([null])));
}

#[test]
fn times_are_milliseconds_or_seconds_or_written() {
    let day = 1_672_531_200_000_i64;
    let on = json!([
        day,
        day / 1_000,
        day.to_string(),
        "2023-01-01T23:59:59Z",
        "2023-01-01 12:00:00",
        "2023-1-1 1:00:00",
        "2023-01-01 12:00:00Z"
    ]);
    check(
        Operator::On,
        json!([day]),
        on,
        // The last three are what SDKs do not read: milliseconds, an offset, and no zone after a `T`.
        json!([
            day - 1,
            day + DAY,
            "2023-01-02T00:00:00Z",
            "yesterday",
            0.5,
            "2023-01-01T00:00:00.000Z",
            "2023-01-01T00:00:00+00:00",
            "2023-01-01T00:00:00"
        ]),
    );
    check(Operator::Before, json!([day]), json!([day - 1, "2022-12-31T23:59:59Z", 5]), json!([day, 1e21]));
    check(Operator::After, json!([day]), json!([day + 1, "2024-01-01T00:00:00Z"]), json!([day, 5, 1e21]));
    let now = Subject::Time(TimeField::Now);
    assert!(holds(now.clone(), Operator::Before, &json!([NOW.0 + 1]), &User::default()));
    assert!(!holds(now, Operator::Before, &json!([NOW.0]), &User::default()));
}

#[test]
fn lists_are_compared_by_the_texts_of_what_is_in_them() {
    let wanted = || json!(["a", 2]);
    check(Operator::ArrayContainsAny, wanted(), json!([["a"], ["x", "2"]]), json!([[], ["A"], "a"]));
    check(Operator::ArrayContainsNone, wanted(), json!([[], ["A"]]), json!([["a"], "x"]));
    check(Operator::ArrayContainsAll, wanted(), json!([["a", 2, 3]]), json!([["a"], [], "a2"]));
    check(Operator::NotArrayContainsAll, wanted(), json!([["a"], []]), json!([["a", "2"], "x"]));
}

#[test]
fn id_lists_are_asked_by_the_unit() {
    let vip = User { user_id: "vip-1".to_owned(), ..User::default() };
    let unit = || Subject::Unit("user_id".to_owned());
    for (operator, list, user, expected) in [
        (Operator::InSegmentList, "vips", &vip, true),
        (Operator::NotInSegmentList, "vips", &vip, false),
        (Operator::InSegmentList, "vips", &User::default(), false),
        (Operator::NotInSegmentList, "vips", &User::default(), true),
        (Operator::InSegmentList, "nobody", &vip, false),
        (Operator::NotInSegmentList, "nobody", &vip, true),
    ] {
        assert_eq!(holds(unit(), operator, &json!([list]), user), expected, "{operator} {list}");
    }
}

#[test]
fn what_is_missing_meets_only_the_denials() {
    let denials = [Operator::None, Operator::NoneCaseSensitive, Operator::StrContainsNone];
    for operator in [
        Operator::Any,
        Operator::None,
        Operator::AnyCaseSensitive,
        Operator::NoneCaseSensitive,
        Operator::StrStartsWithAny,
        Operator::StrEndsWithAny,
        Operator::StrContainsAny,
        Operator::StrContainsNone,
        Operator::StrMatches,
        Operator::Gt,
        Operator::Lte,
        Operator::VersionEq,
        Operator::VersionNeq,
        Operator::Before,
        Operator::On,
        Operator::ArrayContainsNone,
        Operator::NotArrayContainsAll,
    ] {
        assert_eq!(missing(operator, &json!(["12345678901"])), denials.contains(&operator), "{operator}");
    }
}

#[test]
fn attributes_are_looked_for_in_their_order() {
    let country = || Subject::Attribute("Country".to_owned());
    let mut user = User::default();
    let mut is = |change: fn(&mut User), expected: &str| {
        change(&mut user);
        assert!(holds(country(), Operator::Any, &json!([expected]), &user), "{expected}");
    };
    is(|user| drop(user.private.insert("country".to_owned(), json!("private"))), "private");
    is(
        |user| drop(user.custom.insert("country".to_owned(), json!("custom, lower case"))),
        "custom, lower case",
    );
    is(|user| drop(user.custom.insert("Country".to_owned(), json!("custom"))), "custom");
    is(|user| user.country = "field".to_owned(), "field");
}

#[test]
fn environments_and_buckets_are_tested() {
    let user = User { user_id: "ann".to_owned(), environment: "Staging".to_owned(), ..User::default() };
    let tier = Subject::Environment(EnvironmentField::Tier);
    assert!(holds(tier, Operator::Any, &json!(["staging"]), &user));
    let bucket = crate::engine::bucketing::bucket("salt", "ann");
    let draw = Subject::Bucket(Draw { salt: "salt".to_owned(), unit_type: "user_id".to_owned() });
    for (operator, values, expected) in [
        (Operator::Lt, json!([bucket]), false),
        (Operator::Lt, json!([bucket + 1]), true),
        (Operator::Any, json!([bucket, 5]), true),
        (Operator::None, json!([bucket]), false),
        (Operator::Any, json!([-1]), false),
    ] {
        assert_eq!(holds(draw.clone(), operator, &values, &user), expected, "{operator} {values}");
    }
}

#[test]
fn what_is_not_valid_does_not_compile() {
    for (operator, values) in [
        (Operator::Gt, json!([])),
        (Operator::Gt, json!(["ten"])),
        (Operator::VersionGt, json!(["latest"])),
        (Operator::StrMatches, json!(["("])),
        (Operator::Before, json!(["soon"])),
        (Operator::Passes, json!([])),
    ] {
        assert!(compiled(attribute(), operator, &values).is_none(), "{operator} {values}");
    }
}
