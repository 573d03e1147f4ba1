//! Segments: made, changed, archived.

use super::documents::{Administered, check_fixed};
use super::edit::Edit;
use super::gates::rules_decide_alike;
use super::reach::dependents;
use super::references::{Referent, referrers, rule_conditions};
use crate::domain::condition::Condition;
use crate::domain::segment::Segment;
use crate::domain::violation::Checks;
use crate::engine::form::segment_name;
use crate::error::Result;

/// What names of segments begin with that experiments bring along for their targeting.
const INLINE_PREFIX: &str = "inline_targeting:";

/// Whoever comes into a segment may get what gates and experiments give to it, so that their guard is asked.
impl Administered for Segment {
    fn conditions(&self) -> Vec<(String, &Condition)> {
        rule_conditions("segment", &self.rules)
    }

    fn made(&self, _: &mut Edit) -> Result<()> {
        let mut checks = Checks::default();
        let message =
            format!("must not begin with `{INLINE_PREFIX}`; that is for the targeting of experiments");
        checks.require(!self.key.starts_with(INLINE_PREFIX), "segment.key", message);
        Ok(checks.finish()?)
    }

    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        let mut checks = Checks::default();
        check_fixed(&mut checks, "segment.unit_type", &before.unit_type, &self.unit_type);
        check_fixed(&mut checks, "segment.salt", &before.salt, &self.salt);
        if self.ids.is_none() {
            let lists = |condition: &Condition| Referent::of(condition) == Some(Referent::List(&self.key));
            let referrers = referrers(edit.catalogue(), lists);
            let message =
                format!("must stay a list of ids: it is referred to as one by {}", referrers.join(", "));
            checks.require(referrers.is_empty(), "segment.ids", message);
        }
        checks.finish()?;
        if before.ids != self.ids || !rules_decide_alike(&before.rules, &self.rules) {
            let dependents = dependents(edit.ruleset(), &segment_name(&self.key));
            edit.allow_all_wider(&dependents)?;
            edit.regroup_all(&dependents, "a segment that it depends on was changed");
        }
        Ok(())
    }

    fn archived(&self, edit: &mut Edit) -> Result<()> {
        edit.pending.retires(Referent::Segment(&self.key));
        Ok(())
    }
}
