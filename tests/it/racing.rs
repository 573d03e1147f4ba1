//! What a person does between the guard's look and its act: protection goes through all the same, and nothing is raised that a
//! person has lowered.

use std::sync::Arc;
use std::time::Duration;

use portcullis::admin::{Admin, Principal, RollbackTo, Rollout};
use portcullis::analysis::decision::{Decision, DecisionAction, Judgement};
use portcullis::analysis::plan::plan;
use portcullis::clock::{Clock, new_id};
use portcullis::database::Database;
use portcullis::domain::gate::Gate;
use portcullis::domain::launch::{GuardrailChoice, Launch, LaunchState, Step, Target};
use portcullis::events;
use portcullis::live::Live;
use portcullis::store::lease::{Fence, Holder};
use portcullis::store::{DecisionQuery, Store};

use crate::documents::{gate, guardrail};
use crate::guard::harm;
use crate::home::Home;
use crate::server::{Server, gate_target};
use crate::visitors::{Crowd, check_gate, ids, passing};

/// What a person does meanwhile.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// Sets shares, one after the other.
    Sets(&'static [f64], RollbackTo),
    /// Cancels the launch.
    Cancels,
}

/// A harmful launch as the guard saw it, once it was rolled back.
async fn seen() -> (Launch, Judgement) {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.0, 0.6)).await;
    let home = server.stop().await;
    let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
    let decisions = Store::new(database.relational().clone());
    let decisions = decisions.decisions(&DecisionQuery { limit: 100, ..DecisionQuery::default() }).await;
    database.close().await;
    let decisions = decisions.unwrap().into_iter().map(|recorded| recorded.decision);
    let rolled_back = decisions.into_iter().find(|it| it.action == DecisionAction::RollBack).unwrap();
    (rolled_back.launch, rolled_back.judgement.unwrap())
}

/// Everything that acts on a database, with nobody else there.
struct Alone {
    database: Database,
    store: Store,
    live: Arc<Live>,
    admin: Admin,
    holder: Holder,
    fence: Fence,
}

impl Alone {
    async fn on(home: &Home) -> Self {
        let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
        let store = Store::new(database.relational().clone());
        let holder = Holder { id: new_id(Clock::system().now()), name: "test".to_owned() };
        assert!(store.take_lease(&holder, Duration::from_mins(5), false).await.unwrap());
        let fence = store.lease().await.unwrap().fence;
        let live = Arc::new(Live::new(store.load().await.unwrap(), store.last_cursor().await.unwrap()));
        let events = events::of(&database);
        let admin =
            Admin::new(store.clone(), events, Arc::clone(&live), Clock::system(), "production", 30_000);
        Self { database, store, live, admin, holder, fence }
    }

    fn launch(&self) -> Launch {
        let target = Target::GateRule { gate: "new_checkout".to_owned(), rule: "everyone".to_owned() };
        (**self.live.in_force().catalogue.live_launch(&target).unwrap()).clone()
    }

    async fn does(&self, meanwhile: Meanwhile) {
        let ada = Principal("ada".to_owned());
        match meanwhile {
            Meanwhile::Cancels => {
                self.admin.cancel_launch(&ada, self.launch().id, "Enough.").await.unwrap();
            }
            Meanwhile::Sets(shares, rollback_to) => {
                for share in shares {
                    let rollout = Rollout {
                        key: "new_checkout".to_owned(),
                        rule: String::new(),
                        field: "percentage",
                        steps: vec![Step::at_once(*share)],
                        names_steps: true,
                        choice: GuardrailChoice::default(),
                        rollback_to: Some(rollback_to),
                        revision: None,
                    };
                    self.admin.set_rollout::<Gate>(&ada, rollout).await.unwrap();
                }
            }
        }
    }

    fn share(&self) -> f64 {
        self.live.in_force().catalogue.gates["new_checkout"].document.rules[0].percentage
    }

    async fn rollbacks(&self) -> Vec<Decision> {
        let query = DecisionQuery { limit: 100, ..DecisionQuery::default() };
        let decisions = self.store.decisions(&query).await.unwrap().into_iter();
        decisions.map(|it| it.decision).filter(|it| it.action == DecisionAction::RollBack).collect()
    }
}

/// The guard looks, the person acts, the guard acts on what it saw: what is left in force, and how many launches were rolled back.
async fn race(seen: &(Launch, Judgement), begins_at: &[f64], meanwhile: Meanwhile) -> (f64, usize) {
    // Without a guardrail nothing keeps the person from raising.
    let server = Server::start().await;
    server.create_gate(gate("new_checkout", begins_at[0])).await;
    let home = server.stop().await;
    let alone = Alone::on(&home).await;
    if begins_at.len() > 1 {
        alone.does(Meanwhile::Sets(&[50.0], RollbackTo::Previous)).await;
    }
    let (found, judgement) = seen;
    let own = alone.launch();
    let (id, target, rollback_percentage) = (own.id, own.target.clone(), own.rollback_percentage);
    let looked_at = Launch { id, target, rollback_percentage, revision: own.revision, ..found.clone() };
    let plan = plan(&looked_at, judgement, None, judgement.at);

    alone.does(meanwhile).await;
    let act = async || alone.admin.carry_out(alone.fence, &looked_at, judgement, None, &plan).await.unwrap();
    assert!(act().await, "{meanwhile:?}: harm is acted on");
    assert!(!act().await, "{meanwhile:?}: once");
    let latches = alone.live.in_force().catalogue.latches.len();
    assert_eq!(latches, 1, "{meanwhile:?}");
    assert!(alone.store.launch(own.id).await.unwrap().is_some_and(|launch| !launch.is_live()));
    let (share, rollbacks) = (alone.share(), alone.rollbacks().await);
    assert!(rollbacks.iter().all(|it| it.percentage.to_bits() == share.to_bits()), "{rollbacks:?}");
    let launches = alone.live.in_force().catalogue.launches.clone();
    assert!(launches.values().all(|launch| !launch.is_live()), "{launches:?}");
    let ended = launches.values().filter(|launch| launch.state == LaunchState::RolledBack).count();
    alone.store.release_lease(&alone.holder, alone.fence).await.unwrap();
    alone.database.close().await;

    let server = Server::start_in(home, Clock::system()).await;
    let latches = server.check(&gate_target("new_checkout")).await.latches;
    assert!(latches.len() == 1 && latches[0].closed, "{latches:?}");
    let served = passing(&check_gate(&server, "new_checkout", &ids("probe", 100)).await).len();
    assert_eq!(served == 0, share <= 0.0, "{meanwhile:?}: {served} of 100 at {share} %");
    (share, ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_person_does_between_the_look_and_the_act_harm_is_taken_back() {
    let seen = seen().await;
    let zero = RollbackTo::Zero;
    for (begins_at, meanwhile, expected) in [
        (&[50.0][..], Meanwhile::Sets(&[80.0], zero), (0.0, 1)),
        // What the new launch would fall back to by itself is the share that has harmed.
        (&[50.0], Meanwhile::Sets(&[80.0], RollbackTo::Previous), (0.0, 1)),
        (&[50.0], Meanwhile::Sets(&[0.0, 30.0], zero), (0.0, 1)),
        (&[50.0], Meanwhile::Sets(&[20.0], zero), (0.0, 1)),
        (&[50.0], Meanwhile::Sets(&[0.0], zero), (0.0, 0)),
        (&[50.0], Meanwhile::Cancels, (0.0, 0)),
        // It was well at 10 %, where a cancellation falls back to as a rollback does.
        (&[10.0, 50.0], Meanwhile::Cancels, (10.0, 0)),
        (&[10.0, 50.0], Meanwhile::Sets(&[80.0], RollbackTo::Previous), (10.0, 1)),
        (&[10.0, 50.0], Meanwhile::Sets(&[5.0], RollbackTo::Previous), (0.0, 1)),
        (&[10.0, 50.0], Meanwhile::Sets(&[0.0], zero), (0.0, 0)),
    ] {
        assert_eq!(race(&seen, begins_at, meanwhile).await, expected, "{begins_at:?} and then {meanwhile:?}");
    }
}
