//! What the units of a launch changed, from stored histories, page by page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Asked, EventStore, Name};
use crate::analysis::fold::{Cells, Definition, Delta, Measure};
use crate::domain::launch::Launch;
use crate::domain::metric::filter::FilterSubject;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::domain::user::canonical_unit_type;
use crate::error::Result;

/// Units that are folded at a time, so that memory stays bounded. The store finds anew for each page what has changed.
const PAGE: usize = 2_000;

/// What the units changed of whom anything is new: since an earlier arrival and definition, or from the beginning. Buckets
/// before a moment are merged.
pub async fn fold(
    events: &dyn EventStore,
    launch: &Launch,
    measures: &[Measure<'_>],
    before: Option<(i64, &Definition)>,
    (definition, merged_before): (&Definition, Timestamp),
    arrival: i64,
) -> Result<Cells> {
    let from = before.map_or(0, |(from, _)| from);
    let also: Vec<(u32, Timestamp)> =
        before.map(|(_, before)| definition.changed_since(before).collect()).unwrap_or_default();
    let mut delta = Delta::new(measures, merged_before);
    if from == arrival && before.is_some() && also.is_empty() {
        return Ok(delta.into_cells());
    }
    let asked = asked(launch, measures, (from, arrival), also);
    let mut after: Option<String> = None;
    loop {
        let page = events.histories(&asked, after.as_deref(), PAGE).await?;
        for history in &page {
            delta.add(history, before, (arrival, definition));
        }
        if page.len() < PAGE {
            return Ok(delta.into_cells());
        }
        after = page.into_iter().last().map(|history| history.unit_id);
    }
}

/// Which histories are needed for metrics of a launch, between two arrivals.
#[must_use]
pub fn asked(
    launch: &Launch,
    measures: &[Measure<'_>],
    (from, to): (i64, i64),
    also: Vec<(u32, Timestamp)>,
) -> Asked {
    let mut names: BTreeMap<&str, Name> = BTreeMap::new();
    for metric in measures.iter().map(|measure| &measure.metric) {
        let has = |of: FilterSubject| metric.all_filters().any(|filter| filter.of == of);
        for event in metric.events() {
            let name = names.entry(event).or_insert_with(|| Name {
                name: event.to_owned(),
                with_properties: false,
                with_attributes: false,
            });
            name.with_properties |= has(FilterSubject::Property);
            name.with_attributes |= has(FilterSubject::Attribute);
        }
    }
    let back = measures.iter().map(|measure| measure.metric.reach_back_ms()).max().unwrap_or(0);
    Asked {
        launch: launch.id,
        unit_type: Cow::into_owned(canonical_unit_type(&launch.unit_type)),
        names: names.into_values().collect(),
        days: measures.iter().any(Measure::needs_days),
        until: None,
        since: launch.started_at.plus_ms(-back.saturating_add(DAY_MS)),
        from,
        to,
        also,
    }
}
