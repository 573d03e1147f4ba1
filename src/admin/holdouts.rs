//! Holdouts: made, changed, archived.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::documents::{Administered, check_fixed, check_known};
use super::edit::Edit;
use super::gates::check_no_segment;
use super::reach::{Referrer, referrers, targets};
use super::references::Referent;
use super::rollouts::cancel_launch;
use crate::clock::new_id;
use crate::domain::catalogue::Catalogue;
use crate::domain::experiment::Experiment;
use crate::domain::gate::Gate;
use crate::domain::holdout::Holdout;
use crate::domain::launch::{CONTROL, GuardrailChoice, LaunchId, LaunchPlan, Step, TREATMENT, Target};
use crate::domain::layer::Layer;
use crate::domain::stored::{Document, Stored};
use crate::domain::violation::Checks;
use crate::engine::lower::lower;
use crate::error::Result;

/// Units that a holdout lets go get the feature: that is a raise, and passes the guard.
impl Administered for Holdout {
    fn namesake(catalogue: &Catalogue, key: &str) -> Option<&'static str> {
        catalogue.gates.contains_key(key).then_some(Gate::KIND)
    }

    fn made(&self, edit: &mut Edit) -> Result<()> {
        check_no_segment("holdout.key", &self.key)?;
        self.check_members(edit)?;
        self.move_units(edit, 0.0, self.percentage)
    }

    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        let mut checks = Checks::default();
        check_fixed(&mut checks, "holdout.unit_type", &before.unit_type, &self.unit_type);
        check_fixed(&mut checks, "holdout.salt", &before.salt, &self.salt);
        check_fixed(&mut checks, "holdout.rule_id", &before.rule_id, &self.rule_id);
        check_fixed(&mut checks, "holdout.rule_salt", &before.rule_salt, &self.rule_salt);
        checks.finish()?;
        self.check_members(edit)?;
        self.move_units(edit, before.percentage, self.percentage)?;
        self.watch_release(edit, before.percentage)
    }

    fn archived(&self, edit: &mut Edit) -> Result<()> {
        edit.pending.retires(Referent::Gate(&self.key));
        let target = self.target();
        edit.allow_wider(&target)?;
        cancel_launch(edit, &target, "the holdout was archived");
        self.move_units(edit, self.percentage, 0.0)
    }
}

impl Holdout {
    fn target(&self) -> Target {
        Target::Holdout { holdout: self.key.clone() }
    }

    /// Units that are let go are watched against those that are still held out. Where none remain, and where another share is
    /// held out than before the release, there is nothing to compare with any more.
    fn watch_release(&self, edit: &mut Edit, share_before: f64) -> Result<()> {
        #[expect(clippy::float_cmp, reason = "the same number is the same share")]
        if self.percentage == share_before {
            return Ok(());
        }
        let target = self.target();
        let releases = self.percentage < share_before;
        if releases {
            edit.allow_wider(&target)?;
        }
        let what = "another share is held out";
        if !releases || self.percentage <= 0.0 {
            cancel_launch(edit, &target, what);
            return Ok(());
        }
        if let Some(launch) = edit.catalogue().live_launch(&target).cloned() {
            edit.cancel(&launch, 0.0, what);
        }
        let released = 100.0 * (share_before - self.percentage) / share_before;
        let plan = LaunchPlan {
            id: LaunchId(new_id(edit.now())),
            target,
            unit_type: self.unit_type.clone(),
            steps: vec![Step::at_once(released)],
            arms: vec![CONTROL.to_owned(), TREATMENT.to_owned()],
            metrics: Vec::new(),
            rollback_percentage: share_before,
            principal: edit.actor().to_owned(),
        };
        edit.begin_launch(plan, GuardrailChoice::default(), "a holdout let units go")
    }

    /// It names only what exists.
    fn check_members(&self, edit: &Edit) -> Result<()> {
        let mut checks = Checks::default();
        check_known::<Gate>(&mut checks, edit, "holdout.gates", &self.gates);
        check_known::<Experiment>(&mut checks, edit, "holdout.experiments", &self.experiments);
        check_known::<Layer>(&mut checks, edit, "holdout.layers", &self.layers);
        Ok(checks.finish()?)
    }

    /// What asks in its own conditions whether the holdout is passed: a larger one may let units in there.
    fn asking(&self, edit: &Edit) -> BTreeSet<Referrer> {
        let mut without_members = edit.after();
        let unlinked = Self {
            gates: Vec::new(),
            experiments: Vec::new(),
            layers: Vec::new(),
            covers_all: false,
            ..self.clone()
        };
        for stored in without_members.holdouts.values_mut().filter(|stored| stored.document.key == self.key) {
            *stored = Arc::new(Stored { document: unlinked.clone(), ..(**stored).clone() });
        }
        referrers(&lower(&without_members), &self.key)
    }

    /// Asks the guard of everything that units are let go into, and begins a new epoch of all launches whose units are others
    /// from now on: those of members, and of what depends on members.
    fn move_units(&self, edit: &mut Edit, share_before: f64, share_after: f64) -> Result<()> {
        let after = lower(&edit.after());
        let was = referrers(edit.ruleset(), &self.key);
        let is = referrers(&after, &self.key);
        let mut released = if share_after < share_before { was.clone() } else { &was - &is };
        if share_after > share_before {
            released.extend(self.asking(edit));
        }
        edit.allow_all_wider(&targets(&after, released))?;
        #[expect(clippy::float_cmp, reason = "the same number is the same share")]
        let moved = if share_before == share_after { &was ^ &is } else { &was | &is };
        edit.regroup_all(&targets(&after, moved), "a holdout of it was changed");
        Ok(())
    }
}
