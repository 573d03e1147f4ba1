//! Conditions between wire and domain.

use super::convert::{json, or_default, wire_value};
use super::wire::condition::Subject as WireSubject;
use super::wire::{self, ConditionOperator as WireOperator};
use crate::domain::condition::{
    Condition, Draw, EnvironmentField, IpField, Operator, Subject, TimeField, UserAgentField,
};
use crate::domain::user::USER_ID;
use crate::error::{Error, Result};

/// The conditions of a rule; `field` is the path of the list.
pub(super) fn conditions(field: &str, messages: Vec<wire::Condition>) -> Result<Vec<Condition>> {
    let indexed = messages.into_iter().enumerate();
    indexed.map(|(index, message)| condition(&format!("{field}[{index}]"), message)).collect()
}

/// Conditions as they are sent.
pub(super) fn wire_conditions(conditions: &[Condition]) -> Vec<wire::Condition> {
    conditions.iter().map(wire_condition).collect()
}

/// A condition as it is sent.
pub(super) fn wire_condition(condition: &Condition) -> wire::Condition {
    wire::Condition {
        subject: Some(wire_subject(&condition.subject)),
        operator: wire_operator(condition.operator).into(),
        values: condition.values.iter().map(wire_value).collect(),
    }
}

fn condition(field: &str, message: wire::Condition) -> Result<Condition> {
    let operator = operator(&format!("{field}.operator"), message.operator())?;
    let values = message.values.into_iter().enumerate();
    let values = values.map(|(index, value)| json(&format!("{field}.values[{index}]"), value));
    let subject = message.subject.ok_or_else(|| {
        let subjects = "attribute, unit, gate, segment, bucket, environment, user_agent, ip, time";
        Error::field(field, format!("must have one of: {subjects}"))
    })?;
    Ok(Condition { subject: subject_of(field, subject)?, operator, values: values.collect::<Result<_>>()? })
}

fn subject_of(field: &str, subject: WireSubject) -> Result<Subject> {
    let unknown = |name: &str| {
        let message = "must be one of the fields that are known, is unspecified or unknown";
        Error::field(format!("{field}.{name}"), message)
    };
    Ok(match subject {
        WireSubject::Attribute(name) => Subject::named(name),
        WireSubject::Unit(unit_type) => Subject::Unit(unit_type),
        WireSubject::Gate(key) => Subject::Gate(key),
        WireSubject::Segment(key) => Subject::Segment(key),
        WireSubject::Bucket(draw) => {
            Subject::Bucket(Draw { salt: draw.salt, unit_type: or_default(draw.unit_type, USER_ID) })
        }
        WireSubject::Environment(value) => match wire::EnvironmentField::try_from(value) {
            Ok(wire::EnvironmentField::Tier) => Subject::Environment(EnvironmentField::Tier),
            Ok(wire::EnvironmentField::Unspecified) | Err(_) => return Err(unknown("environment")),
        },
        WireSubject::UserAgent(value) => Subject::UserAgent(match wire::UserAgentField::try_from(value) {
            Ok(wire::UserAgentField::BrowserName) => UserAgentField::BrowserName,
            Ok(wire::UserAgentField::BrowserVersion) => UserAgentField::BrowserVersion,
            Ok(wire::UserAgentField::OsName) => UserAgentField::OsName,
            Ok(wire::UserAgentField::OsVersion) => UserAgentField::OsVersion,
            Ok(wire::UserAgentField::Unspecified) | Err(_) => return Err(unknown("user_agent")),
        }),
        WireSubject::Ip(value) => match wire::IpField::try_from(value) {
            Ok(wire::IpField::Country) => Subject::Ip(IpField::Country),
            Ok(wire::IpField::Unspecified) | Err(_) => return Err(unknown("ip")),
        },
        WireSubject::Time(value) => match wire::TimeField::try_from(value) {
            Ok(wire::TimeField::Now) => Subject::Time(TimeField::Now),
            Ok(wire::TimeField::Unspecified) | Err(_) => return Err(unknown("time")),
        },
    })
}

fn wire_subject(subject: &Subject) -> WireSubject {
    match subject {
        Subject::Attribute(name) => WireSubject::Attribute(name.clone()),
        Subject::Unit(unit_type) => WireSubject::Unit(unit_type.clone()),
        Subject::Gate(key) => WireSubject::Gate(key.clone()),
        Subject::Segment(key) => WireSubject::Segment(key.clone()),
        Subject::Bucket(draw) => WireSubject::Bucket(wire::BucketDraw {
            salt: draw.salt.clone(),
            unit_type: draw.unit_type.clone(),
        }),
        Subject::Environment(EnvironmentField::Tier) => {
            WireSubject::Environment(wire::EnvironmentField::Tier.into())
        }
        Subject::UserAgent(field) => {
            let field = match field {
                UserAgentField::BrowserName => wire::UserAgentField::BrowserName,
                UserAgentField::BrowserVersion => wire::UserAgentField::BrowserVersion,
                UserAgentField::OsName => wire::UserAgentField::OsName,
                UserAgentField::OsVersion => wire::UserAgentField::OsVersion,
            };
            WireSubject::UserAgent(field.into())
        }
        Subject::Ip(IpField::Country) => WireSubject::Ip(wire::IpField::Country.into()),
        Subject::Time(TimeField::Now) => WireSubject::Time(wire::TimeField::Now.into()),
    }
}

fn operator(field: &str, operator: WireOperator) -> Result<Operator> {
    Ok(match operator {
        WireOperator::Any => Operator::Any,
        WireOperator::None => Operator::None,
        WireOperator::Gt => Operator::Gt,
        WireOperator::Gte => Operator::Gte,
        WireOperator::Lt => Operator::Lt,
        WireOperator::Lte => Operator::Lte,
        WireOperator::VersionGt => Operator::VersionGt,
        WireOperator::VersionGte => Operator::VersionGte,
        WireOperator::VersionLt => Operator::VersionLt,
        WireOperator::VersionLte => Operator::VersionLte,
        WireOperator::VersionEq => Operator::VersionEq,
        WireOperator::VersionNeq => Operator::VersionNeq,
        WireOperator::AnyCaseSensitive => Operator::AnyCaseSensitive,
        WireOperator::NoneCaseSensitive => Operator::NoneCaseSensitive,
        WireOperator::StrStartsWithAny => Operator::StrStartsWithAny,
        WireOperator::StrEndsWithAny => Operator::StrEndsWithAny,
        WireOperator::StrContainsAny => Operator::StrContainsAny,
        WireOperator::StrContainsNone => Operator::StrContainsNone,
        WireOperator::StrMatches => Operator::StrMatches,
        WireOperator::Eq => Operator::Eq,
        WireOperator::Neq => Operator::Neq,
        WireOperator::Before => Operator::Before,
        WireOperator::After => Operator::After,
        WireOperator::On => Operator::On,
        WireOperator::InSegmentList => Operator::InSegmentList,
        WireOperator::NotInSegmentList => Operator::NotInSegmentList,
        WireOperator::ArrayContainsAny => Operator::ArrayContainsAny,
        WireOperator::ArrayContainsNone => Operator::ArrayContainsNone,
        WireOperator::ArrayContainsAll => Operator::ArrayContainsAll,
        WireOperator::NotArrayContainsAll => Operator::NotArrayContainsAll,
        WireOperator::Passes => Operator::Passes,
        WireOperator::Fails => Operator::Fails,
        WireOperator::Unspecified => {
            let message = "must be one of the condition operators, is unspecified or unknown";
            return Err(Error::field(field, message));
        }
    })
}

fn wire_operator(operator: Operator) -> WireOperator {
    match operator {
        Operator::Any => WireOperator::Any,
        Operator::None => WireOperator::None,
        Operator::Gt => WireOperator::Gt,
        Operator::Gte => WireOperator::Gte,
        Operator::Lt => WireOperator::Lt,
        Operator::Lte => WireOperator::Lte,
        Operator::VersionGt => WireOperator::VersionGt,
        Operator::VersionGte => WireOperator::VersionGte,
        Operator::VersionLt => WireOperator::VersionLt,
        Operator::VersionLte => WireOperator::VersionLte,
        Operator::VersionEq => WireOperator::VersionEq,
        Operator::VersionNeq => WireOperator::VersionNeq,
        Operator::AnyCaseSensitive => WireOperator::AnyCaseSensitive,
        Operator::NoneCaseSensitive => WireOperator::NoneCaseSensitive,
        Operator::StrStartsWithAny => WireOperator::StrStartsWithAny,
        Operator::StrEndsWithAny => WireOperator::StrEndsWithAny,
        Operator::StrContainsAny => WireOperator::StrContainsAny,
        Operator::StrContainsNone => WireOperator::StrContainsNone,
        Operator::StrMatches => WireOperator::StrMatches,
        Operator::Eq => WireOperator::Eq,
        Operator::Neq => WireOperator::Neq,
        Operator::Before => WireOperator::Before,
        Operator::After => WireOperator::After,
        Operator::On => WireOperator::On,
        Operator::InSegmentList => WireOperator::InSegmentList,
        Operator::NotInSegmentList => WireOperator::NotInSegmentList,
        Operator::ArrayContainsAny => WireOperator::ArrayContainsAny,
        Operator::ArrayContainsNone => WireOperator::ArrayContainsNone,
        Operator::ArrayContainsAll => WireOperator::ArrayContainsAll,
        Operator::NotArrayContainsAll => WireOperator::NotArrayContainsAll,
        Operator::Passes => WireOperator::Passes,
        Operator::Fails => WireOperator::Fails,
    }
}
