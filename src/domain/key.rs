//! Keys of entities, and the limits on other short texts.

use super::violation::Checks;

/// Most bytes in a key, a rule id, a group name or an event id.
pub const MAX_KEY_BYTES: usize = 128;
/// Most bytes in an event's name.
pub const MAX_NAME_BYTES: usize = 256;
/// Most bytes in a description or a hypothesis.
pub const MAX_PROSE_BYTES: usize = 16_384;
/// Most tags, members or metrics in one list of an entity.
pub const MAX_LIST: usize = 1_000;

/// Notes a violation unless `key` has the form of a key.
pub fn check_key(checks: &mut Checks, field: &str, key: &str) {
    let fits = !key.is_empty()
        && key.len() <= MAX_KEY_BYTES
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'));
    checks.require(
        fits,
        field,
        format!("must be 1 to {MAX_KEY_BYTES} letters, digits, `_`, `-`, `.` or `:`"),
    );
}

/// Notes a violation unless `text` is not empty and as short as a name.
pub fn check_text(checks: &mut Checks, field: &str, text: &str) {
    let fits = !text.is_empty() && text.len() <= MAX_NAME_BYTES;
    checks.require(fits, field, format!("must be 1 to {MAX_NAME_BYTES} bytes"));
}

/// Notes a violation for a salt that is too long. It may be empty, since imported ones are.
pub fn check_salt(checks: &mut Checks, field: &str, salt: &str) {
    check_length(checks, field, salt, MAX_NAME_BYTES);
}

/// Notes a violation unless `text` has at most `most` bytes.
pub fn check_length(checks: &mut Checks, field: &str, text: &str, most: usize) {
    checks.require(text.len() <= most, field, format!("must have at most {most} bytes, has {}", text.len()));
}

/// Notes a violation for a list that is too long or holds an empty or overlong text.
pub fn check_texts(checks: &mut Checks, field: &str, texts: &[String]) {
    checks.require(texts.len() <= MAX_LIST, field, format!("must have at most {MAX_LIST} entries"));
    for (index, text) in texts.iter().enumerate() {
        let fits = !text.is_empty() && text.len() <= MAX_KEY_BYTES;
        checks.require(fits, format!("{field}[{index}]"), format!("must be 1 to {MAX_KEY_BYTES} bytes"));
    }
}

/// Notes a violation unless `percentage` is from 0 to 100.
pub fn check_percentage(checks: &mut Checks, field: &str, percentage: f64) {
    let fits = (0.0..=100.0).contains(&percentage);
    checks.require(fits, field, format!("must be a number from 0 to 100, is {percentage}"));
}

/// Checks what every document of `kind` has.
pub fn check_document(
    checks: &mut Checks,
    kind: &str,
    key: &str,
    prose: (&str, &str),
    owner: &str,
    tags: &[String],
) {
    check_key(checks, &format!("{kind}.key"), key);
    check_length(checks, &format!("{kind}.{}", prose.0), prose.1, MAX_PROSE_BYTES);
    check_length(checks, &format!("{kind}.owner"), owner, MAX_PROSE_BYTES);
    check_texts(checks, &format!("{kind}.tags"), tags);
}

/// Checks what is hashed.
pub fn check_hashed(checks: &mut Checks, kind: &str, unit_type: &str, salt: &str) {
    check_key(checks, &format!("{kind}.unit_type"), unit_type);
    check_salt(checks, &format!("{kind}.salt"), salt);
}
