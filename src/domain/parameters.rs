//! What a group, a dynamic config or a layer gives to its units: JSON values by name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::condition::is_exact;
use super::violation::Checks;

/// Most parameters in one value.
pub const MAX_PARAMETERS: usize = 1_000;
/// Most bytes of one value as JSON.
pub const MAX_PARAMETER_BYTES: usize = 262_144;

/// JSON values by name.
pub type Parameters = BTreeMap<String, Value>;

/// Checks parameters against their limits.
pub fn check_parameters(checks: &mut Checks, field: &str, parameters: &Parameters) {
    let count = parameters.len();
    checks.require(
        count <= MAX_PARAMETERS,
        field,
        format!("must have at most {MAX_PARAMETERS} entries, has {count}"),
    );
    let bytes = serde_json::to_vec(parameters).map_or(usize::MAX, |json| json.len());
    checks.require(
        bytes <= MAX_PARAMETER_BYTES,
        field,
        format!("must have at most {MAX_PARAMETER_BYTES} bytes as JSON"),
    );
    for (name, _) in parameters.iter().filter(|(_, value)| !has_exact_numbers(value)) {
        let message = "must have no whole number beyond 2^53, which some readers round";
        checks.require(false, format!("{field}[{name}]"), message);
    }
}

fn has_exact_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => is_exact(number),
        Value::Array(values) => values.iter().all(has_exact_numbers),
        Value::Object(fields) => fields.values().all(has_exact_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Checks that parameters have the names and types of others, which `others` names.
pub fn check_shape(
    checks: &mut Checks,
    field: &str,
    parameters: &Parameters,
    like: &Parameters,
    others: &str,
) {
    let message = format!("must have the same names and types as {others}");
    checks.require(shape(parameters) == shape(like), field, message);
}

/// Names of the parameters with the names of their JSON types.
fn shape(parameters: &Parameters) -> BTreeMap<&str, &'static str> {
    parameters.iter().map(|(name, value)| (name.as_str(), json_type(value))).collect()
}

/// The name of a value's JSON type.
#[must_use]
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
