//! Conditions parsed once, and tested against users.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::domain::condition::{Condition, Operator, parse_version};
use crate::domain::user::User;

/// A condition whose values are parsed.
#[derive(Debug)]
pub(super) struct AttributeTest {
    attribute: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Any(HashSet<String>),
    None(HashSet<String>),
    Number(f64, Accept),
    Version(Vec<u64>, Accept),
}

/// Which orderings of the attribute against the value are accepted.
#[derive(Clone, Copy, Debug)]
struct Accept {
    ordering: Ordering,
    equal: bool,
}

impl Accept {
    fn accepts(self, ordering: Ordering) -> bool {
        ordering == self.ordering || (self.equal && ordering == Ordering::Equal)
    }
}

impl AttributeTest {
    /// Parses a condition; none when it is not a valid one.
    pub(super) fn compile(condition: &Condition) -> Option<Self> {
        let lowered = || condition.values.iter().map(|value| value.to_lowercase()).collect();
        let number = |ordering, equal| {
            let value = condition.single()?.parse().ok()?;
            Some(Test::Number(value, Accept { ordering, equal }))
        };
        let version = |ordering, equal| {
            let value = parse_version(condition.single()?)?;
            Some(Test::Version(value, Accept { ordering, equal }))
        };
        let test = match condition.operator {
            Operator::Any => Test::Any(lowered()),
            Operator::None => Test::None(lowered()),
            Operator::Gt => number(Ordering::Greater, false)?,
            Operator::Gte => number(Ordering::Greater, true)?,
            Operator::Lt => number(Ordering::Less, false)?,
            Operator::Lte => number(Ordering::Less, true)?,
            Operator::VersionGt => version(Ordering::Greater, false)?,
            Operator::VersionGte => version(Ordering::Greater, true)?,
            Operator::VersionLt => version(Ordering::Less, false)?,
            Operator::VersionLte => version(Ordering::Less, true)?,
        };
        Some(Self { attribute: condition.attribute.clone(), test })
    }

    /// Whether the user meets it.
    pub(super) fn holds(&self, user: &User) -> bool {
        let Some(text) = user.attribute(&self.attribute) else {
            return matches!(self.test, Test::None(_));
        };
        match &self.test {
            Test::Any(values) => values.contains(&text.to_lowercase()),
            Test::None(values) => !values.contains(&text.to_lowercase()),
            Test::Number(value, accept) => {
                let found = text.trim().parse::<f64>().ok();
                found
                    .and_then(|found| found.partial_cmp(value))
                    .is_some_and(|ordering| accept.accepts(ordering))
            }
            Test::Version(value, accept) => {
                parse_version(&text).is_some_and(|found| accept.accepts(compare_versions(&found, value)))
            }
        }
    }
}

/// Compares versions number by number; missing numbers are 0.
fn compare_versions(a: &[u64], b: &[u64]) -> Ordering {
    let at = |version: &[u64], index: usize| version.get(index).copied().unwrap_or(0);
    (0..a.len().max(b.len()))
        .map(|index| at(a, index).cmp(&at(b, index)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::user::Attribute;

    const OPERATORS: [Operator; 10] = [
        Operator::Any,
        Operator::None,
        Operator::Gt,
        Operator::Gte,
        Operator::Lt,
        Operator::Lte,
        Operator::VersionGt,
        Operator::VersionGte,
        Operator::VersionLt,
        Operator::VersionLte,
    ];

    fn compiled(attribute: &str, operator: Operator, values: &[&str]) -> Option<AttributeTest> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        AttributeTest::compile(&Condition { attribute: attribute.to_owned(), operator, values })
    }

    fn holds(operator: Operator, values: &[&str], attribute: Attribute) -> bool {
        let user = User { custom: [("it".to_owned(), attribute)].into(), ..User::default() };
        compiled("it", operator, values).unwrap().holds(&user)
    }

    fn text(text: &str) -> Attribute {
        Attribute::Text(text.to_owned())
    }

    #[test]
    fn any_and_none_compare_whole_texts_and_ignore_case() {
        for (value, found) in [("DE", true), ("at", true), ("d", false), ("de ", false), ("", false)] {
            assert_eq!(holds(Operator::Any, &["de", "At"], text(value)), found, "{value}");
            assert_eq!(holds(Operator::None, &["de", "At"], text(value)), !found, "{value}");
        }
        assert!(holds(Operator::Any, &["ZÜRICH"], text("Zürich")));
        assert!(!holds(Operator::Any, &[], text("de")) && holds(Operator::None, &[], text("de")));
    }

    #[test]
    fn any_compares_numbers_and_flags_by_their_text() {
        assert!(holds(Operator::Any, &["3"], Attribute::Number(3.0)));
        assert!(holds(Operator::Any, &["0.5"], Attribute::Number(0.5)));
        assert!(holds(Operator::Any, &["TRUE"], Attribute::Flag(true)));
        assert!(!holds(Operator::Any, &["1"], Attribute::Flag(true)));
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let cases = [
            (Operator::Gt, [false, false, true]),
            (Operator::Gte, [false, true, true]),
            (Operator::Lt, [true, false, false]),
            (Operator::Lte, [true, true, false]),
        ];
        for (operator, expected) in cases {
            for (value, expected) in ["9", "10.0", "1e2"].into_iter().zip(expected) {
                assert_eq!(holds(operator, &["10"], text(value)), expected, "{operator:?} {value}");
            }
        }
        assert!(holds(Operator::Gt, &["-1"], Attribute::Number(-0.5)));
        assert!(holds(Operator::Gte, &["18"], text(" 18 ")));
    }

    #[test]
    fn what_is_no_number_meets_no_comparison_of_numbers() {
        for operator in [Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte] {
            for value in ["", "ten", "NaN", "1,5"] {
                assert!(!holds(operator, &["10"], text(value)), "{operator:?} {value}");
            }
        }
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        let cases = [
            ("2.9", Ordering::Less),
            ("2.10", Ordering::Equal),
            ("2.10.0.0", Ordering::Equal),
            ("2.10-beta.7", Ordering::Equal),
            ("2.10.1", Ordering::Greater),
            ("10", Ordering::Greater),
            ("02.010", Ordering::Equal),
        ];
        for (version, ordering) in cases {
            let holds = |operator| holds(operator, &["2.10"], text(version));
            assert_eq!(holds(Operator::VersionGt), ordering.is_gt(), "{version}");
            assert_eq!(holds(Operator::VersionGte), ordering.is_ge(), "{version}");
            assert_eq!(holds(Operator::VersionLt), ordering.is_lt(), "{version}");
            assert_eq!(holds(Operator::VersionLte), ordering.is_le(), "{version}");
        }
    }

    #[test]
    fn what_is_no_version_meets_no_comparison_of_versions() {
        let comparisons =
            [Operator::VersionGt, Operator::VersionGte, Operator::VersionLt, Operator::VersionLte];
        for operator in comparisons {
            for value in ["", "latest", "2..1", "2.x", "v2", "-1", "99999999999999999999"] {
                assert!(!holds(operator, &["2.10"], text(value)), "{operator:?} {value}");
            }
        }
    }

    #[test]
    fn a_missing_attribute_meets_only_none() {
        for operator in OPERATORS {
            let test = compiled("it", operator, &["1"]).unwrap();
            assert_eq!(test.holds(&User::default()), operator == Operator::None, "{operator:?}");
        }
    }

    #[test]
    fn an_empty_field_of_the_user_is_missing_and_a_custom_attribute_may_stand_in() {
        let test = compiled("country", Operator::None, &["de"]).unwrap();
        let mut user = User::default();
        assert!(test.holds(&user));
        user.custom.insert("country".to_owned(), text("DE"));
        assert!(!test.holds(&user));
        user.country = "FR".to_owned();
        assert!(test.holds(&user));
    }

    #[test]
    fn ids_and_known_fields_are_attributes() {
        let user = User {
            user_id: "Ann".to_owned(),
            browser: "Firefox".to_owned(),
            app_version: "2.10.1".to_owned(),
            ..User::default()
        };
        for (attribute, operator, value) in [
            ("user_id", Operator::Any, "ann"),
            ("browser", Operator::Any, "firefox"),
            ("app_version", Operator::VersionGt, "2.9"),
        ] {
            assert!(compiled(attribute, operator, &[value]).unwrap().holds(&user), "{attribute}");
        }
    }

    #[test]
    fn a_condition_without_one_good_value_does_not_compile() {
        for operator in OPERATORS.into_iter().skip(2) {
            for values in [&[][..], &["1", "2"], &["one"], &[""]] {
                assert!(compiled("it", operator, values).is_none(), "{operator:?} {values:?}");
            }
        }
    }
}
