//! Laws of writing: what counts once, what is numbered, what is counted.

use super::{Appended, NOW, all, append, arrival, event, exposure, on_every_engine, read};
use crate::domain::event::{Event, Exposure};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::events::Intake;

const UUID: &str = "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b";

#[tokio::test]
async fn an_id_counts_once_in_one_write_and_over_writes() {
    on_every_engine(async |store| {
        let sent =
            [event("a", "ada", "bought", 0), event("a", "ada", "bought", 5), event(UUID, "ada", "bought", 1)];
        let [stored, duplicate] = [Appended::Stored, Appended::Duplicate];
        assert_eq!(append(store, &sent, &[]).await.events, [stored, duplicate, stored]);
        // The same id by another spelling, another user and another time.
        let again = [event(&UUID.to_uppercase(), "bob", "bought", 9_000_000), event("b", "bob", "bought", 2)];
        assert_eq!(append(store, &again, &[]).await.events, [duplicate, stored]);
        append(store, &[], &[exposure("ada", 1, "on", 0), exposure("bob", 1, "on", 0)]).await;
        let histories = read(store, &all(&["bought"], arrival(store).await)).await;
        let times: Vec<Vec<i64>> = histories
            .iter()
            .map(|history| history.events.iter().map(|deed| deed.at.ms_since(NOW)).collect())
            .collect();
        assert_eq!(times, [vec![0, 1], vec![2]]);
    })
    .await;
}

#[tokio::test]
async fn writes_are_numbered_from_one_and_rows_carry_the_number() {
    on_every_engine(async |store| {
        assert_eq!(arrival(store).await, 0);
        for write in 1..=3 {
            let id = format!("event-{write}");
            append(store, &[event(&id, "ada", "bought", -write)], &[exposure("ada", 1, "on", -write)]).await;
            assert_eq!(arrival(store).await, write);
        }
        let history = read(store, &all(&["bought"], 3)).await.remove(0);
        let arrivals: Vec<i64> = history.events.iter().map(|deed| deed.arrival).collect();
        assert_eq!(arrivals, [3, 2, 1], "by time");
        let arrivals: Vec<i64> = history.exposures.iter().map(|exposed| exposed.arrival).collect();
        assert_eq!(arrivals, [3, 2, 1], "each was earlier than those before");
        assert_eq!(history.days.len(), 1, "all on one day");
        assert_eq!(history.days[0].arrival, 1);
    })
    .await;
}

#[tokio::test]
async fn of_an_exposure_the_first_is_kept_and_what_turns_out_to_be_earlier() {
    on_every_engine(async |store| {
        let sent =
            [exposure("ada", 1, "on", 50), exposure("ada", 1, "on", 40), exposure("ada", 1, "off", 60)];
        let [stored, duplicate] = [Appended::Stored, Appended::Duplicate];
        assert_eq!(append(store, &[], &sent).await.exposures, [duplicate, stored, stored]);
        let sent = [exposure("ada", 1, "on", 45), exposure("ada", 2, "on", 45)];
        assert_eq!(append(store, &[], &sent).await.exposures, [duplicate, stored]);
        let of_no_launch = Exposure { assignment: None, ..exposure("ada", 1, "on", 20) };
        let sent = [exposure("ada", 1, "on", 40), of_no_launch, exposure("ada", 1, "on", 30)];
        assert_eq!(append(store, &[], &sent).await.exposures, [duplicate, stored, stored]);
        let history = read(store, &all(&[], 3)).await.remove(0);
        let exposures: Vec<(u32, &str, i64, i64)> = history
            .exposures
            .iter()
            .map(|exposed| (exposed.epoch, exposed.arm.as_str(), exposed.at.ms_since(NOW), exposed.arrival))
            .collect();
        assert_eq!(exposures, [(1, "on", 30, 3), (1, "on", 40, 1), (1, "off", 60, 1), (2, "on", 45, 2)]);
    })
    .await;
}

#[tokio::test]
async fn what_comes_in_is_counted_by_name_and_minute() {
    on_every_engine(async |store| {
        let at = |minutes: i64, event: Event| Event { received_at: NOW.plus_ms(minutes * 60_000), ..event };
        let valued = |value: f64, event: Event| Event { value: Some(value), ..event };
        let sent = [
            valued(2.5, event("a", "ada", "bought", 0)),
            valued(-1.0, event("b", "ada", "bought", -3_600_001)),
            event("c", "ada", "bought", 1),
            event("d", "ada", "read", 0),
        ];
        append(store, &sent, &[]).await;
        let company =
            User { custom_ids: [("company".to_owned(), "acme".to_owned())].into(), ..User::default() };
        let more = [
            valued(7.0, event("e", "ada", "bought", 0)),
            event("a", "ada", "bought", 0),
            // History that is brought in again.
            event("b", "ada", "bought", -3_600_001),
            Event { user: company, ..at(2, event("f", "", "bought", 0)) },
        ];
        append(store, &more, &[]).await;
        let first = Intake {
            minute: NOW,
            events: 4,
            duplicates: 1,
            without_value: 1,
            without_user_id: 0,
            late: 1,
            early: 1,
            least: Some(-1.0),
            greatest: Some(7.0),
        };
        let later = Intake {
            minute: NOW.plus_ms(120_000),
            events: 1,
            without_value: 1,
            without_user_id: 1,
            ..Intake::default()
        };
        let counted = store.intake("bought", NOW.plus_ms(59_999)).await.unwrap();
        assert_eq!(counted, [first, later.clone()]);
        assert_eq!(store.intake("bought", NOW.plus_ms(60_000)).await.unwrap(), [later]);
        assert_eq!(store.intake("sold", Timestamp(0)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn watermarks_rise_to_what_has_arrived_and_never_fall() {
    on_every_engine(async |store| {
        assert_eq!(store.reach(&["bought"]).await.unwrap().watermark, None);
        append(store, &[event("a", "ada", "bought", -50), event("b", "ada", "read", -20)], &[]).await;
        append(store, &[event("c", "ada", "bought", -90)], &[]).await;
        let reach = store.reach(&["bought", "sold"]).await.unwrap();
        assert_eq!((reach.arrival, reach.watermark), (2, Some(NOW.plus_ms(-20))));
        assert_eq!(reach.by_name, [("bought".to_owned(), NOW.plus_ms(-50))].into());
        // What claims to be from the future tells only that it has arrived.
        append(store, &[event("d", "ada", "bought", 60_000)], &[]).await;
        let reach = store.reach(&["bought"]).await.unwrap();
        assert_eq!((reach.watermark, reach.by_name["bought"]), (Some(NOW), NOW));
    })
    .await;
}

#[tokio::test]
async fn writers_at_the_same_time_store_each_event_once_under_numbers_without_gaps() {
    const WRITES: i64 = 12;
    on_every_engine(async |store| {
        let write = async |writer: i64| {
            let mut stored = 0;
            for round in 0..WRITES {
                // Half of the ids are those of the other writers, in another order.
                let mut sent: Vec<Event> = (0..20)
                    .map(|number| {
                        let owner = if number % 2 == 0 { 0 } else { writer };
                        event(&format!("{owner}-{round}-{number}"), &format!("user-{number}"), "read", number)
                    })
                    .collect();
                if writer % 2 == 0 {
                    sent.reverse();
                }
                let exposures = [exposure("user-1", 1, "on", writer - round)];
                let outcomes = append(store, &sent, &exposures).await;
                stored += outcomes.events.iter().filter(|outcome| **outcome == Appended::Stored).count();
            }
            stored
        };
        let (one, two, three) = tokio::join!(write(1), write(2), write(3));
        assert_eq!(one + two + three, 12 * (10 + 3 * 10));
        assert_eq!(arrival(store).await, 3 * WRITES);
        let exposures =
            (0..20).map(|number| exposure(&format!("user-{number}"), 2, "on", 0)).collect::<Vec<_>>();
        append(store, &[], &exposures).await;
        let histories = read(store, &all(&["read"], arrival(store).await)).await;
        let events: usize = histories.iter().map(|history| history.events.len()).sum();
        assert_eq!(events, one + two + three);
        let first = histories.iter().find(|history| history.unit_id == "user-1").unwrap();
        let mut by_arrival: Vec<_> = first.exposures.iter().filter(|exposed| exposed.epoch == 1).collect();
        by_arrival.sort_by_key(|exposed| exposed.arrival);
        assert!(by_arrival.windows(2).all(|two| two[1].at < two[0].at), "each is earlier: {by_arrival:?}");
        assert_eq!(by_arrival.last().unwrap().at, NOW.plus_ms(1 - 11));
    })
    .await;
}
