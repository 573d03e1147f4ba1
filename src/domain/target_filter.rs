//! Which targets somebody wants to hear of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::launch::Target;

/// Targets of one entity, or one rule of it: `gate:KEY`, `config:KEY`, either with `/RULE`, `experiment:KEY`, `shipment:KEY` or
/// `holdout:KEY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetFilter(String);

impl TargetFilter {
    /// The target itself, as [`Target::path`] writes it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0
    }

    /// What paths of the targets below it begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}/", self.0)
    }

    /// Whether a target is among them.
    #[must_use]
    pub fn matches(&self, target: &Target) -> bool {
        let path = target.path();
        path == self.0 || path.starts_with(&self.prefix())
    }
}

impl FromStr for TargetFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Target::KINDS.iter().any(|kind| {
            let key = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':'));
            key.is_some_and(|key| !key.is_empty() && !key.split('/').any(str::is_empty))
        });
        let kinds = Target::KINDS.join(", ");
        let message = || format!("must be KIND:KEY, or gate:KEY/RULE for one rule; kinds are {kinds}");
        if known { Ok(Self(text.to_owned())) } else { Err(message()) }
    }
}

impl TryFrom<String> for TargetFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TargetFilter> for String {
    fn from(filter: TargetFilter) -> Self {
        filter.0
    }
}

impl fmt::Display for TargetFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_stands_for_all_its_rules_and_for_nothing_else() {
        let rule = |gate: &str, rule: &str| Target::GateRule { gate: gate.to_owned(), rule: rule.to_owned() };
        let filter = |text: &str| text.parse::<TargetFilter>().unwrap();
        assert!(filter("gate:shop").matches(&rule("shop", "all")));
        assert!(filter("gate:shop/all").matches(&rule("shop", "all")));
        assert!(!filter("gate:shop/all").matches(&rule("shop", "all_others")));
        assert!(!filter("gate:shop").matches(&rule("shopping", "all")));
        let experiment = Target::Experiment { experiment: "shop".to_owned() };
        assert!(filter("experiment:shop").matches(&experiment) && !filter("gate:shop").matches(&experiment));
        for text in ["shop", "gate:", "gate:/all", "gate:shop/", "holiday:shop", ""] {
            assert!(text.parse::<TargetFilter>().is_err(), "{text}");
        }
    }
}
