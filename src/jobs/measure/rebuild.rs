//! Cells of a launch computed anew from everything that is stored, beside those that were carried along.

use std::collections::BTreeSet;

use crate::analysis::fold::{CellKey, Cells, Measure, Sums, apply};
use crate::domain::launch::LaunchId;
use crate::error::{Error, Result};
use crate::events::EventStore;
use crate::events::folding::fold;
use crate::store::{Moved, Position, Store};

/// Cells that differ by more than this share are not the same.
const SAME: f64 = 1e-9;
/// How often rebuilding is begun again because the server has measured meanwhile.
const TRIES: u32 = 20;

/// What became of a rebuild.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuilt {
    /// Everything up to this write was read.
    pub arrival: i64,
    /// How many cells there are.
    pub cells: usize,
    /// The largest relative difference to the cells that were there.
    pub distance: f64,
    /// The cells that differ by more than a thousand-millionth.
    pub different: Vec<CellKey>,
}

/// Computes the cells of a launch anew, as of the write up to which it is measured; none where it never was. With `write`
/// they take the place of those that are there. It is safe beside a running server: rows are only added, and whoever
/// changes cells finds that the position has moved.
pub async fn rebuild(
    store: &Store,
    events: &dyn EventStore,
    id: LaunchId,
    write: bool,
) -> Result<Option<Rebuilt>> {
    let not_found = || Error::NotFound { kind: "launch", key: id.to_string() };
    let launch = store.launch(id).await?.ok_or_else(not_found)?;
    for _ in 0..TRIES {
        let Some((position, kept)) = store.measured(id).await? else {
            return Ok(None);
        };
        let definition = &position.definition;
        let measures = Measure::all(&launch, definition);
        let into = (definition, position.merged_before);
        let delta = fold(events, &launch, &measures, None, into, position.arrival).await?;
        let mut cells = Cells::new();
        apply(&mut cells, delta, definition, position.merged_before);
        let (distance, different) = compare(&kept, &cells);
        let arrival = position.arrival;
        let rebuilt = Rebuilt { arrival, cells: cells.len(), distance, different };
        if !write {
            return Ok(Some(rebuilt));
        }
        let position = Position { revision: position.revision + 1, ..position };
        let moved = Moved { launch: id, position: &position, anew: true, changed: cells.iter().collect() };
        if store.move_cells(&moved).await? {
            return Ok(Some(rebuilt));
        }
    }
    Err(Error::Unavailable("the launch is measured faster than it can be rebuilt; try again".to_owned()))
}

/// The largest relative difference, and the cells that differ too much.
fn compare(kept: &Cells, anew: &Cells) -> (f64, Vec<CellKey>) {
    let keys: BTreeSet<&CellKey> = kept.keys().chain(anew.keys()).collect();
    let none = Sums::default();
    let mut most: f64 = 0.0;
    let mut different = Vec::new();
    for key in keys {
        let distance = kept.get(key).unwrap_or(&none).distance(anew.get(key).unwrap_or(&none));
        most = most.max(distance);
        if distance > SAME {
            different.push(key.clone());
        }
    }
    (most, different)
}
