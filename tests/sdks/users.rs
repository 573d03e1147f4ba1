//! Users of many kinds, each as this service and as Statsig's SDKs write them.

use std::collections::HashMap;

use portcullis::transport::grpc::wire::attribute_value::Value as Attribute;
use portcullis::transport::grpc::wire::{AttributeValue, User};
use serde_json::{Map, Value, json};

use crate::project::ENVIRONMENT;

/// User agents, one browser after another.
const USER_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.5735.90 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:109.0) Gecko/20100101 Firefox/115.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1",
];

/// User number so-and-so. Some have no user id, and attributes are missing in one out of so many.
pub(crate) fn user(number: usize) -> User {
    let pick = |among: &[&str]| among[number % among.len()].to_owned();
    let unless =
        |every: usize, value: String| if number.is_multiple_of(every) { String::new() } else { value };
    let has_user_id = !number.is_multiple_of(97);
    let mut custom_ids = HashMap::new();
    if !has_user_id || number.is_multiple_of(3) {
        custom_ids.insert("companyID".to_owned(), format!("company-{}", number % 500));
    }
    let custom = [
        ("plan", Attribute::Text(pick(&["free", "Pro", "team", "pro"]))),
        ("age", Attribute::Number((number % 83) as f64)),
        ("score", Attribute::Number((number % 1_000) as f64 / 8.0)),
        ("beta", Attribute::Flag(number.is_multiple_of(7))),
    ];
    let custom = custom.into_iter().enumerate().filter(|(place, _)| number % 11 != *place);
    let attribute =
        |(name, value): (&str, Attribute)| (name.to_owned(), AttributeValue { value: Some(value) });
    User {
        user_id: if has_user_id { format!("user-{number}") } else { String::new() },
        custom_ids: custom_ids.into_iter().collect(),
        country: unless(13, pick(&["DE", "US", "fr", "AT", "JP"])),
        app_version: unless(17, format!("{}.{}.{}", number % 4, number % 10, number % 3)),
        email: unless(19, format!("{number}@{}", pick(&["example.com", "Example.org", "mail.test"]))),
        user_agent: unless(23, pick(&USER_AGENTS)),
        environment: ENVIRONMENT.to_owned(),
        locale: unless(29, pick(&["de_DE", "en_US"])),
        custom: custom.map(|(_, named)| attribute(named)).collect(),
        ..User::default()
    }
}

/// The same user in the JSON form of Statsig's SDKs. The environment is that of the SDK's key.
pub(crate) fn statsig(user: &User) -> Value {
    let texts = [
        ("userID", &user.user_id),
        ("country", &user.country),
        ("appVersion", &user.app_version),
        ("email", &user.email),
        ("userAgent", &user.user_agent),
        ("locale", &user.locale),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut json: Map<String, Value> = texts.map(|(name, text)| (name.to_owned(), json!(text))).collect();
    if !user.custom_ids.is_empty() {
        json.insert("customIDs".to_owned(), json!(user.custom_ids));
    }
    let custom: Map<String, Value> =
        user.custom.iter().map(|(name, attribute)| (name.clone(), attribute_json(attribute))).collect();
    json.insert("custom".to_owned(), Value::Object(custom));
    Value::Object(json)
}

fn attribute_json(attribute: &AttributeValue) -> Value {
    match attribute.value.as_ref().expect("a value") {
        Attribute::Text(text) => json!(text),
        Attribute::Number(number) => json!(number),
        Attribute::Flag(flag) => json!(flag),
        Attribute::Json(_) => panic!("no user of the tests has one"),
    }
}
