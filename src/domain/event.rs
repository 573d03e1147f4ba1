//! Events that callers log, and exposures that evaluation records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::key::{MAX_KEY_BYTES, MAX_NAME_BYTES, check_length};
use super::launch::LaunchId;
use super::time::Timestamp;
use super::user::{MAX_ATTRIBUTE_BYTES, User, is_storable};
use super::violation::{Checks, Invalid};

/// Most events of one batch.
pub const MAX_BATCH: usize = 1_000;
/// Largest value of an event, so that sums of squares never overflow.
pub const MAX_VALUE: f64 = 1e15;
/// Most properties of one event.
pub const MAX_PROPERTIES: usize = 64;

/// One thing that happened to a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The caller's id, or one that was given on arrival.
    pub id: String,
    /// What happened.
    pub name: String,
    /// Whom it happened to; its ids and public attributes are stored.
    pub user: User,
    /// When it happened.
    pub at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// A finite number for metrics that sum.
    pub value: Option<f64>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
}

impl Event {
    /// Checks the event; `max_skew_ms` is how far in the future it may lie.
    pub fn check(&self, max_skew_ms: i64) -> Result<(), Invalid> {
        let mut checks = Checks::default();
        check_length(&mut checks, "id", &self.id, MAX_KEY_BYTES);
        let named = !self.name.is_empty() && self.name.len() <= MAX_NAME_BYTES;
        checks.require(named, "name", format!("must be 1 to {MAX_NAME_BYTES} bytes"));
        let no_zero = "must not have the character 0";
        checks.require(is_storable(&self.name), "name", no_zero);
        checks.require(is_storable(&self.id), "id", no_zero);
        checks.absorb(self.user.check("user"));
        let skew = self.at.ms_since(self.received_at);
        checks.require(
            skew <= max_skew_ms,
            "time",
            format!("must be at most {max_skew_ms} ms in the future, is {skew} ms"),
        );
        checks.require(self.at.0 >= 0, "time", "must not be before 1970");
        let value = self.value.is_none_or(|value| value.abs() <= MAX_VALUE);
        checks.require(value, "value", format!("must be a number from -{MAX_VALUE:e} to {MAX_VALUE:e}"));
        let count = self.properties.len();
        checks.require(
            count <= MAX_PROPERTIES,
            "properties",
            format!("must have at most {MAX_PROPERTIES} entries, has {count}"),
        );
        for (name, value) in self.properties.iter().take(MAX_PROPERTIES) {
            check_length(&mut checks, "properties", name, MAX_ATTRIBUTE_BYTES);
            check_length(&mut checks, "properties", value, MAX_ATTRIBUTE_BYTES);
            checks.require(is_storable(name) && is_storable(value), "properties", no_zero);
        }
        checks.finish()
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        let texts = |texts: &BTreeMap<String, String>| -> usize {
            texts.iter().map(|(name, text)| name.len() + text.len()).sum()
        };
        let own = size_of::<Self>() + self.id.len() + self.name.len() + texts(&self.properties);
        own + self.user.user_id.len() + texts(&self.user.custom_ids) + self.user.attribute_bytes()
    }
}

/// One unit served one arm of a launch, or merely seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exposure {
    /// Unit type of the unit.
    pub unit_type: String,
    /// Id of the unit.
    pub unit_id: String,
    /// When.
    pub at: Timestamp,
    /// The launch it belongs to; none where nothing was being launched.
    pub assignment: Option<Assignment>,
    /// The user's values of the attributes that are kept for segments.
    pub attributes: BTreeMap<String, String>,
}

/// Which arm of which launch a unit was served.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// The launch.
    pub launch: LaunchId,
    /// Number of its epoch.
    pub epoch: u32,
    /// Name of the arm.
    pub arm: String,
    /// No planned step changes the unit's arm.
    pub settled: bool,
    /// The guard had turned the arm off already, and the unit was served the default.
    pub reverted: bool,
}
