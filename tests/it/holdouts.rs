//! Holdouts over layers and over everything, and which of several is named.

use portcullis::transport::grpc::wire::{
    CheckGateRequest, CreateHoldoutRequest, EvaluateBatchRequest, EvaluateBatchResponse, EvaluationReason,
    Experiment, Holdout,
};

use crate::documents::{gate, halves, layer, text, values};
use crate::server::{Server, fields};
use crate::visitors::{assert_share, check_gate, ids, passing, user};

fn holdout(key: &str, percentage: f64) -> Holdout {
    Holdout { key: key.to_owned(), percentage, ..Holdout::default() }
}

async fn start() -> Server {
    let server = Server::start().await;
    server.create_gate(gate("open", 100.0)).await;
    server.create_layer(layer("page", values(&[("color", text("blue"))]))).await;
    server.run_experiment(Experiment { layer: "page".to_owned(), ..halves("inside", "red") }).await;
    server.run_experiment(halves("outside", "red")).await;
    server
}

async fn ask(server: &Server, visitor: &str) -> EvaluateBatchResponse {
    let request = EvaluateBatchRequest {
        user: Some(user(visitor)),
        gates: vec!["open".to_owned()],
        experiments: vec!["inside".to_owned(), "outside".to_owned()],
        layers: vec!["page".to_owned()],
        ..EvaluateBatchRequest::default()
    };
    server.evaluation().evaluate_batch(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdout_of_a_layer_covers_the_experiments_in_it() {
    let server = start().await;
    server.create_holdout(Holdout { layers: vec!["page".to_owned()], ..holdout("tenth", 10.0) }).await;
    let (visitors, mut held) = (ids("visitor", 500), 0);
    for visitor in &visitors {
        let answer = ask(&server, visitor).await;
        assert!(answer.gates["open"].pass && !answer.experiments["outside"].group.is_empty());
        let (layer, inside) = (&answer.layers["page"], &answer.experiments["inside"]);
        assert_eq!(layer.reason(), inside.reason());
        if layer.reason() == EvaluationReason::HeldOut {
            held += 1;
            assert_eq!((layer.experiment.as_str(), inside.group.as_str()), ("", ""));
            assert_eq!(layer.parameters["color"].value, Some(text("blue")));
        }
    }
    assert_share(held, visitors.len(), 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holdout_of_everything_covers_what_is_made_later_as_well() {
    let server = start().await;
    let made = server.create_holdout(Holdout { covers_all: true, ..holdout("quarter", 25.0) }).await;
    server.create_gate(gate("later", 100.0)).await;
    let visitors = ids("visitor", 400);
    let later = check_gate(&server, "later", &visitors).await;
    assert_share(visitors.len() - passing(&later).len(), visitors.len(), 0.25);
    for (visitor, pass) in later {
        let answer = ask(&server, &visitor).await;
        assert_eq!(answer.gates["open"].pass, pass);
        for reason in [
            answer.layers["page"].reason(),
            answer.experiments["inside"].reason(),
            answer.experiments["outside"].reason(),
        ] {
            assert_eq!(reason == EvaluationReason::HeldOut, !pass, "{visitor}: {reason:?}");
        }
    }
    let listed = Holdout { gates: vec!["open".to_owned()], ..made };
    assert_eq!(fields(&server.update_holdout(listed).await.unwrap_err()), ["holdout.covers_all"]);
    let unknown = Holdout { layers: vec!["no_such".to_owned()], ..holdout("new", 1.0) };
    let request = CreateHoldoutRequest { holdout: Some(unknown) };
    assert_eq!(fields(&server.admin().create_holdout(request).await.unwrap_err()), ["holdout.layers[0]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_holdouts_the_lowest_precedence_is_named_then_the_first_key() {
    let server = start().await;
    let named = async |server: &Server| {
        let request = CheckGateRequest {
            user: Some(user("ada")),
            gate: "open".to_owned(),
            ..CheckGateRequest::default()
        };
        let answer = server.evaluation().check_gate(request).await.unwrap().into_inner();
        assert_eq!((answer.pass, answer.reason()), (false, EvaluationReason::HeldOut));
        answer.rule_id
    };
    let of_open = |key: &str| Holdout { gates: vec!["open".to_owned()], ..holdout(key, 100.0) };
    let second = server.create_holdout(of_open("second")).await;
    assert_eq!(named(&server).await, "holdout:second");
    let first = server.create_holdout(of_open("first")).await;
    assert_eq!(named(&server).await, "holdout:first");
    let last =
        Holdout { precedence: 2, link_ids: [("gate:open".to_owned(), "3kQ".to_owned())].into(), ..second };
    let last = server.update_holdout(last).await.unwrap();
    server.create_holdout(Holdout { precedence: 3, ..of_open("a_third") }).await;
    assert_eq!(named(&server).await, "holdout:first");
    server.create_holdout(Holdout { precedence: 1, ..of_open("early") }).await;
    assert_eq!(named(&server).await, "holdout:first");
    // Precedence 0 is the lowest; the one with another goes behind.
    server.update_holdout(Holdout { precedence: 4, ..first }).await.unwrap();
    assert_eq!(named(&server).await, "holdout:early");
    server.update_holdout(Holdout { precedence: 0, ..last }).await.unwrap();
    assert_eq!(named(&server).await, "3kQ");
}
