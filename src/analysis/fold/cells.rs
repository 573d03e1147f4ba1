//! Cells, and how the path of a unit changes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::cohort::{Place, Stay, firsts, stays};
use super::definition::Definition;
use super::measure::Measure;
use super::path::{Seen, path};
use super::sums::{Shape, Sums, Values};
use super::{CAME, IN_TWO_ARMS, UNITS};
use crate::analysis::history::{Exposed, History};
use crate::domain::time::Timestamp;

/// Where a sum belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// Key of the metric, or one of the names for counts of units.
    pub metric: Arc<str>,
    /// Number of the epoch of the units' first exposure.
    pub epoch: u32,
    /// Week of the epoch.
    pub week: u32,
    /// Name of the arm.
    pub arm: Arc<str>,
    /// No planned step changes the units' arm.
    pub settled: bool,
    /// `column=value`; empty for all units.
    pub segment: Arc<str>,
    /// Beginning of the bucket of event time.
    pub bucket: Timestamp,
}

/// Sums by place.
pub type Cells = BTreeMap<CellKey, Sums>;

/// Adds what changed to cells, and merges buckets before a moment. Gives the keys whose cells are other than before, or new;
/// those that were merged are gone.
pub fn apply(
    cells: &mut Cells,
    delta: Cells,
    definition: &Definition,
    merged_before: Timestamp,
) -> BTreeSet<CellKey> {
    let away = |key: &CellKey| definition.home(key.bucket, merged_before) != key.bucket;
    let merged: Vec<CellKey> = cells.keys().filter(|key| away(key)).cloned().collect();
    let merged = merged.into_iter().filter_map(|key| cells.remove_entry(&key));
    let mut changed = BTreeSet::new();
    for (key, sums) in merged.collect::<Vec<_>>().into_iter().chain(delta) {
        let key = CellKey { bucket: definition.home(key.bucket, merged_before), ..key };
        cells.entry(key.clone()).or_default().add(&sums);
        changed.insert(key);
    }
    changed
}

/// What a set of units changes of the cells.
#[derive(Debug)]
pub struct Delta<'m> {
    measures: &'m [Measure<'m>],
    merged_before: Timestamp,
    names: Vec<Arc<str>>,
    cells: HashMap<CellKey, Sums>,
    texts: HashMap<String, Arc<str>>,
}

/// A unit's outcome after a bucket of event time.
#[derive(Clone, Copy, PartialEq)]
struct Level<'h> {
    bucket: Timestamp,
    /// Where it counts, with its values; none where it does not.
    stands: Option<(Place<'h>, Values)>,
}

/// All that was known of a unit under a definition, as of an arrival.
struct View<'h, 'd> {
    seen: Seen<'h>,
    definition: &'d Definition,
    firsts: Vec<&'h Exposed>,
    stays: Vec<Stay<'h>>,
}

impl<'m> Delta<'m> {
    /// Nothing yet, of these metrics. What comes in buckets before a moment is merged as it comes, so that what is held does
    /// not grow with the event time that is gone through.
    #[must_use]
    pub fn new(measures: &'m [Measure<'m>], merged_before: Timestamp) -> Self {
        let names = measures.iter().map(|measure| Arc::from(measure.metric.key.as_str())).collect();
        Self { measures, merged_before, names, cells: HashMap::new(), texts: HashMap::new() }
    }

    /// Adds what a unit changed from one state of knowledge, an arrival and a definition, to a later one; from nothing
    /// where there is none before.
    pub fn add(&mut self, history: &History, before: Option<(i64, &Definition)>, after: (i64, &Definition)) {
        let new = View::of(history, after);
        let old = before.map(|before| View::of(history, before));
        let moved = old.as_ref().is_none_or(|old| old.stays != new.stays);
        self.add_counts(old.as_ref(), &new, moved);
        let known = before.map_or(i64::MIN, |(arrival, _)| arrival);
        let is_new = |arrival: i64| arrival > known && arrival <= after.0;
        let new_day = history.days.iter().any(|day| is_new(day.arrival));
        let measures = self.measures;
        for (index, measure) in measures.iter().enumerate() {
            let touched = moved
                || (new_day && measure.needs_days())
                || history.events.iter().any(|deed| {
                    is_new(deed.arrival) && measure.metric.events().any(|name| name == deed.name)
                });
            if !touched {
                continue;
            }
            let outcome = |seen, at| path(measure, seen, at);
            let was = old.as_ref().map(|old| old.levels(outcome)).unwrap_or_default();
            let name = self.names.get(index).cloned().unwrap_or_default();
            let definitions = (before.map(|(_, definition)| definition), after.1);
            self.replace(&name, measure.shape(), &was, &new.levels(outcome), definitions);
        }
    }

    /// What all units together changed; cells that stay as they are do not occur.
    #[must_use]
    pub fn into_cells(self) -> Cells {
        self.cells.into_iter().filter(|(_, sums)| !sums.is_empty()).collect()
    }

    /// Units of the cohort, those left out of it, and those that came.
    fn add_counts(&mut self, old: Option<&View<'_, '_>>, new: &View<'_, '_>, moved: bool) {
        if moved {
            let stays = |_: Seen<'_>, at: Timestamp| vec![(at, Values::default())];
            let definitions = (old.map(|old| old.definition), new.definition);
            let old_levels = old.map(|old| old.levels(stays)).unwrap_or_default();
            self.replace(&Arc::from(UNITS), Shape::Counted, &old_levels, &new.levels(stays), definitions);
        }
        let same = |old: &View<'_, '_>| !moved && old.firsts == new.firsts;
        if old.is_some_and(same) {
            return;
        }
        let merged_before = self.merged_before;
        let home = |view: &View<'_, '_>, at| new.definition.home(view.definition.bucket(at), merged_before);
        for (view, sign) in old.into_iter().map(|old| (old, -1.0)).chain([(new, 1.0)]) {
            for first in view.firsts.iter().filter(|first| view.definition.counts(first)) {
                self.count(CAME, first.epoch, &first.arm, home(view, first.at), sign);
            }
            let mut out: Option<(u32, Timestamp)> = None;
            for stay in &view.stays {
                let bucket = home(view, stay.from);
                if let Some((epoch, _)) = out.take() {
                    self.count(IN_TWO_ARMS, epoch, "", bucket, -sign);
                }
                if let Some(epoch) = stay.epoch_of_two_arms {
                    self.count(IN_TWO_ARMS, epoch, "", bucket, sign);
                    out = Some((epoch, bucket));
                }
            }
        }
    }

    fn count(&mut self, metric: &str, epoch: u32, arm: &str, bucket: Timestamp, sign: f64) {
        let (metric, arm, segment) = (self.text(metric), self.text(arm), self.text(""));
        let key = CellKey { metric, epoch, week: 0, arm, settled: false, segment, bucket };
        self.cells.entry(key).or_default().add_unit(&Values::default(), Shape::Counted, sign);
    }

    /// Takes one path away and puts another in its place. What both have in common at their beginning stays.
    fn replace(
        &mut self,
        metric: &Arc<str>,
        shape: Shape,
        old: &[Level<'_>],
        new: &[Level<'_>],
        (before, after): (Option<&Definition>, &Definition),
    ) {
        let common = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        for (levels, definition, sign) in [(old, before.unwrap_or(after), -1.0), (new, after, 1.0)] {
            let mut last =
                common.checked_sub(1).and_then(|last| levels.get(last)).and_then(|level| level.stands);
            for level in levels.iter().skip(common) {
                let bucket = after.home(level.bucket, self.merged_before);
                for (stands, sign) in [(last, -sign), (level.stands, sign)] {
                    if let Some((place, values)) = stands {
                        self.put(metric, shape, &place, &values, bucket, definition, sign);
                    }
                }
                last = level.stands;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a cell has so many sides")]
    fn put(
        &mut self,
        metric: &Arc<str>,
        shape: Shape,
        place: &Place<'_>,
        values: &Values,
        bucket: Timestamp,
        definition: &Definition,
        sign: f64,
    ) {
        let (arm, whole) = (self.text(place.arm), self.text(""));
        let key = CellKey {
            metric: Arc::clone(metric),
            epoch: place.epoch,
            week: place.week,
            arm,
            settled: place.settled,
            segment: whole,
            bucket,
        };
        for segment in definition.segments_of(place.attributes) {
            let key = CellKey { segment: self.text(&segment), ..key.clone() };
            self.cells.entry(key).or_default().add_unit(values, shape, sign);
        }
        self.cells.entry(key).or_default().add_unit(values, shape, sign);
    }

    /// A text that many keys share.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let made: Arc<str> = Arc::from(text);
        self.texts.insert(text.to_owned(), Arc::clone(&made));
        made
    }
}

impl<'h, 'd> View<'h, 'd> {
    fn of(history: &'h History, (arrival, definition): (i64, &'d Definition)) -> Self {
        let firsts = firsts(history, arrival, definition);
        let stays = stays(&firsts, definition);
        Self { seen: Seen { history, arrival }, definition, firsts, stays }
    }

    /// A unit's outcome after each bucket that changed it. While it belongs nowhere it has none.
    fn levels(&self, path: impl Fn(Seen<'h>, Timestamp) -> Vec<(Timestamp, Values)>) -> Vec<Level<'h>> {
        let mut levels: Vec<Level<'h>> = Vec::new();
        let mut note = |at: Timestamp, stands| {
            let bucket = self.definition.bucket(at);
            match levels.last_mut() {
                Some(last) if last.bucket == bucket => last.stands = stands,
                Some(last) if last.stands == stands => {}
                None if stands.is_none() => {}
                _ => levels.push(Level { bucket, stands }),
            }
        };
        for (index, stay) in self.stays.iter().enumerate() {
            let until = self.stays.get(index + 1).map(|next| next.from);
            // It left the place before.
            note(stay.from, None);
            if let Some(place) = stay.place {
                let within = |(at, _): &(Timestamp, Values)| until.is_none_or(|until| *at < until);
                for (at, values) in path(self.seen, stay.from).into_iter().filter(within) {
                    note(at, Some((place, values)));
                }
            }
        }
        levels
    }
}
