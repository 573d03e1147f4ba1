//! Events as SDKs send them, turned into our events and exposures.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::user::StatsigUser;
use crate::domain::condition::scalar_text;
use crate::domain::event::{Event, Exposure};
use crate::domain::launch::{Launch, LaunchId};
use crate::domain::sdk_key::SecretHash;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::domain::violation::Invalid;
use crate::engine::evaluate::{Entity, Exposed};
use crate::engine::observe::{Observed, Served, observe};
use crate::engine::snapshot::Snapshot;

/// What names of events that SDKs make by themselves begin with.
const INTERNAL: &str = "statsig::";
/// The property that a text given as an event's value becomes.
const VALUE_PROPERTY: &str = "value";
/// The unit type of an id that clients make for a device.
pub(super) const STABLE_ID: &str = "stableID";
/// Most exposures that are taken from one event.
const MAX_SECONDARY: usize = 1_000;

/// A batch as SDKs send it. What can not be read counts as not given.
#[derive(Debug, Deserialize)]
pub(super) struct Batch {
    events: Vec<Value>,
    #[serde(default, rename = "statsigMetadata")]
    metadata: Value,
}

/// One event of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    event_name: String,
    #[serde(default)]
    user: Option<Value>,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    time: Option<f64>,
    #[serde(default)]
    secondary_exposures: Option<Vec<Value>>,
    #[serde(default)]
    statsig_metadata: Value,
}

/// What a batch came to.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// To be stored.
    pub(super) events: Vec<Event>,
    /// To be stored.
    pub(super) exposures: Vec<Exposure>,
    /// Events that SDKs make for themselves, and that say nothing about users.
    pub(super) internal: usize,
    /// Events that break a limit, or can not be read; with what is wrong with the first.
    pub(super) refused: usize,
    pub(super) first_refusal: Option<String>,
    /// Exposures that fit no epoch of the launch that watches: the SDK had rules from before it.
    pub(super) stale: usize,
}

/// What is needed to understand events.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    pub(super) snapshot: &'r Snapshot,
    pub(super) launches: &'r BTreeMap<LaunchId, Arc<Launch>>,
    pub(super) names: &'r Names,
    pub(super) now: Timestamp,
    /// How far in the future an event may lie, in milliseconds.
    pub(super) max_skew_ms: i64,
}

impl Reader<'_> {
    /// Turns a batch into what is to be stored. Nothing that is wrong with one event fails another.
    pub(super) fn read(&self, batch: Batch) -> Received {
        let mut received = Received::default();
        for event in batch.events {
            let outcome = serde_json::from_value::<Sent>(event).map_err(|error| error.to_string());
            let outcome = outcome.and_then(|sent| self.take(&mut received, sent, &batch.metadata));
            if let Err(message) = outcome {
                received.refused += 1;
                received.first_refusal.get_or_insert(message);
            }
        }
        received
    }

    fn take(&self, received: &mut Received, sent: Sent, batch: &Value) -> Result<(), String> {
        let user = user(&sent, batch);
        let at = sent.time.map_or(self.now, milliseconds);
        let Some(internal) = sent.event_name.strip_prefix(INTERNAL) else {
            let event = self.event(sent, user, at, batch);
            event.check(self.max_skew_ms).map_err(|invalid: Invalid| invalid.to_string())?;
            received.events.push(event);
            return Ok(());
        };
        let metadata = sent.metadata.unwrap_or_default();
        let text = |name: &str| metadata.get(name).and_then(scalar_text).unwrap_or_default();
        let (entity, name) = match internal {
            "gate_exposure" => (Entity::Gate, text("gate")),
            "config_exposure" => (Entity::Config, text("config")),
            "layer_exposure" => (Entity::Layer, text("config")),
            _ => {
                received.internal += 1;
                return Ok(());
            }
        };
        if at.ms_since(self.now) > self.max_skew_ms || at.0 < 0 {
            return Err(format!(
                "time: must be at most {} ms in the future and not before 1970",
                self.max_skew_ms
            ));
        }
        user.check("user").map_err(|invalid| invalid.to_string())?;
        let allocated = text("allocatedExperiment");
        let rule_id = text("ruleID");
        // Configs say it by another name, and not with every SDK.
        let said = [text("gateValue"), text("rulePassed")].into_iter().find(|said| !said.is_empty());
        let passed = match entity {
            Entity::Gate => Some(said.as_deref() == Some("true")),
            _ => said.map(|said| said == "true"),
        };
        // Older and newer SDKs have another name for it.
        let rules_at = ["lcut", "configSyncTime"].iter().find_map(|name| text(name).parse().ok());
        let rules_at = rules_at.map_or(at, Timestamp);
        let (entity, name) = match entity {
            Entity::Layer if !allocated.is_empty() => (Entity::Experiment, allocated),
            // Dynamic configs and experiments share their names.
            Entity::Config => (Entity::Experiment, name),
            other => (other, name),
        };
        let key = self.names.resolve(&name);
        let own = Served { entity, key, rule_id: &rule_id, passed, at, rules_at };
        match self.observe(received, own, &user) {
            Observed::Nothing if entity == Entity::Experiment => {
                let config = self.observe(received, Served { entity: Entity::Config, ..own }, &user);
                received.exposures.extend(record(config, &user));
            }
            observed => received.exposures.extend(record(observed, &user)),
        }
        for nested in sent.secondary_exposures.iter().flatten().take(MAX_SECONDARY) {
            let text = |name: &str| nested.get(name).and_then(scalar_text).unwrap_or_default();
            let (gate, rule_id) = (text("gate"), text("ruleID"));
            let (key, passed) = (self.names.resolve(&gate), Some(text("gateValue") == "true"));
            let served = Served { entity: Entity::Gate, key, rule_id: &rule_id, passed, at, rules_at };
            // That the unit was seen is known from the exposure that they came with.
            if let Observed::Exposed(exposed @ Exposed { arm: Some(_), .. }) =
                self.observe(received, served, &user)
            {
                received.exposures.extend(exposed.record(&user));
            }
        }
        Ok(())
    }

    fn observe(&self, received: &mut Received, served: Served<'_>, user: &User) -> Observed<'_> {
        let observed = observe(self.snapshot, self.launches, served, user);
        if matches!(observed, Observed::Stale(_)) {
            received.stale += 1;
        }
        observed
    }

    /// Our event. Its id follows from its content, since SDKs give none and send a batch again when they missed the answer.
    fn event(&self, sent: Sent, user: User, at: Timestamp, batch: &Value) -> Event {
        let metadata = sent.metadata.unwrap_or_default();
        let session = session(&sent.statsig_metadata).or_else(|| session(batch));
        let content = json!([session, at.0, sent.event_name, sent.user, sent.value, metadata]);
        // Half of the hash has the form of a UUID, and is stored as briefly.
        let mut id = SecretHash::of(&content.to_string()).to_string();
        id.truncate(32);
        let mut properties: BTreeMap<String, String> =
            metadata.iter().filter_map(|(name, value)| Some((name.clone(), property(value)?))).collect();
        if let Value::String(text) = &sent.value {
            properties.entry(VALUE_PROPERTY.to_owned()).or_insert_with(|| text.clone());
        }
        Event {
            id,
            name: sent.event_name,
            user,
            at,
            received_at: self.now,
            value: sent.value.as_f64(),
            properties,
        }
    }
}

fn record(observed: Observed<'_>, user: &User) -> Option<Exposure> {
    match observed {
        Observed::Exposed(exposed) | Observed::Stale(exposed) => exposed.record(user),
        Observed::Nothing => None,
    }
}

/// The user of an event, with the id that the SDK made for the device.
fn user(sent: &Sent, batch: &Value) -> User {
    let user = sent.user.clone().unwrap_or_default();
    let user = serde_json::from_value::<StatsigUser>(user).unwrap_or_default();
    with_stable_id(user.into(), &[&sent.statsig_metadata, batch])
}

/// A user with the id that the SDK made for the device, where the caller gave none.
pub(super) fn with_stable_id(mut user: User, metadata: &[&Value]) -> User {
    let mut given = metadata.iter().filter_map(|metadata| metadata.get(STABLE_ID)?.as_str());
    if let Some(id) = given.find(|id| !id.is_empty())
        && user.unit(STABLE_ID).is_none()
    {
        user.custom_ids.insert(STABLE_ID.to_owned(), id.to_owned());
    }
    user
}

fn session(metadata: &Value) -> Option<&str> {
    metadata.get("sessionID").and_then(Value::as_str)
}

/// Properties are texts: what is null is left out, and structures are written as JSON.
fn property(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => Some(value.to_string()),
        other => scalar_text(other),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast clamps, and what is out of range is refused later"
)]
fn milliseconds(time: f64) -> Timestamp {
    Timestamp(time as i64)
}
