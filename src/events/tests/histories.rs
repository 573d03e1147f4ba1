//! Laws of histories: who is read, up to when, and with what.

use std::collections::BTreeMap;

use serde_json::json;

use super::{DAY_MS, NOW, all, append, arrival, event, exposure, on_every_engine, read, units};
use crate::analysis::history::ActiveDay;
use crate::domain::event::{Event, Exposure};
use crate::domain::user::User;
use crate::events::{Asked, EventStore, Name};

fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
    texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Four users of the launch, of whom each did something, and one who is not in it.
async fn fill(store: &dyn EventStore) {
    let users = ["ada", "bob", "Zoe", "émile"];
    append(store, &[], &users.map(|user| exposure(user, 1, "on", 0))).await;
    let deeds = users.map(|user| event(&format!("1-{user}"), user, "read", 10));
    append(store, &deeds, &[]).await;
    append(store, &[event("2-eve", "eve", "read", 10)], &[]).await;
}

#[tokio::test]
async fn all_units_are_read_page_by_page_in_the_order_of_their_bytes() {
    on_every_engine(async |store| {
        fill(store).await;
        let histories = read(store, &all(&["read"], 3)).await;
        assert_eq!(units(&histories), ["Zoe", "ada", "bob", "émile"]);
        assert!(histories.iter().all(|history| history.events.len() == 1 && history.exposures.len() == 1));
        for (until, events) in [(10, 0), (11, 1)] {
            let earlier = Asked { until: Some(NOW.plus_ms(until)), ..all(&["read"], 3) };
            let histories = read(store, &earlier).await;
            assert!(histories.len() == 4 && histories.iter().all(|history| history.events.len() == events));
        }
        let other = Asked { unit_type: "company".to_owned(), ..all(&["read"], 3) };
        assert!(read(store, &other).await.iter().all(|history| history.events.is_empty()));
    })
    .await;
}

#[tokio::test]
async fn only_units_of_which_something_new_is_asked_for_are_read_with_all_they_have() {
    on_every_engine(async |store| {
        fill(store).await;
        let touched = async |names: &[&str], days: bool, from: i64| {
            let asked = Asked { days, from, ..all(names, arrival(store).await) };
            units(&read(store, &asked).await).join(" ")
        };
        assert_eq!(touched(&["read"], false, 3).await, "");
        append(store, &[event("3", "ada", "read", 11), event("4", "eve", "read", 11)], &[]).await;
        append(store, &[event("5", "bob", "bought", 12)], &[]).await;
        append(store, &[], &[exposure("Zoe", 1, "on", -10), exposure("bob", 1, "on", 50)]).await;
        assert_eq!(touched(&["read"], false, 3).await, "Zoe ada");
        assert_eq!(touched(&["read", "bought"], false, 3).await, "Zoe ada bob");
        assert_eq!(touched(&["bought"], false, 4).await, "Zoe bob");
        assert_eq!(touched(&["bought"], false, 6).await, "");
        assert_eq!(touched(&[], true, 3).await, "Zoe", "no new day for anyone");
        append(store, &[event("6", "émile", "bought", 2 * DAY_MS)], &[]).await;
        assert_eq!(touched(&[], true, 6).await, "émile");
        let histories = read(store, &Asked { from: 6, ..all(&["read"], 7) }).await;
        assert_eq!(histories[0].events.len(), 1, "what was there before belongs to it");
        let days = [(NOW.day(), 1), (NOW.day() + 2, 7)].map(|(day, arrival)| ActiveDay { day, arrival });
        assert_eq!(histories[0].days, days);
    })
    .await;
}

#[tokio::test]
async fn what_came_later_is_not_read() {
    on_every_engine(async |store| {
        fill(store).await;
        let asked = all(&["read"], 3);
        let before = read(store, &asked).await;
        let late = [event("3", "ada", "read", 5), event("4", "bob", "read", 3 * DAY_MS)];
        append(store, &late, &[exposure("ada", 1, "on", -5), exposure("newcomer", 1, "on", 0)]).await;
        assert_eq!(read(store, &asked).await, before);
        let first_write = read(store, &all(&["read"], 1)).await;
        assert!(first_write.iter().all(|history| history.events.is_empty()));
        assert_eq!(read(store, &Asked { from: 1, to: 1, ..asked }).await, []);
    })
    .await;
}

#[tokio::test]
async fn units_of_epochs_that_have_ended_are_read_as_well() {
    on_every_engine(async |store| {
        let exposures =
            [exposure("ada", 1, "on", 0), exposure("bob", 1, "on", 100), exposure("eve", 2, "on", 200)];
        append(store, &[], &exposures).await;
        let asked = Asked { from: 1, also: vec![(1, NOW.plus_ms(100))], ..all(&[], 1) };
        assert_eq!(units(&read(store, &asked).await), ["bob"]);
        let asked = Asked { also: vec![(1, NOW), (2, NOW)], ..asked };
        assert_eq!(units(&read(store, &asked).await), ["ada", "bob", "eve"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_needed_is_left_out() {
    on_every_engine(async |store| {
        append(store, &[], &[exposure("ada", 1, "on", 0)]).await;
        let deeds = [
            event("1", "ada", "read", -3 * DAY_MS),
            event("2", "ada", "read", -5),
            event("3", "ada", "read", 5),
        ];
        append(store, &deeds, &[]).await;
        let asked = Asked { since: NOW.plus_ms(-5), ..all(&["read"], 2) };
        let history = read(store, &asked).await.remove(0);
        assert_eq!((history.events.len(), history.days.len()), (2, 1));
        append(store, &[event("4", "ada", "read", -4 * DAY_MS)], &[]).await;
        assert_eq!(read(store, &Asked { from: 2, to: 3, ..asked }).await, []);
    })
    .await;
}

#[tokio::test]
async fn properties_and_attributes_are_read_where_they_are_asked_for_and_private_ones_are_never_stored() {
    on_every_engine(async |store| {
        let user = User {
            user_id: "ada".to_owned(),
            email: "ada@example.com".to_owned(),
            ip: "192.0.2.1".to_owned(),
            country: "DE".to_owned(),
            locale: "de_DE".to_owned(),
            app_version: "1.2".to_owned(),
            custom: [
                ("age".to_owned(), json!(36)),
                ("list".to_owned(), json!(["x"])),
                ("Email".to_owned(), json!("ada@example.com")),
            ]
            .into(),
            private: [("income".to_owned(), json!("secret"))].into(),
            ..User::default()
        };
        let properties = texts(&[("item", "shoe"), ("quote", "\"'\\ é")]);
        let sent = Event { user, value: Some(0.1), properties, ..event("1", "ada", "bought", 0) };
        let plain = Event { id: "2".to_owned(), name: "read".to_owned(), at: NOW.plus_ms(1), ..sent.clone() };
        let kept = Exposure { attributes: texts(&[("country", "DE")]), ..exposure("ada", 1, "on", 0) };
        append(store, &[sent.clone(), plain], &[kept]).await;
        let name = |name: &str, with_properties, with_attributes| Name {
            name: name.to_owned(),
            with_properties,
            with_attributes,
        };
        let names = vec![name("bought", true, true), name("read", false, false)];
        let history = read(store, &Asked { names, ..all(&[], 1) }).await.remove(0);
        let public = [("age", "36"), ("app_version", "1.2"), ("country", "DE"), ("locale", "de_DE")];
        let [bought, plain] = history.events.as_slice() else { panic!("two events") };
        assert_eq!((&bought.properties, &bought.attributes), (&sent.properties, &texts(&public)));
        assert_eq!((bought.value, plain.value), (Some(0.1), Some(0.1)));
        assert!(plain.properties.is_empty() && plain.attributes.is_empty());
        assert_eq!(history.exposures[0].attributes, texts(&[("country", "DE")]));
    })
    .await;
}

#[tokio::test]
async fn an_event_belongs_to_each_of_its_units() {
    on_every_engine(async |store| {
        let mut sent = event("1", "ada", "read", 0);
        sent.user.custom_ids = texts(&[("Company", "acme"), ("userID", "ada")]);
        let company = Exposure {
            unit_type: "Company".to_owned(),
            unit_id: "acme".to_owned(),
            ..exposure("", 1, "on", -1)
        };
        append(store, &[sent], &[company]).await;
        let asked = Asked { unit_type: "company".to_owned(), ..all(&["read"], 1) };
        let histories = read(store, &asked).await;
        assert_eq!((units(&histories), histories[0].events.len()), (vec!["acme"], 1));
        assert_eq!(histories[0].days.len(), 1);
    })
    .await;
}
