//! What waited on the local disk is stored, whatever the store makes of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use uuid::Uuid;

use super::{Front, MIB, PATIENCE, event, exposure};
use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::launch::LaunchId;
use crate::domain::time::Timestamp;
use crate::events::spool::Spool;
use crate::events::{Asked, EventStore};
use crate::ingest::SpoolState;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_a_stop_is_stored_after_the_next_start_exposures_included() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, true).await;
    front.log(&["a"]).await.unwrap();
    front.ingest.offer(exposure(2));
    let until = front.ingest.exposures_until();
    front.stop().await;
    let spool = std::fs::read(folder.path().join("spool.db")).unwrap();
    let private = b"ada@example.com";
    assert!(
        !spool.windows(private.len()).any(|bytes| bytes == private),
        "what is private is not written down"
    );

    let front = Front::start(folder.path(), MIB, true).await;
    let state = front.ingest.spooled();
    assert_eq!((state.batches, state.refused), (2, 0));
    assert!(front.ingest.exposures_until() >= until);
    front.away(false);
    front.drained().await;
    assert_eq!(front.stored().await, ["a"]);
    let asked = Asked {
        launch: LaunchId(Uuid::from_u128(1)),
        unit_type: "user_id".to_owned(),
        names: Vec::new(),
        days: false,
        since: Timestamp(0),
        until: None,
        from: 0,
        to: i64::MAX,
        also: Vec::new(),
    };
    let history = front.store.histories(&asked, None, 1).await.unwrap().remove(0);
    let second = history.exposures.iter().find(|exposed| exposed.epoch == 2).expect("the exposure");
    assert_eq!((second.settled, second.attributes["country"].as_str()), (true, "DE"));
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_never_pause_do_not_keep_what_waits_from_ending() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, true).await;
    front.log(&["a"]).await.unwrap();
    front.log(&["b"]).await.unwrap();
    front.store.takes_ms.store(100, Ordering::SeqCst);
    front.away(false);
    let begun = Instant::now();
    while front.ingest.spooled().batches > 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", front.ingest.spooled());
        // Many come while the store takes what was there before.
        front.log(&["c"]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(front.stored().await[..3], ["a", "b", "c"]);
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_will_not_take_is_set_aside_alone_and_tried_again_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, true).await;
    front.log(&["a", "bad", "b", "c", "worse", "d"]).await.unwrap();
    front.log(&["e"]).await.unwrap();
    front
        .execute(
            "create trigger wrong before insert on event when new.properties like '%bad%' or new.properties like '%worse%'
             begin select raise(abort, 'it does not fit'); end",
        )
        .await;
    front.away(false);
    front.drained().await;
    let state = front.ingest.spooled();
    assert!(state.refused == 2 && state.bytes > 0 && state.oldest.is_none(), "{state:?}");
    assert_eq!(front.stored().await, ["a", "b", "c", "d", "e"]);
    front.stop().await;

    let front = Front::start(folder.path(), MIB, true).await;
    let state = front.ingest.spooled();
    assert_eq!((state.batches, state.refused), (2, 0), "it waits again");
    front.execute("drop trigger wrong").await;
    front.away(false);
    front.drained().await;
    assert_eq!(front.stored().await, ["a", "b", "c", "d", "e", "bad", "worse"]);
    assert_eq!(front.ingest.spooled(), SpoolState::default());
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_the_store_fails_with_nothing_is_set_aside() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, true).await;
    front.log(&["a", "b"]).await.unwrap();
    front.store.broken.store(true, Ordering::SeqCst);
    let tries = front.store.tries.load(Ordering::SeqCst);
    front.away(false);
    let begun = Instant::now();
    while front.store.tries.load(Ordering::SeqCst) < tries + 3 {
        assert!(begun.elapsed() < PATIENCE, "it is tried again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let state = front.ingest.spooled();
    assert_eq!((state.batches, state.refused), (1, 0));
    front.store.broken.store(false, Ordering::SeqCst);
    front.drained().await;
    assert_eq!(front.stored().await, ["a", "b"]);
    front.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_too_slow_for_all_that_waits_is_given_less_at_a_time() {
    let folder = TempDir::new().unwrap();
    let front = Front::start(folder.path(), MIB, true).await;
    let ids: Vec<String> = (0..9).map(|number| format!("event-{number}")).collect();
    for id in &ids {
        front.log(&[id]).await.unwrap();
    }
    front.store.most.store(1, Ordering::SeqCst);
    front.away(false);
    front.drained().await;
    assert_eq!(front.stored().await, ids);
    front.stop().await;
}

#[tokio::test]
async fn no_more_is_taken_out_together_than_memory_is_kept_for() {
    let folder = TempDir::new().unwrap();
    let spool = Spool::open(&folder.path().join("spool.db"), 100 * MIB).await.unwrap();
    let large = |id: &str, mib: u64| {
        let text = "x".repeat(usize::try_from(mib * MIB).unwrap());
        Event { properties: [("text".to_owned(), text)].into(), ..event(id) }
    };
    for event in [large("a", 20), large("b", 7), large("c", 7), large("d", 7)] {
        spool.push(&[(&[&event], &[])], Clock::system().now()).await.unwrap();
    }
    for (most, expected) in [(64, &["a"][..]), (64, &["b", "c"]), (1, &["d"])] {
        let taken = spool.oldest(most).await.unwrap();
        let ids: Vec<&str> = taken.iter().map(|batch| batch.events[0].id.as_str()).collect();
        assert_eq!(ids, expected);
        spool.remove(&taken).await.unwrap();
    }
    assert!(spool.is_empty());
}
