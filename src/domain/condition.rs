//! A test of something about a user, as people write it.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::bucket_set::BUCKETS;
use super::key::{MAX_LIST, check_key, check_length, check_text};
use super::user::MAX_ATTRIBUTE_BYTES;
use super::violation::Checks;

/// Most conditions of one rule.
pub const MAX_CONDITIONS: usize = 100;
/// Most values that are shown of a condition.
const MAX_SHOWN: usize = 10;
/// Most bytes of a regular expression.
pub const MAX_PATTERN_BYTES: usize = 1_024;
/// Most regular expressions of one entity. They are parsed again with every change of the configuration.
pub const MAX_PATTERNS: usize = 50;
/// Most bytes of a parsed regular expression.
const MAX_PARSED_BYTES: usize = 1 << 18;
/// Whole numbers beyond this are rounded by some readers.
const MAX_WHOLE: u64 = 1 << 53;
/// Times below this, in milliseconds, would be read as seconds.
const FIRST_MS: f64 = 1e10;
/// The last millisecond of the year 9999, which is as far as some readers go.
const LAST_MS: f64 = 253_402_300_799_999.0;

/// What is tested, how, and against what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Condition {
    /// What is tested.
    pub subject: Subject,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with: texts, numbers, yes or no, nothing.
    pub values: Vec<Value>,
}

/// What a condition tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An attribute of the user: `user_id`, `email`, `ip`, `user_agent`, `country`, `locale`, `app_version`, or the name
    /// of a custom or private one.
    Attribute(String),
    /// The user's id of a unit type.
    Unit(String),
    /// Whether a gate, or a holdout, is passed.
    Gate(String),
    /// Whether the user is in a segment.
    Segment(String),
    /// The bucket, below 1,000, that a unit falls in.
    Bucket(Draw),
    /// The environment that the caller runs in.
    Environment(EnvironmentField),
    /// What the browser and system are, by the user's attribute of that name, else by the user agent.
    UserAgent(UserAgentField),
    /// Where the user is, by the attribute `country`.
    Ip(IpField),
    /// The time of the call.
    Time(TimeField),
}

/// Which unit is drawn, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Hashed with the unit's id.
    pub salt: String,
    /// Which id is hashed.
    pub unit_type: String,
}

/// What is known of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentField {
    /// Its name, for example `production`.
    Tier,
}

/// What is read from a user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAgentField {
    /// Browser family, for example `Chrome`.
    BrowserName,
    /// For example `114.0.5735`.
    BrowserVersion,
    /// For example `Mac OS X`.
    OsName,
    /// For example `10.15.7`.
    OsVersion,
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpField {
    /// ISO 3166 country.
    Country,
}

/// What is read from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeField {
    /// Now.
    Now,
}

/// How a condition compares. Unless said otherwise, what is missing does not meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Equals one of the values, ignoring case.
    Any,
    /// Equals none of the values, ignoring case; holds for what is missing.
    None,
    /// Equals one of the values.
    AnyCaseSensitive,
    /// Equals none of the values; holds for what is missing.
    NoneCaseSensitive,
    /// Starts with one of the values, ignoring case.
    StrStartsWithAny,
    /// Ends with one of the values, ignoring case.
    StrEndsWithAny,
    /// Contains one of the values, ignoring case.
    StrContainsAny,
    /// Contains none of the values, ignoring case; holds for what is missing.
    StrContainsNone,
    /// A regular expression is found in it.
    StrMatches,
    /// Equals the value in type and content; numbers equal their texts, and null what is missing.
    Eq,
    /// The opposite of [`Operator::Eq`].
    Neq,
    /// Greater, as numbers.
    Gt,
    /// Greater or equal, as numbers.
    Gte,
    /// Less, as numbers.
    Lt,
    /// Less or equal, as numbers.
    Lte,
    /// Later, as dotted versions.
    VersionGt,
    /// The same or later, as dotted versions.
    VersionGte,
    /// Earlier, as dotted versions.
    VersionLt,
    /// The same or earlier, as dotted versions.
    VersionLte,
    /// The same, as dotted versions.
    VersionEq,
    /// Another one, as dotted versions.
    VersionNeq,
    /// Earlier than a time in milliseconds since 1970.
    Before,
    /// Later than a time in milliseconds since 1970.
    After,
    /// On the UTC day of a time in milliseconds since 1970.
    On,
    /// In the id list of a segment.
    InSegmentList,
    /// Not in the id list of a segment; holds for what is missing.
    NotInSegmentList,
    /// A list that has one of the values.
    ArrayContainsAny,
    /// A list that has none of the values.
    ArrayContainsNone,
    /// A list that has all of the values.
    ArrayContainsAll,
    /// A list that lacks one of the values.
    NotArrayContainsAll,
    /// The gate is passed, or the user is in the segment.
    Passes,
    /// The gate is not passed, or the user is not in the segment.
    Fails,
}

/// How many values an operator takes, and of what form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Texts,
    Scalar,
    Number,
    Version,
    Milliseconds,
    Pattern,
    List,
}

impl Operator {
    fn takes(self) -> Takes {
        match self {
            Self::Passes | Self::Fails => Takes::Nothing,
            Self::Any
            | Self::None
            | Self::AnyCaseSensitive
            | Self::NoneCaseSensitive
            | Self::StrStartsWithAny
            | Self::StrEndsWithAny
            | Self::StrContainsAny
            | Self::StrContainsNone
            | Self::ArrayContainsAny
            | Self::ArrayContainsNone
            | Self::ArrayContainsAll
            | Self::NotArrayContainsAll => Takes::Texts,
            Self::StrMatches => Takes::Pattern,
            Self::Eq | Self::Neq => Takes::Scalar,
            Self::Gt | Self::Gte | Self::Lt | Self::Lte => Takes::Number,
            Self::VersionGt
            | Self::VersionGte
            | Self::VersionLt
            | Self::VersionLte
            | Self::VersionEq
            | Self::VersionNeq => Takes::Version,
            Self::Before | Self::After | Self::On => Takes::Milliseconds,
            Self::InSegmentList | Self::NotInSegmentList => Takes::List,
        }
    }
}

impl Operator {
    /// Whether texts that differ by case are different to it.
    fn regards_case(self) -> bool {
        matches!(
            self,
            Self::AnyCaseSensitive
                | Self::NoneCaseSensitive
                | Self::ArrayContainsAny
                | Self::ArrayContainsNone
                | Self::ArrayContainsAll
                | Self::NotArrayContainsAll
        )
    }

    /// Whether it compares with one value, and not with a list.
    #[must_use]
    pub fn takes_one_value(self) -> bool {
        !matches!(self.takes(), Takes::Nothing | Takes::Texts)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Attribute(name) => out.write_str(name)?,
            Subject::Unit(unit_type) => write!(out, "unit {unit_type}")?,
            Subject::Gate(key) => write!(out, "gate {key}")?,
            Subject::Segment(key) => write!(out, "segment {key}")?,
            Subject::Bucket(draw) => write!(out, "bucket of {} with salt {}", draw.unit_type, draw.salt)?,
            Subject::Environment(EnvironmentField::Tier) => out.write_str("environment")?,
            Subject::UserAgent(field) => {
                out.write_str("user agent ")?;
                field.serialize(&mut *out)?;
            }
            Subject::Ip(IpField::Country) => out.write_str("country of the address")?,
            Subject::Time(TimeField::Now) => out.write_str("time")?,
        }
        write!(out, " {}", self.operator)?;
        for (index, value) in self.values.iter().take(MAX_SHOWN).enumerate() {
            write!(out, "{}{value}", if index == 0 { " " } else { ", " })?;
        }
        let more = self.values.len().saturating_sub(MAX_SHOWN);
        if more > 0 { write!(out, " and {more} more") } else { Ok(()) }
    }
}

/// A condition on one line: the name of its subject is that of a field.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<Draw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<EnvironmentField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<UserAgentField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<TimeField>,
    operator: Option<Operator>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<Value>,
}

impl TryFrom<Written> for Condition {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let subjects = [
            written.attribute.map(Subject::named),
            written.unit.map(Subject::Unit),
            written.gate.map(Subject::Gate),
            written.segment.map(Subject::Segment),
            written.bucket.map(Subject::Bucket),
            written.environment.map(Subject::Environment),
            written.user_agent.map(Subject::UserAgent),
            written.ip.map(Subject::Ip),
            written.time.map(Subject::Time),
        ];
        let mut subjects = subjects.into_iter().flatten();
        let (Some(subject), None) = (subjects.next(), subjects.next()) else {
            let names = "attribute, unit, gate, segment, bucket, environment, user_agent, ip, time";
            return Err(format!("a condition must have exactly one of: {names}"));
        };
        let operator = written.operator.ok_or("a condition must have an operator")?;
        Ok(Self { subject, operator, values: written.values })
    }
}

impl From<Condition> for Written {
    fn from(condition: Condition) -> Self {
        let mut written =
            Self { operator: Some(condition.operator), values: condition.values, ..Self::default() };
        match condition.subject {
            Subject::Attribute(name) => written.attribute = Some(name),
            Subject::Unit(unit_type) => written.unit = Some(unit_type),
            Subject::Gate(key) => written.gate = Some(key),
            Subject::Segment(key) => written.segment = Some(key),
            Subject::Bucket(draw) => written.bucket = Some(draw),
            Subject::Environment(field) => written.environment = Some(field),
            Subject::UserAgent(field) => written.user_agent = Some(field),
            Subject::Ip(field) => written.ip = Some(field),
            Subject::Time(field) => written.time = Some(field),
        }
        written
    }
}

impl Subject {
    /// The attribute of a name. `browser` is the browser family, wherever it comes from.
    #[must_use]
    pub fn named(name: String) -> Self {
        if name == "browser" { Self::UserAgent(UserAgentField::BrowserName) } else { Self::Attribute(name) }
    }
}

impl Condition {
    /// A condition on an attribute.
    #[must_use]
    pub fn attribute(name: impl Into<String>, operator: Operator, values: Vec<Value>) -> Self {
        Self { subject: Subject::named(name.into()), operator, values }
    }

    /// Whether a gate is passed, or not.
    #[must_use]
    pub fn gate(key: &str, operator: Operator) -> Self {
        Self { subject: Subject::Gate(key.to_owned()), operator, values: Vec::new() }
    }

    /// Whether it holds for listed ids alone.
    #[must_use]
    pub fn lists_ids(&self) -> bool {
        let is_id = match &self.subject {
            Subject::Unit(_) => true,
            Subject::Attribute(name) => name == "user_id",
            _ => false,
        };
        is_id && matches!(self.operator, Operator::Any | Operator::AnyCaseSensitive | Operator::Eq)
    }

    /// Checks the condition; `field` is its path.
    pub fn check(&self, checks: &mut Checks, field: &str) {
        self.check_subject(checks, field);
        match self.misuse() {
            Some(message) => checks.require(false, format!("{field}.operator"), message),
            None => self.check_values(checks, &format!("{field}.values")),
        }
    }

    /// Why the operator can not be used on the subject; none where it can.
    fn misuse(&self) -> Option<&'static str> {
        let takes = self.operator.takes();
        match &self.subject {
            Subject::Gate(_) | Subject::Segment(_) => {
                (takes != Takes::Nothing).then_some("must be `passes` or `fails` for gates and segments")
            }
            _ if takes == Takes::Nothing => Some("`passes` and `fails` are for gates and segments"),
            Subject::Bucket(_) => {
                let is_set = matches!(self.operator, Operator::Any | Operator::None);
                let fits = is_set || takes == Takes::Number;
                (!fits).then_some("must be `any`, `none`, `lt`, `lte`, `gt` or `gte` for buckets")
            }
            Subject::Time(_) => {
                (takes != Takes::Milliseconds).then_some("must be `before`, `after` or `on` for the time")
            }
            _ => None,
        }
    }

    fn check_subject(&self, checks: &mut Checks, field: &str) {
        match &self.subject {
            Subject::Attribute(name) => check_text(checks, &format!("{field}.attribute"), name),
            Subject::Unit(unit_type) => check_key(checks, &format!("{field}.unit"), unit_type),
            Subject::Gate(key) => check_key(checks, &format!("{field}.gate"), key),
            Subject::Segment(key) => check_key(checks, &format!("{field}.segment"), key),
            Subject::Bucket(draw) => {
                check_text(checks, &format!("{field}.bucket.salt"), &draw.salt);
                check_key(checks, &format!("{field}.bucket.unit_type"), &draw.unit_type);
            }
            Subject::Environment(_) | Subject::UserAgent(_) | Subject::Ip(_) | Subject::Time(_) => {}
        }
    }

    fn check_values(&self, checks: &mut Checks, field: &str) {
        match self.operator.takes() {
            Takes::Nothing => {
                checks.require(self.values.is_empty(), field, "must be empty for gates and segments");
            }
            Takes::Texts => self.check_texts(checks, field),
            Takes::Scalar => {
                let fits = |value: &Value| match value {
                    Value::Null | Value::Bool(_) => true,
                    Value::Number(number) => is_exact(number),
                    Value::String(text) => !text.is_empty(),
                    Value::Array(_) | Value::Object(_) => false,
                };
                let message =
                    "must be exactly one text that is not empty, number up to 2^53, yes or no, or null";
                checks.require(self.single().is_some_and(fits), field, message);
            }
            Takes::Number => {
                let fits = self.number().is_some_and(f64::is_finite);
                checks.require(fits, field, "must be exactly one finite number");
            }
            Takes::Version => {
                // A number is no version to some readers.
                let fits = self.single().and_then(Value::as_str).and_then(parse_version).is_some();
                checks.require(fits, field, "must be exactly one version as text, such as 2.10.1");
            }
            Takes::Milliseconds => {
                let is_read_alike = |ms: f64| ms.fract() == 0.0 && (FIRST_MS..=LAST_MS).contains(&ms);
                let fits = self.single().and_then(Value::as_f64).is_some_and(is_read_alike);
                let message = "must be exactly one time in whole milliseconds since 1970, from 10000000000 to the \
                               end of the year 9999";
                checks.require(fits, field, message);
            }
            Takes::Pattern => self.check_pattern(checks, field),
            Takes::List => {
                let key = self.single().and_then(Value::as_str);
                checks.require(key.is_some(), field, "must be exactly one key of a segment with an id list");
                check_key(checks, &format!("{field}[0]"), key.unwrap_or("_"));
            }
        }
    }

    fn check_texts(&self, checks: &mut Checks, field: &str) {
        let count = self.values.len();
        let fits = (1..=MAX_LIST).contains(&count);
        checks.require(fits, field, format!("must have 1 to {MAX_LIST} entries, has {count}"));
        if self.operator.regards_case() {
            // Of two values that differ by case only, some readers lose one.
            let texts = self.values.iter().filter_map(scalar_text);
            let mut lowered = HashSet::new();
            let differ = texts.take(MAX_LIST).all(|text| lowered.insert(text.to_lowercase()));
            checks.require(differ, field, "must not have two entries that differ by case only");
        }
        for (index, value) in self.values.iter().take(MAX_LIST).enumerate() {
            let field = format!("{field}[{index}]");
            let text = scalar_text(value).unwrap_or_default();
            // An empty text would mean the missing attribute to some readers, and nothing to others.
            checks.require(
                !text.is_empty() && is_written_alike(value),
                &field,
                "must be a text that is not empty, a number up to 2^53 in its plain form, or yes or no",
            );
            check_length(checks, &field, &text, MAX_ATTRIBUTE_BYTES);
            let bucket = matches!(self.subject, Subject::Bucket(_));
            let in_range = value.as_i64().is_some_and(|bucket| (-1..BUCKETS).contains(&bucket));
            checks.require(
                !bucket || in_range,
                field,
                format!("must be a bucket below {BUCKETS}, or -1 for none"),
            );
        }
    }

    fn check_pattern(&self, checks: &mut Checks, field: &str) {
        let pattern = self.single().and_then(Value::as_str);
        let Some(pattern) = pattern.filter(|pattern| (1..=MAX_PATTERN_BYTES).contains(&pattern.len())) else {
            let message = format!("must be exactly one regular expression of 1 to {MAX_PATTERN_BYTES} bytes");
            return checks.require(false, field, message);
        };
        if let Err(error) = compile_pattern(pattern) {
            checks.require(false, field, format!("must be a regular expression: {error}"));
        }
    }

    /// The value, when there is exactly one.
    #[must_use]
    pub fn single(&self) -> Option<&Value> {
        match self.values.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }

    /// The value as a number, when there is exactly one and it is a number or the text of one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        let value = self.single()?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    /// The value as text, when there is exactly one.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        scalar_text(self.single()?)
    }
}

/// Whether the conditions of one entity have no more regular expressions than may be parsed; notes a violation else.
pub fn has_few_patterns<'c>(
    checks: &mut Checks,
    field: &str,
    conditions: impl Iterator<Item = &'c Condition>,
) -> bool {
    let count = conditions.filter(|condition| condition.operator.takes() == Takes::Pattern).count();
    let message = format!("must have at most {MAX_PATTERNS} regular expressions, has {count}");
    checks.require(count <= MAX_PATTERNS, field, message);
    count <= MAX_PATTERNS
}

/// Checks a rule's conditions; `field` is the path of the list.
pub fn check_conditions(checks: &mut Checks, field: &str, conditions: &[Condition]) {
    let count = conditions.len();
    checks.require(
        count <= MAX_CONDITIONS,
        field,
        format!("must have at most {MAX_CONDITIONS} entries, has {count}"),
    );
    for (index, condition) in conditions.iter().take(MAX_CONDITIONS).enumerate() {
        condition.check(checks, &format!("{field}[{index}]"));
    }
}

/// A text, number, or yes or no as the text it is compared by; none for anything else.
#[must_use]
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number_text(number)),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether every reader takes a number for the same.
#[must_use]
pub fn is_exact(number: &Number) -> bool {
    number.is_f64() || number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= MAX_WHOLE)
}

/// Whether every reader has the same text for a value: to some 10.0 is `10`, and 0.00001 is `1e-05`.
fn is_written_alike(value: &Value) -> bool {
    let is_plain = |number: f64| number.fract() != 0.0 && number.abs() >= 1e-4;
    match value {
        Value::Number(number) if number.is_f64() => number.as_f64().is_some_and(is_plain),
        Value::Number(number) => is_exact(number),
        _ => true,
    }
}

/// A number as text: whole numbers without a fraction.
#[must_use]
pub fn number_text(number: &Number) -> String {
    if number.is_f64() { number.as_f64().unwrap_or(f64::NAN).to_string() } else { number.to_string() }
}

/// A dotted version, all of whose parts are numbers.
#[must_use]
pub fn parse_version(text: &str) -> Option<Vec<i128>> {
    version_parts(text).collect()
}

/// The numbers of a dotted version, none for a part that is no number; what follows the first `-` is ignored.
pub fn version_parts(text: &str) -> impl Iterator<Item = Option<i128>> + '_ {
    let numbers = text.split_once('-').map_or(text, |(numbers, _)| numbers);
    numbers.split('.').map(|part| part.trim().parse().ok())
}

/// A regular expression, within limits on the memory it may take.
pub fn compile_pattern(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern).size_limit(MAX_PARSED_BYTES).build()
}

#[cfg(test)]
mod tests;
