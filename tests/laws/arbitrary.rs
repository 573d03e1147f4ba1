//! Users and conditions of every kind, sensible or not.

use portcullis::domain::condition::{
    Condition, Draw, EnvironmentField, IpField, Operator, Subject, TimeField, UserAgentField,
};
use portcullis::domain::user::User;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

pub(crate) fn unit_type() -> impl Strategy<Value = String> {
    prop_oneof![Just("user_id".to_owned()), Just("userID".to_owned()), Just("device".to_owned()), ".{0,8}"]
}

pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    let operators = [
        Operator::Any,
        Operator::None,
        Operator::AnyCaseSensitive,
        Operator::NoneCaseSensitive,
        Operator::StrStartsWithAny,
        Operator::StrEndsWithAny,
        Operator::StrContainsAny,
        Operator::StrContainsNone,
        Operator::StrMatches,
        Operator::Eq,
        Operator::Neq,
        Operator::Gt,
        Operator::Gte,
        Operator::Lt,
        Operator::Lte,
        Operator::VersionGt,
        Operator::VersionGte,
        Operator::VersionLt,
        Operator::VersionLte,
        Operator::VersionEq,
        Operator::VersionNeq,
        Operator::Before,
        Operator::After,
        Operator::On,
        Operator::InSegmentList,
        Operator::NotInSegmentList,
        Operator::ArrayContainsAny,
        Operator::ArrayContainsNone,
        Operator::ArrayContainsAll,
        Operator::NotArrayContainsAll,
        Operator::Passes,
        Operator::Fails,
    ];
    let text = prop_oneof![".{0,8}", "-?[0-9]{1,20}", "[0-9]{1,3}(\\.[0-9]{1,25}){0,3}(-beta)?"];
    let values = prop_oneof![text.prop_map(Value::String), any_json()];
    (subject(), proptest::sample::select(operators.to_vec()), vec(values, 0..4))
        .prop_map(|(subject, operator, values)| Condition { subject, operator, values })
}

pub(crate) fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        attribute_name().prop_map(Subject::named),
        unit_type().prop_map(Subject::Unit),
        prop_oneof![Just("gate"), Just("holdout"), Just("missing")]
            .prop_map(|key| Subject::Gate(key.to_owned())),
        prop_oneof![Just("segment"), Just("listed")].prop_map(|key| Subject::Segment(key.to_owned())),
        (".{0,4}", unit_type()).prop_map(|(salt, unit_type)| Subject::Bucket(Draw { salt, unit_type })),
        Just(Subject::Environment(EnvironmentField::Tier)),
        Just(Subject::UserAgent(UserAgentField::OsVersion)),
        Just(Subject::Ip(IpField::Country)),
        Just(Subject::Time(TimeField::Now)),
    ]
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

pub(crate) fn attribute_name() -> impl Strategy<Value = String> {
    prop_oneof![Just("user_id".to_owned()), Just("app_version".to_owned()), Just("age".to_owned()), ".{0,4}"]
}

pub(crate) fn any_user() -> impl Strategy<Value = User> {
    let custom_ids = proptest::collection::btree_map(unit_type(), ".{0,8}", 0..3);
    let attributes = || proptest::collection::btree_map(attribute_name(), any_json(), 0..4);
    let texts = [".{0,3}", "[0-9.]{0,12}", ".{0,20}", "[0-9a-f.:]{0,20}", "(Mozilla/5.0 .{0,40})?"];
    (".{0,16}", custom_ids, texts, attributes(), attributes()).prop_map(
        |(user_id, custom_ids, [country, app_version, email, ip, user_agent], custom, private)| User {
            user_id,
            custom_ids,
            environment: country.clone(),
            locale: country.clone(),
            country,
            app_version,
            email,
            ip,
            user_agent,
            custom,
            private,
        },
    )
}
