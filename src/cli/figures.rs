//! Numbers as people read them.

use super::number::Number;

/// A number in the form of `form`; a dash where it is undefined.
pub(super) fn or_dash(number: Number, form: impl Fn(f64) -> String) -> String {
    number.0.map_or_else(|_| "-".to_owned(), form)
}

/// An e-value; only that it is beyond all numbers where it is.
pub(super) fn e_value(number: Number) -> String {
    number.0.map_or_else(|_| "above 1e308".to_owned(), significant)
}

/// A share in percent, to two decimals.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A difference of shares in percentage points.
pub(super) fn points(share: f64) -> String {
    format!("{:+.2} pp", 100.0 * share)
}

/// A share of something in percent, with its sign.
pub(super) fn signed_percent(share: f64) -> String {
    format!("{:+.2} %", 100.0 * share)
}

/// A share in percent, to four significant digits.
pub(super) fn share(share: f64) -> String {
    format!("{} %", significant(100.0 * share))
}

/// A number with its sign.
pub(super) fn signed(number: f64) -> String {
    let sign = if number < 0.0 { "" } else { "+" };
    format!("{sign}{}", significant(number))
}

/// A number to four significant digits, and whole up to a million.
pub(super) fn significant(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e6).contains(&size) {
        format!("{number:.3e}")
    } else if number.fract() == 0.0 {
        format!("{number:.0}")
    } else if size >= 1_000.0 {
        format!("{number:.1}")
    } else {
        let decimals = [(100.0, 1), (10.0, 2), (1.0, 3), (0.1, 4), (0.01, 5), (0.001, 6)];
        let places = decimals.iter().find(|(least, _)| size >= *least).map_or(7, |(_, places)| *places);
        format!("{number:.places$}")
    }
}

/// A count with its thousands set apart by commas.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
