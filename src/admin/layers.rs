//! Layers: made, changed, archived, and what they ask of their experiments.

use super::documents::Administered;
use super::edit::Edit;
use super::experiments::{shipment, target};
use crate::domain::bucket_set::BucketSet;
use crate::domain::catalogue::Catalogue;
use crate::domain::experiment::{Experiment, Status};
use crate::domain::layer::Layer;
use crate::domain::parameters::{Parameters, json_type};
use crate::domain::violation::Checks;
use crate::error::{Error, Result};

/// What running experiments rest on stays; the rest changes at once, since a layer is no launch, unless a latch is closed.
impl Administered for Layer {
    fn changed(&self, edit: &mut Edit, before: &Self) -> Result<()> {
        let mut checks = Checks::default();
        for experiment in experiments(edit.catalogue(), &self.key) {
            let key = &experiment.key;
            let fixed = |same: bool, field: &str, checks: &mut Checks| {
                let message = format!("can not be changed while experiment `{key}` is in the layer");
                checks.require(same, field, message);
            };
            fixed(before.unit_type == self.unit_type, "layer.unit_type", &mut checks);
            if holds_buckets(experiment) {
                fixed(before.salt == self.salt, "layer.salt", &mut checks);
                let same = before.draws_missing_units == self.draws_missing_units;
                fixed(same, "layer.draws_missing_units", &mut checks);
            }
            for (name, value) in &before.parameters {
                let field = format!("layer.parameters[{name}]");
                let is_set = experiment.parameter_names().any(|set| set == name);
                let given = self.parameters.get(name);
                if experiment.status == Status::Running {
                    fixed(given == Some(value), &field, &mut checks);
                } else if is_set {
                    fixed(given.map(json_type) == Some(json_type(value)), &field, &mut checks);
                }
            }
        }
        checks.finish()?;
        if before.parameters == self.parameters { Ok(()) } else { allow_other_parameters(edit, &self.key) }
    }

    fn archived(&self, edit: &mut Edit) -> Result<()> {
        let experiments: Vec<String> = experiments(edit.catalogue(), &self.key)
            .map(|each| format!("experiment `{}`", each.key))
            .collect();
        if experiments.is_empty() {
            return Ok(());
        }
        let (key, experiments) = (&self.key, experiments.join(", "));
        Err(Error::WrongState(format!("layer `{key}` is referred to by {experiments}; archive these first")))
    }
}

/// What everyone in a layer gets is watched by nothing, so that it is no way to give everyone what a latch keeps back: that
/// of any experiment of the layer, archived ones included, and of any of its groups.
fn allow_other_parameters(edit: &Edit, layer: &str) -> Result<()> {
    let members = edit.catalogue().experiments.values().map(|stored| &stored.document);
    let members = members.filter(|member| member.layer.as_deref() == Some(layer));
    members.into_iter().try_for_each(|member| {
        edit.refuse_any_latched(&target(&member.key))?;
        edit.refuse_any_latched(&shipment(&member.key))
    })
}

/// The experiments in use of a layer.
pub(super) fn experiments<'c>(
    catalogue: &'c Catalogue,
    layer: &'c str,
) -> impl Iterator<Item = &'c Experiment> {
    let in_use = catalogue.experiments.values().filter(|stored| !stored.archived);
    in_use.map(|stored| &stored.document).filter(move |each| each.layer.as_deref() == Some(layer))
}

/// Checks an experiment against the layer it is in, if any: unit type, parameters, buckets.
pub(super) fn check_member(edit: &Edit, experiment: &Experiment) -> Result<()> {
    let Some(key) = &experiment.layer else {
        return Ok(());
    };
    let mut checks = Checks::default();
    let stored = edit.catalogue().layers.get(key).filter(|stored| !stored.archived);
    let Some(layer) = stored.map(|stored| &stored.document) else {
        return Err(Error::field("experiment.layer", format!("there is no layer `{key}` in use")));
    };
    checks.require(
        experiment.unit_type == layer.unit_type,
        "experiment.unit_type",
        format!("must be that of layer `{key}`, which is {}", layer.unit_type),
    );
    checks.require(
        experiment.allocation_salt.as_ref().is_none_or(|salt| *salt == layer.salt),
        "experiment.allocation_salt",
        format!("must be left out, since buckets of layer `{key}` are dealt with the layer's salt"),
    );
    checks.require(
        experiment.salt != layer.salt,
        "experiment.salt",
        format!("must be another than that of layer `{key}`, or the units it is dealt would all be in the same groups"),
    );
    for (index, group) in experiment.groups.iter().enumerate() {
        let field = format!("experiment.groups[{index}].parameters");
        check_parameters(&mut checks, &field, &group.parameters, layer);
    }
    let others = taken_by_others(edit.catalogue(), experiment);
    let shared =
        experiment.buckets.iter().flat_map(BucketSet::iter).filter(|bucket| others.contains(*bucket));
    let shared = BucketSet::of(shared);
    checks.require(
        shared.is_empty(),
        "experiment.buckets",
        format!("must be free in layer `{key}`; others have {shared}"),
    );
    Ok(checks.finish()?)
}

/// The buckets that other experiments of the layer hold; none outside a layer.
pub(super) fn taken_by_others(catalogue: &Catalogue, experiment: &Experiment) -> BucketSet {
    let mates = experiment.layer.iter().flat_map(|layer| experiments(catalogue, layer));
    let holders = mates.filter(|mate| mate.key != experiment.key && holds_buckets(mate));
    holders.fold(BucketSet::default(), |taken, mate| taken.union(&mate.allocated()))
}

/// Whether its buckets of the layer are its own: while it runs, and while the shipped group is served.
fn holds_buckets(experiment: &Experiment) -> bool {
    matches!(experiment.status, Status::Running | Status::Decided { .. })
}

fn check_parameters(checks: &mut Checks, field: &str, parameters: &Parameters, layer: &Layer) {
    for (name, value) in parameters {
        let expected = layer.parameters.get(name).map(json_type);
        let message = match expected {
            Some(expected) => format!("must be a value of type {expected}, as in layer `{}`", layer.key),
            None => format!("is not a parameter of layer `{}`", layer.key),
        };
        checks.require(expected == Some(json_type(value)), format!("{field}[{name}]"), message);
    }
}
