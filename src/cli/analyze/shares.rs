//! The `--shares` flag: how many units each arm was to get.

use std::collections::BTreeMap;

use crate::domain::violation::Invalid;

/// Reads the flag. Every arm of the launch must have a share, and no other; without the flag none is known.
pub(super) fn read(parts: &[String], arms: &[&str]) -> Result<BTreeMap<String, f64>, Invalid> {
    let mut shares = BTreeMap::new();
    for part in parts {
        let field = format!("--shares {part}");
        let form = || Invalid::field(&field, "must be ARM=SHARE with a share above 0, for example new=50");
        let (arm, share) = part.rsplit_once('=').ok_or_else(form)?;
        let share: f64 = share.trim().parse().map_err(|_| form())?;
        if !share.is_finite() || share <= 0.0 {
            return Err(form());
        }
        if !arms.contains(&arm) {
            let message = format!("must be an arm that is compared: {}", arms.join(", "));
            return Err(Invalid::field(field, message));
        }
        if shares.insert(arm.to_owned(), share).is_some() {
            return Err(Invalid::field(field, "must name an arm only once"));
        }
    }
    let missing = arms.iter().find(|arm| !parts.is_empty() && !shares.contains_key(**arm));
    match missing {
        Some(arm) => {
            Err(Invalid::field("--shares", format!("must have a share for every arm: `{arm}` has none")))
        }
        None => Ok(shares),
    }
}
