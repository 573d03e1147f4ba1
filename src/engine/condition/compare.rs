//! How what was found compares with what is wanted.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::found::Found;
use crate::domain::condition::{
    Condition, Operator, compile_pattern, parse_version, scalar_text, version_parts,
};
use crate::engine::bucketing;
use crate::engine::form::{IdList, Ruleset};

const DAY_MS: f64 = 86_400_000.0;

/// A comparison whose values are parsed.
#[derive(Debug)]
pub(super) enum Comparison {
    /// One of the texts, or none of them.
    OneOf { texts: Texts, place: Place, ignores_case: bool, negated: bool },
    /// A pattern is found.
    Matches(Regex),
    /// The same value, or another one.
    Equal { value: Value, negated: bool },
    /// A number.
    Number(f64, Accept),
    /// A version.
    Version(Vec<i128>, Accept),
    /// A time in milliseconds.
    Time(f64, Accept),
    /// On the same UTC day.
    Day(f64),
    /// In an id list, or not. A list that is not there is empty.
    Listed { list: Option<Arc<IdList>>, negated: bool },
    /// What a list has of the texts.
    Array { texts: HashSet<String>, has: Has, negated: bool },
}

/// Wanted texts. A few are compared one by one, which is faster than hashing.
#[derive(Debug)]
pub(super) enum Texts {
    Few(Vec<String>),
    Many(HashSet<String>),
}

/// Most texts that are compared one by one.
const FEW: usize = 8;

impl Texts {
    fn new(texts: HashSet<String>) -> Self {
        if texts.len() <= FEW { Self::Few(texts.into_iter().collect()) } else { Self::Many(texts) }
    }

    fn contains(&self, text: &str) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|wanted| wanted == text),
            Self::Many(texts) => texts.contains(text),
        }
    }

    fn any(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|text| fits(text)),
            Self::Many(texts) => texts.iter().any(|text| fits(text)),
        }
    }
}

/// Where a text is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

/// How much of the texts a list has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Has {
    Any,
    All,
}

/// Which orderings of the found against the wanted are accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accept {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Accept {
    fn accepts(self, ordering: Ordering) -> bool {
        match ordering {
            Ordering::Less => self.less,
            Ordering::Equal => self.equal,
            Ordering::Greater => self.greater,
        }
    }

    /// None for operators that are about something else than order.
    fn of(operator: Operator) -> Option<Self> {
        let (less, equal, greater) = match operator {
            Operator::Gt | Operator::VersionGt | Operator::After => (false, false, true),
            Operator::Gte | Operator::VersionGte => (false, true, true),
            Operator::Lt | Operator::VersionLt | Operator::Before => (true, false, false),
            Operator::Lte | Operator::VersionLte => (true, true, false),
            Operator::VersionEq => (false, true, false),
            Operator::VersionNeq => (true, false, true),
            _ => return None,
        };
        Some(Self { less, equal, greater })
    }
}

impl Comparison {
    /// Parses the values of a condition; none when they are not valid.
    pub(super) fn compile(condition: &Condition, ruleset: &Ruleset) -> Option<Self> {
        let one_of = |place, ignores_case, negated| {
            let texts = Texts::new(texts(&condition.values, ignores_case));
            Some(Self::OneOf { texts, place, ignores_case, negated })
        };
        let array = |has, negated| Some(Self::Array { texts: texts(&condition.values, false), has, negated });
        let accept = || Accept::of(condition.operator);
        match condition.operator {
            Operator::Any => one_of(Place::Whole, true, false),
            Operator::None => one_of(Place::Whole, true, true),
            Operator::AnyCaseSensitive => one_of(Place::Whole, false, false),
            Operator::NoneCaseSensitive => one_of(Place::Whole, false, true),
            Operator::StrStartsWithAny => one_of(Place::Start, true, false),
            Operator::StrEndsWithAny => one_of(Place::End, true, false),
            Operator::StrContainsAny => one_of(Place::Anywhere, true, false),
            Operator::StrContainsNone => one_of(Place::Anywhere, true, true),
            Operator::StrMatches => compile_pattern(condition.single()?.as_str()?).ok().map(Self::Matches),
            Operator::Eq | Operator::Neq => {
                let negated = condition.operator == Operator::Neq;
                Some(Self::Equal { value: condition.single()?.clone(), negated })
            }
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                Some(Self::Number(condition.number()?, accept()?))
            }
            Operator::VersionGt
            | Operator::VersionGte
            | Operator::VersionLt
            | Operator::VersionLte
            | Operator::VersionEq
            | Operator::VersionNeq => Some(Self::Version(parse_version(&condition.text()?)?, accept()?)),
            Operator::Before | Operator::After => Some(Self::Time(condition.number()?, accept()?)),
            Operator::On => condition.number().map(Self::Day),
            Operator::InSegmentList | Operator::NotInSegmentList => {
                let list = ruleset.id_lists.get(condition.single()?.as_str()?).cloned();
                Some(Self::Listed { list, negated: condition.operator == Operator::NotInSegmentList })
            }
            Operator::ArrayContainsAny => array(Has::Any, false),
            Operator::ArrayContainsNone => array(Has::Any, true),
            Operator::ArrayContainsAll => array(Has::All, false),
            Operator::NotArrayContainsAll => array(Has::All, true),
            Operator::Passes | Operator::Fails => None,
        }
    }

    /// Whether what was found compares as wanted.
    pub(super) fn holds(&self, found: &Found<'_>) -> bool {
        match self {
            Self::OneOf { texts, place, ignores_case, negated } => {
                let Some(text) = found.text() else {
                    return *negated;
                };
                let contained = match (ignores_case, place, texts) {
                    (false, ..) => place.finds(texts, &text),
                    // The wanted are in lower case already.
                    (true, Place::Whole, Texts::Few(texts)) if text.is_ascii() => {
                        texts.iter().any(|wanted| wanted.eq_ignore_ascii_case(&text))
                    }
                    (true, ..) => place.finds(texts, &text.to_lowercase()),
                };
                contained != *negated
            }
            Self::Matches(pattern) => found.text().is_some_and(|text| pattern.is_match(&text)),
            Self::Equal { value, negated } => equals(found, value) != *negated,
            Self::Number(wanted, accept) => found
                .number()
                .and_then(|number| number.partial_cmp(wanted))
                .is_some_and(|it| accept.accepts(it)),
            Self::Version(wanted, accept) => {
                let ordering = found.text().and_then(|text| compare_versions(&text, wanted));
                ordering.is_some_and(|it| accept.accepts(it))
            }
            Self::Time(wanted, accept) => {
                found.time().and_then(|time| time.partial_cmp(wanted)).is_some_and(|it| accept.accepts(it))
            }
            #[expect(clippy::float_cmp, reason = "numbers of days are whole")]
            Self::Day(wanted) => {
                found.time().is_some_and(|time| (time / DAY_MS).floor() == (wanted / DAY_MS).floor())
            }
            Self::Listed { list, negated } => {
                let digest = found.text().map(|text| bucketing::list_digest(&text));
                let contains =
                    |list: &Arc<IdList>| digest.is_some_and(|digest| list.digests.contains(&digest));
                list.as_ref().is_some_and(contains) != *negated
            }
            Self::Array { texts, has, negated } => {
                let Found::Structure(Value::Array(elements)) = found else {
                    return false;
                };
                let elements: HashSet<String> = elements.iter().filter_map(scalar_text).collect();
                let contained = match has {
                    Has::Any => texts.iter().any(|text| elements.contains(text)),
                    Has::All => texts.iter().all(|text| elements.contains(text)),
                };
                contained != *negated
            }
        }
    }
}

impl Place {
    fn finds(self, texts: &Texts, text: &str) -> bool {
        match self {
            Self::Whole => texts.contains(text),
            Self::Start => texts.any(|wanted| text.starts_with(wanted)),
            Self::End => texts.any(|wanted| text.ends_with(wanted)),
            Self::Anywhere => texts.any(|wanted| text.contains(wanted)),
        }
    }
}

fn texts(values: &[Value], in_lower_case: bool) -> HashSet<String> {
    let texts = values.iter().filter_map(scalar_text);
    texts.map(|text| if in_lower_case { text.to_lowercase() } else { text }).collect()
}

/// Same type and content; a number also equals its text, and null what is missing.
fn equals(found: &Found<'_>, value: &Value) -> bool {
    match value {
        Value::Null => matches!(found, Found::Missing),
        Value::Bool(wanted) => matches!(found, Found::Flag(flag) if flag == wanted),
        Value::Number(wanted) => found.number().is_some_and(|number| wanted.as_f64() == Some(number)),
        Value::String(wanted) => match found {
            Found::Text(text) => text == wanted,
            _ => false,
        },
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Compares a version with the wanted one, number by number up to the first difference; missing numbers are 0. None where
/// what is to be compared is no number. What follows the first difference need not be numbers, as in SDKs.
fn compare_versions(found: &str, wanted: &[i128]) -> Option<Ordering> {
    let (mut found, mut wanted) = (version_parts(found), wanted.iter());
    loop {
        let ordering = match (found.next(), wanted.next()) {
            (None, None) => return Some(Ordering::Equal),
            (found, wanted) => found.unwrap_or(Some(0))?.cmp(wanted.unwrap_or(&0)),
        };
        if ordering.is_ne() {
            return Some(ordering);
        }
    }
}
