//! Several servers on one database: one acts for the guard at a time, and what another one still writes is refused.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::app::App;
use portcullis::clock::{Clock, new_id};
use portcullis::config::ServeSettings;
use portcullis::database::Database;
use portcullis::error::Error;
use portcullis::store::change::{Change, Write};
use portcullis::store::lease::{Fence, Holder};
use portcullis::store::{LaunchQuery, Store};
use portcullis::transport::grpc::wire::{
    Decision, DecisionAction, DecisionKind, GetGateRequest, LaunchState, Webhook,
};
use serde_json::Value;
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::documents::{gate, guardrail, percentage, ramp, step};
use crate::guard::{harm, launch};
use crate::home::Home;
use crate::kills::assert_one_audit_row_a_change;
use crate::receiver::Receiver;
use crate::server::{Server, eventually, gate_target, ms_of, settings};
use crate::visitors::{Crowd, check_gate, ids, passing};
use crate::webhooks::webhook;

/// How long a lease lasts in these tests.
const LEASE: Duration = Duration::from_secs(3);
/// What a busy machine may add to it; far less than a lease that does not end by itself.
const BUSY: Duration = Duration::from_secs(25);
/// Gives the lease to nobody, under a new number.
const TAKEN_AWAY: &str = "update lease set fence = fence + 1, holder = 'somebody else', expires_at = 0";

impl Server {
    async fn lease(&self) -> Value {
        self.get("/health", &[]).await.json()["lease"].clone()
    }

    async fn leads(&self) -> bool {
        self.lease().await["leads"] == true
    }

    /// Waits until this server acts for the guard; gives its fencing number.
    pub(crate) async fn until_it_leads(&self) -> i64 {
        eventually("the server leads", async || match self.lease().await {
            lease if lease["leads"] == true => Ok(lease["fencing_number"].as_i64().unwrap()),
            lease => Err(lease.to_string()),
        })
        .await
    }

    /// A webhook for rollbacks, a guardrail, and a gate at 50 %.
    async fn prepare(&self, receiver: &Receiver) {
        let only =
            Webhook { kinds: vec![DecisionKind::RollBack.into()], ..webhook("pager", &receiver.url()) };
        self.create_webhook(only).await;
        self.create_metric(guardrail("signup", "visited_signup")).await;
        self.create_gate(gate("new_checkout", 50.0)).await;
    }

    /// Waits until the server serves the gate that another one has made.
    pub(crate) async fn until_it_knows_the_gate(&self) {
        eventually("the gate is known", async || {
            let request = GetGateRequest { key: "new_checkout".to_owned() };
            self.admin().get_gate(request).await.map(|_| ()).map_err(|status| status.to_string())
        })
        .await;
    }

    async fn share(&self) -> f64 {
        let request = GetGateRequest { key: "new_checkout".to_owned() };
        self.admin().get_gate(request).await.unwrap().into_inner().gate.unwrap().rules[0].percentage
    }
}

fn leased(home: &Home) -> ServeSettings {
    ServeSettings { lease: LEASE, webhook_timeout: Duration::from_secs(5), ..settings(home) }
}

async fn beside(server: &Server) -> Server {
    server
        .beside(|settings| {
            settings.lease = LEASE;
            settings.webhook_timeout = Duration::from_secs(5);
        })
        .await
}

fn harmful(prefix: &str) -> Crowd {
    Crowd::named(prefix, "new_checkout", "visited_signup").doing(0.0, 0.6)
}

fn of(decisions: &[Decision], action: DecisionAction) -> Vec<Decision> {
    decisions.iter().filter(|decision| decision.action() == action).cloned().collect()
}

/// One rollback, one latch, one audit row, one notice, and everyone is served the control.
async fn assert_rolled_back_once(server: &Server, receiver: &Receiver) {
    let rolled_back = of(&server.decisions("").await, DecisionAction::RollBack);
    assert_eq!(rolled_back.len(), 1, "{rolled_back:#?}");
    let latches = server.check(&gate_target("new_checkout")).await.latches;
    assert_eq!(latches.iter().filter(|latch| latch.closed).count(), 1, "{latches:?}");
    receiver.wait(1).await;
    server.all_delivered().await;
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(got[0].json()["id"], rolled_back[0].id.as_str());
    assert_one_audit_row_a_change(server, &rolled_back[0].id).await;
    eventually("nobody gets the treatment", async || {
        let passes = passing(&check_gate(server, "new_checkout", &ids("probe", 60)).await);
        if passes.is_empty() { Ok(()) } else { Err(format!("{passes:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_one_acts_and_both_tell_who() {
    let home = Home::new().await;
    let named = ServeSettings { name: Some("first".to_owned()), ..leased(&home) };
    let one = Server::start_as(home, named, Clock::system()).await;
    let fence = one.until_it_leads().await;
    let (other, receiver) = (beside(&one).await, Receiver::start().await);
    one.prepare(&receiver).await;
    let told = eventually("the other one knows who leads", async || match other.lease().await {
        lease if lease["leader"] == "first" => Ok(lease),
        lease => Err(lease.to_string()),
    })
    .await;
    assert_eq!((&told["leads"], &told["fencing_number"]), (&false.into(), &fence.into()));
    let ago_ms = Clock::system().now().0 - told["since_ms"].as_i64().unwrap();
    assert!((-1_000..60_000).contains(&ago_ms), "{told}");
    let metrics = other.get("/metrics", &[]).await.text();
    for line in ["portcullis_lease_held 0".to_owned(), format!("portcullis_lease_fencing_number {fence}")] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("portcullis_lease_leader_since_seconds{leader=\"first\"} "), "{metrics}");

    other.until_it_knows_the_gate().await;
    // What the visitors of either do counts, and both judge by what the first one publishes.
    let mut crowds = [harmful("at-one"), harmful("at-other")];
    eventually("the launch is rolled back", async || {
        crowds[0].come(&one, 60).await;
        crowds[1].come(&other, 60).await;
        let answer = other.check(&gate_target("new_checkout")).await;
        if answer.decision() == DecisionKind::Block { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_rolled_back_once(&other, &receiver).await;
    assert!(one.leads().await && !other.leads().await);

    // A clean stop hands the lease back; the next one has it well before it would have run out.
    let _home = one.stop().await;
    assert!(other.until_it_leads().await > fence);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_act_lets_raises_pass_that_the_guard_allows() {
    let one = Server::start_in(Home::new().await, Clock::system()).await;
    one.until_it_leads().await;
    let other = beside(&one).await;
    one.create_metric(guardrail("signup", "visited_signup")).await;
    one.create_gate(gate("new_checkout", 50.0)).await;
    other.until_it_knows_the_gate().await;
    let mut crowd = Crowd::new("new_checkout", "visited_signup").doing(0.5, 0.5);
    let target = gate_target("new_checkout");
    crowd
        .come_until(&one, "the follower has judged", async |_| match other.check(&target).await {
            answer if answer.verdicts.iter().any(|verdict| !verdict.epochs.is_empty()) => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await;
    assert!(!other.leads().await);
    let health = other.get("/health", &[]).await.json();
    assert_eq!((&health["guard"], &health["stalled_launches"]), (&"working".into(), &0.into()), "{health}");
    other.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_tasks_end_is_replaced_within_the_lease() {
    let (home, receiver) = (Home::new().await, Receiver::start().await);
    // In a runtime of its own, so that all of its tasks can end in the middle of whatever they do.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let first = leased(&home);
    let app = runtime.spawn(async move { App::start(&first, Clock::system()).await.unwrap() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let second = ServeSettings { data_dir: folder.path().to_owned(), ..leased(&home) };
    let other = Server::start_as(home, second, Clock::system()).await;
    assert!(!other.leads().await);
    other.prepare(&receiver).await;
    let mut crowd = harmful("before");
    crowd.come(&other, 60).await;

    let begun = Instant::now();
    runtime.shutdown_background();
    other.until_it_leads().await;
    let took = begun.elapsed();
    assert!(took < LEASE + BUSY, "{took:?}");
    std::mem::forget(app);
    harm(&other, &mut harmful("after")).await;
    assert_rolled_back_once(&other, &receiver).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_killed_is_replaced_within_the_lease() {
    let receiver = Receiver::start().await;
    let leader = Server::apart(Home::new().await, None).await;
    let fence = leader.until_it_leads().await;
    let other = beside(&leader).await;
    leader.prepare(&receiver).await;
    let mut crowd = harmful("before");
    crowd.come(&leader, 60).await;
    assert!(!other.leads().await);

    let begun = Instant::now();
    let _home = leader.kill();
    assert!(other.until_it_leads().await > fence);
    let took = begun.elapsed();
    assert!(took < LEASE + BUSY, "{took:?}");
    harm(&other, &mut harmful("after")).await;
    assert_rolled_back_once(&other, &receiver).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_has_its_own_lease_back_at_once() {
    let hour = |home: &Home| ServeSettings { lease: Duration::from_hours(1), ..settings(home) };
    let home = Home::new().await;
    let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
    let store = Store::new(database.relational().clone());
    let first = Server::start_as(Arc::clone(&home), hour(&home), Clock::system()).await;
    let fence = first.until_it_leads().await;
    let id = std::fs::read_to_string(home.path().join("server-id")).unwrap();
    first.stop().await;
    // As it was while it ran.
    let id = id.trim().parse().unwrap();
    let holder = Holder { id, name: "killed".to_owned() };
    assert!(store.take_lease(&holder, Duration::from_hours(1), false).await.unwrap());
    let again = Server::start_as(Arc::clone(&home), hour(&home), Clock::system()).await;
    assert_eq!(again.until_it_leads().await, fence + 2);
    again.stop().await;
    database.close().await;
}

/// What is held up between its look and its transaction.
async fn held(home: Arc<Home>, receiver: &Receiver, folder: &Path) -> Server {
    let server = Server::apart(home, Some(&format!("before roll_back={}", folder.display()))).await;
    server.until_it_leads().await;
    server.prepare(receiver).await;
    let mut crowd = harmful("before");
    eventually("the guard is about to act", async || {
        if folder.join("reached").exists() {
            return Ok(());
        }
        crowd.come(&server, 60).await;
        Err("it is not".to_owned())
    })
    .await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_under_a_number_that_was_taken_over_writes_nothing() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let server = held(Home::new().await, &receiver, folder.path()).await;
    let revision =
        async || -> i64 { server.home().rows("select revision from config").await[0].get::<i64, _>(0) };
    let before = revision().await;
    // Nothing else has changed: it is the number alone that refuses.
    let somebody_else = format!("{TAKEN_AWAY}; update lease set expires_at = {}", i64::MAX);
    server.home().execute(&somebody_else).await;
    std::fs::write(folder.path().join("go"), "").unwrap();
    eventually("the server knows that it does not lead", async || {
        if server.leads().await { Err("it leads") } else { Ok(()) }.map_err(str::to_owned)
    })
    .await;
    // It looks again once the act has ended.
    let judged = async || server.check(&gate_target("new_checkout")).await.judge_time.as_ref().map(ms_of);
    let last = judged().await;
    eventually("the guard looks again", async || match judged().await {
        next if next > last => Ok(()),
        next => Err(format!("{next:?}")),
    })
    .await;
    assert_eq!((revision().await, server.share().await), (before, 50.0));
    assert!(of(&server.decisions("").await, DecisionAction::RollBack).is_empty());
    assert!(receiver.got().is_empty());

    server.home().execute("update lease set expires_at = 0").await;
    harm(&server, &mut harmful("after")).await;
    assert_rolled_back_once(&server, &receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_overtaken_while_it_acts_leaves_one_rollback() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let slow = held(Home::new().await, &receiver, folder.path()).await;
    let other = beside(&slow).await;
    eventually("the other one leads", async || {
        if other.leads().await {
            return Ok(());
        }
        slow.home().execute(TAKEN_AWAY).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        Err("it does not".to_owned())
    })
    .await;
    harm(&other, &mut harmful("after")).await;
    std::fs::write(folder.path().join("go"), "").unwrap();
    // It looks again once the act has ended.
    slow.until_looked().await;
    assert_rolled_back_once(&slow, &receiver).await;
    assert_rolled_back_once(&other, &receiver).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_lease_goes_to_and_fro_each_step_is_taken_once() {
    let home = Home::new().await;
    let short = Duration::from_secs(1);
    let settings = ServeSettings { lease: short, ..leased(&home) };
    let one = Server::start_as(home, settings, Clock::system()).await;
    let other = one.beside(|settings| settings.lease = short).await;
    one.create_gate(gate("new_checkout", 0.0)).await;
    let shares = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0];
    let steps = shares.iter().map(|share| step(*share, 600, 0)).collect();
    let begun = one.set_rollout(ramp("new_checkout", steps)).await.unwrap().launch.unwrap();
    eventually("the ramp is at its end", async || {
        one.home().execute(TAKEN_AWAY).await;
        tokio::time::sleep(short).await;
        match launch(&one, &begun.id).await {
            ended if ended.state() == LaunchState::Completed => Ok(()),
            under_way => Err(format!("{under_way:?}")),
        }
    })
    .await;
    let decisions = one.decisions(&begun.id).await;
    let taken: Vec<f64> = of(&decisions, DecisionAction::Advance).iter().map(|it| it.percentage).collect();
    assert_eq!(taken, shares[1..]);
    for decision in &decisions {
        assert_one_audit_row_a_change(&one, &decision.id).await;
    }
    other.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_lowers_while_the_guard_is_about_to_act_does_not_keep_it_from_protecting() {
    for lowered in [20.0, 0.0] {
        let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let server = held(Home::new().await, &receiver, folder.path()).await;
        let other = beside(&server).await;
        eventually("the edit goes through", async || {
            let edit = other.set_rollout(percentage("new_checkout", lowered)).await;
            edit.map(|_| ()).map_err(|status| status.to_string())
        })
        .await;
        std::fs::write(folder.path().join("go"), "").unwrap();
        if lowered > 0.0 {
            // The later intent that lowers is the guard's.
            harm(&server, &mut harmful("after")).await;
            assert_rolled_back_once(&server, &receiver).await;
        } else {
            // The person has ended the launch, and there is nothing left to take back. The latch closes once all the same.
            eventually("the latch is closed", async || {
                match server.check(&gate_target("new_checkout")).await.latches.as_slice() {
                    [latch] if latch.closed => Ok(()),
                    latches => Err(format!("{latches:?}")),
                }
            })
            .await;
        }
        eventually("both serve the control to everyone", async || {
            match (server.share().await, other.share().await) {
                (0.0, 0.0) => Ok(()),
                shares => Err(format!("{shares:?}")),
            }
        })
        .await;
        other.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_on_another_server_and_a_rollback_race_and_nobody_is_left_in_the_treatment() {
    let home = Home::new().await;
    let settings = leased(&home);
    let one = Server::start_as(home, settings, Clock::system()).await;
    let fence = one.until_it_leads().await;
    let (other, receiver) = (Arc::new(beside(&one).await), Receiver::start().await);
    one.prepare(&receiver).await;
    one.create_gate(gate("other", 50.0)).await;
    other.until_it_knows_the_gate().await;
    let stop = CancellationToken::new();
    let person = {
        let (other, stop) = (Arc::clone(&other), stop.clone());
        tokio::spawn(async move {
            let mut went_through = 0;
            // Mostly of another gate, without a pause; some lower the one that is harmed.
            for round in 0.. {
                if stop.is_cancelled() {
                    break;
                }
                let lower = round % 20 == 0 && round < 200;
                let edit = if lower {
                    percentage("new_checkout", 50.0 - f64::from(round) / 10.0)
                } else {
                    percentage("other", f64::from(2_000_000 - round) / 50_000.0)
                };
                match other.set_rollout(edit).await {
                    Ok(_) => went_through += 1,
                    Err(status) if status.code() == Code::Aborted => {}
                    // The last one that was made, perhaps.
                    Err(status) if status.code() == Code::NotFound => {}
                    // What is above 0 is a raise by then.
                    Err(status) => assert!(lower && status.code() == Code::FailedPrecondition, "{status:?}"),
                }
            }
            went_through
        })
    };
    harm(&one, &mut harmful("racing")).await;
    stop.cancel();
    let went_through = person.await.unwrap();
    assert!(went_through > 0, "nothing got in the guard's way");
    assert_rolled_back_once(&one, &receiver).await;
    assert_eq!((one.share().await, one.until_it_leads().await), (0.0, fence));
    Arc::into_inner(other).unwrap().stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_write_is_refused_under_an_old_number() {
    let receiver = Receiver::start().await;
    let server = Server::start().await;
    server.prepare(&receiver).await;
    server.create_gate(gate("other", 50.0)).await;
    harm(&server, &mut harmful("before")).await;
    let home = server.stop().await;
    let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
    let store = Store::new(database.relational().clone());
    let catalogue = store.load().await.unwrap();
    let launch = store.launches(&LaunchQuery { limit: 1, ..LaunchQuery::default() }).await.unwrap().remove(0);
    let decision = store.latest_decision(launch.id, true).await.unwrap().unwrap();
    let snapshot = store.snapshot(launch.id, None).await.unwrap().unwrap();
    home.execute(&format!("delete from moment_snapshot where number = {}", snapshot.number)).await;
    let now = Clock::system().now();
    let somebody = Holder { id: new_id(now), name: "somebody".to_owned() };
    assert!(store.take_lease(&somebody, LEASE, false).await.unwrap());
    let current = store.lease().await.unwrap().fence;
    let old = Fence(current.0 - 1);

    let changed = |mut launch: portcullis::domain::launch::Launch| {
        launch.revision += 1;
        Write::Launch(Box::new(launch))
    };
    let again = portcullis::analysis::decision::Decision {
        id: portcullis::analysis::decision::DecisionId(new_id(now)),
        ..decision.clone()
    };
    let notice = portcullis::store::outbox::Notice {
        id: portcullis::store::outbox::NoticeId(new_id(now)),
        webhook: "pager".to_owned(),
        decision: again.id,
        at: now,
    };
    let stored = &catalogue.gates["new_checkout"];
    let gate = Write::Gate(stored.changed(stored.document.clone(), now));
    let latch = catalogue.latches.values().next().unwrap();
    let writes = [
        gate,
        changed(launch.clone()),
        Write::Latch((**latch).clone()),
        Write::Decision(Box::new(again)),
        Write::Notice(notice),
    ];
    let tables = async || -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for (table, columns) in [
            ("config", "revision"),
            ("document", "key || revision || body"),
            ("launch", "id || revision || body"),
            ("latch", "id || body"),
            ("decision", "cursor || id"),
            ("audit", "seq || detail"),
            ("outbox", "id || attempts || claim || claimed_until || dead_at || failure"),
            ("moment_snapshot", "launch_id || number"),
            ("measure_position", "launch_id || revision"),
        ] {
            let rows =
                home.rows(&format!("select cast({columns} as text) as row from {table} order by 1")).await;
            all.push(rows.iter().flat_map(|row| row.get::<String, _>("row").into_bytes()).collect());
        }
        all
    };
    let change = |write: &Write, fence| Change {
        base_revision: catalogue.revision,
        at: now,
        actor: "guard".to_owned(),
        action: "guard".to_owned(),
        writes: vec![write.clone()],
        fence: Some(fence),
    };
    let before = tables().await;
    let is_refused = |outcome: Result<(), Error>, what: &str| {
        let error = outcome.expect_err(what);
        assert!(
            matches!(&error, Error::WrongState(told) if told.contains("fencing number")),
            "{what}: {error}"
        );
    };
    for write in &writes {
        is_refused(store.commit(&change(write, old)).await.map(|_| ()), write.kind());
        assert_eq!(tables().await, before, "{}", write.kind());
    }
    is_refused(store.publish(old, &snapshot, false, None).await.map(|_| ()), "a publication");
    assert_eq!(tables().await, before, "a publication");

    // The same go through under the number of the lease.
    assert!(store.publish(current, &snapshot, false, None).await.unwrap());
    let all = Change { writes: writes.to_vec(), ..change(&writes[0], current) };
    store.commit(&all).await.unwrap();

    // What was claimed before the lease went on is noted by nobody else.
    let later = now.plus_ms(60_000);
    let claim =
        store.claim(current, "pager", new_id(now), later, later.plus_ms(1_000)).await.unwrap().unwrap();
    home.execute("update lease set fence = fence + 1").await;
    let before = tables().await;
    is_refused(store.delivered(&claim).await, "what is delivered");
    is_refused(store.failed(&claim, "no", later, None).await, "what has failed");
    is_refused(store.release(&claim).await, "what is given back");
    let much_later = later.plus_ms(60_000);
    let claimed = store.claim(current, "pager", new_id(now), much_later, much_later).await;
    is_refused(claimed.map(|_| ()), "a claim");
    assert_eq!(tables().await, before, "the outbox");
    database.close().await;
}
