//! Which buckets an experiment takes: at its start, and when its allocation grows.

use super::edit::Edit;
use super::layers::taken_by_others;
use crate::domain::bucket_set::BucketSet;
use crate::domain::experiment::{self, Experiment};
use crate::error::{Error, Result};

/// Gives a draft that begins as many free buckets of its layer as its allocation says, unless it names its own. Outside a
/// layer nothing needs to be taken.
pub(super) fn take(edit: &Edit, experiment: &mut Experiment) -> Result<()> {
    if experiment.layer.is_some() && experiment.buckets.is_none() {
        experiment.buckets = Some(add(edit, experiment, &BucketSet::default())?);
    }
    Ok(())
}

/// Gives a started experiment the buckets it had, and as many free ones besides as its allocation has grown by. Buckets that
/// the caller names besides those it had are the caller's choice.
pub(super) fn grow(edit: &Edit, before: &Experiment, given: &mut Experiment) -> Result<()> {
    let Some(own) = &before.buckets else {
        return Ok(());
    };
    if given.buckets.as_ref().is_none_or(|buckets| buckets == own) {
        given.buckets = Some(add(edit, given, own)?);
    }
    Ok(())
}

/// A set of buckets with as many free ones added as the allocation wants.
fn add(edit: &Edit, experiment: &Experiment, own: &BucketSet) -> Result<BucketSet> {
    let wanted = experiment::buckets(experiment.allocation).saturating_sub(own.len());
    let taken = taken_by_others(edit.catalogue(), experiment).union(own);
    let free = taken.free(wanted);
    if free.len() < wanted {
        let message = format!("wants {wanted} more buckets, and {} are free", free.len());
        return Err(Error::field("experiment.allocation", message));
    }
    Ok(own.union(&free))
}
