//! Laws of retention: what is old enough goes, what is not stays.

use super::{Appended, DAY_MS, NOW, all, append, arrival, event, exposure, on_every_engine, read};
use crate::domain::event::Event;
use crate::domain::time::Timestamp;

#[tokio::test]
async fn what_is_old_is_dropped_with_its_ids_and_exposures_stay() {
    on_every_engine(async |store| {
        // Years of events, one a week, each when it happened, and some that came in late.
        let weeks = 0..150;
        let past: Vec<Event> = weeks
            .map(|week| {
                let at = NOW.plus_ms(-7 * DAY_MS * week);
                Event { at, received_at: at, ..event(&format!("week-{week}"), "ada", "read", 0) }
            })
            .collect();
        append(store, &past, &[exposure("ada", 1, "on", 0)]).await;
        append(store, &[event("late", "ada", "read", -1_000 * DAY_MS)], &[]).await;
        let before = NOW.plus_ms(-400 * DAY_MS);
        let dropped = store.drop_before(before).await.unwrap();
        assert!(dropped.rows + dropped.partitions > 0, "{dropped:?}");

        let history = read(store, &all(&["read"], arrival(store).await)).await.remove(0);
        let (kept, old): (Vec<_>, Vec<_>) = history.events.iter().partition(|deed| deed.at >= before);
        assert_eq!(kept.len(), 58, "every event that is not too old");
        // Whole stretches go at once, so that some of four weeks may be left.
        assert!(old.len() <= 4, "{old:?}");
        assert!(history.days.iter().all(|day| day.day >= before.day()));
        assert_eq!(history.exposures.len(), 1);
        let counted = store.intake("read", Timestamp(0)).await.unwrap();
        assert!(counted.iter().all(|intake| intake.minute >= before), "{counted:?}");

        // Ids of what is kept stay taken.
        let again: Vec<Event> = past.iter().take(57).cloned().collect();
        assert_eq!(append(store, &again, &[]).await.events, [Appended::Duplicate; 57]);
        assert_eq!(append(store, &past[149..], &[]).await.events, [Appended::Stored]);
    })
    .await;
}
