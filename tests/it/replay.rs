//! Every decision can be made again from its record alone.

use portcullis::analysis::judge::judge;
use portcullis::database::Database;
use portcullis::store::{DecisionQuery, Store};

use crate::documents::{gate, guardrail, percentage, ramp, step};
use crate::guard::harm;
use crate::server::Server;
use crate::visitors::Crowd;

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_can_be_made_again_from_its_record() {
    let server = Server::start().await;
    server.create_metric(guardrail("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 0.0)).await;
    let steps = vec![step(30.0, 0, 100), step(50.0, 3_600_000, 0)];
    server.set_rollout(ramp("new_checkout", steps)).await.unwrap();
    harm(&server, &mut Crowd::new("new_checkout", "visited_signup").doing(0.3, 0.5)).await;
    server.create_gate(gate("edited", 50.0)).await;
    server.set_rollout(percentage("edited", 20.0)).await.unwrap();
    let home = server.stop().await;

    let database = Database::open(&home.url().parse().unwrap()).await.unwrap();
    let all = DecisionQuery { limit: 1_000, ..DecisionQuery::default() };
    let recorded = Store::new(database.relational().clone()).decisions(&all).await.unwrap();
    database.close().await;
    let mut replayed = 0;
    for decision in recorded.iter().map(|recorded| &recorded.decision) {
        let Some(judgement) = &decision.judgement else {
            continue;
        };
        let again = judge(&decision.launch, judgement.measurement(&decision.launch).as_ref(), judgement.at);
        assert_eq!(again, *judgement, "{decision:?}");
        replayed += 1;
    }
    assert!(replayed >= 3, "{replayed} of {} decisions rest on a judgement", recorded.len());
}
