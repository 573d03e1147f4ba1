//! Exposures from elsewhere: matched to launch, epoch and arm, each with its own result.

use portcullis::transport::grpc::wire::exposure::Served;
use portcullis::transport::grpc::wire::{
    CheckGateRequest, EventOutcome, Exposure, ExposureResult, LogExposuresRequest, ServedExperiment,
    ServedGate, User,
};
use tonic::Code;

use crate::documents::{button_color_v3, gate, metric};
use crate::server::{Server, experiment_target, fields, gate_target, wire_time};
use crate::visitors::{ids, user};

fn served_gate(visitor: &str, pass: bool) -> Exposure {
    let gate = ServedGate { key: "new_checkout".to_owned(), pass, rule_id: String::new() };
    Exposure { user: Some(user(visitor)), served: Some(Served::Gate(gate)), time: None }
}

fn served_group(visitor: &str, group: &str) -> Exposure {
    let group = ServedExperiment { key: "button_color_v3".to_owned(), group: group.to_owned() };
    Exposure { user: Some(user(visitor)), served: Some(Served::Experiment(group)), time: None }
}

/// What became of each: empty where it was stored, `again` where it was there, else the field that was refused.
async fn log(server: &Server, exposures: Vec<Exposure>) -> Vec<String> {
    let answer = server.events().log_exposures(LogExposuresRequest { exposures }).await.unwrap();
    let told = |result: ExposureResult| {
        let field = result.message.split(':').next().unwrap_or_default().to_owned();
        match result.outcome() {
            EventOutcome::Refused if !field.is_empty() => field,
            EventOutcome::Stored if field.is_empty() => String::new(),
            EventOutcome::Duplicate if field.is_empty() => "again".to_owned(),
            _ => panic!("{result:?}"),
        }
    };
    answer.into_inner().results.into_iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gate_said_elsewhere_counts_for_the_arm_that_it_gives_the_unit() {
    let server = Server::start().await;
    server.create_metric(metric("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let (mut told, mut passes) = (Vec::new(), 0);
    for visitor in ids("visitor", 40) {
        let (user, gate) = (Some(user(&visitor)), "new_checkout".to_owned());
        let request = CheckGateRequest { user, gate, disable_exposure: true };
        let pass = server.evaluation().check_gate(request).await.unwrap().into_inner().pass;
        passes += i64::from(pass);
        told.push(served_gate(&visitor, pass));
    }
    let wrong = told.first().cloned().map(|mut exposure| {
        let Some(Served::Gate(gate)) = &mut exposure.served else { panic!("a gate") };
        gate.pass = !gate.pass;
        exposure
    });
    assert_eq!(log(&server, told.clone()).await, [""; 40]);
    assert_eq!(log(&server, told).await, ["again"; 40]);
    assert_eq!(log(&server, wrong.into_iter().collect()).await, ["gate.pass"]);
    server
        .check_until(&gate_target("new_checkout"), "each is counted once, in its arm", |answer| {
            let epochs: Vec<_> = answer.verdicts.iter().flat_map(|verdict| &verdict.epochs).collect();
            !epochs.is_empty()
                && epochs.iter().all(|epoch| {
                    let units = |arm: &Option<_>| {
                        arm.as_ref().map(|arm: &portcullis::transport::grpc::wire::Moments| arm.n)
                    };
                    units(&epoch.treatment) == Some(passes) && units(&epoch.control) == Some(40 - passes)
                })
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_exposure_is_refused_alone_by_the_name_of_its_field() {
    let server = Server::start().await;
    server.create_metric(metric("signup", "visited_signup")).await;
    server.create_gate(gate("new_checkout", 50.0)).await;
    let draft = server.create_experiment(button_color_v3()).await;
    assert_eq!(
        log(&server, vec![served_group("visitor", "Red")]).await,
        ["time"],
        "nothing was launched yet"
    );
    server.start_experiment(&draft).await;
    let now = portcullis::clock::Clock::system().now().0;
    let gate_of = |key: &str, rule_id: &str| {
        let gate = ServedGate { key: key.to_owned(), pass: true, rule_id: rule_id.to_owned() };
        Exposure { served: Some(Served::Gate(gate)), ..served_gate("visitor", true) }
    };
    let experiment = ServedExperiment { key: "nope".to_owned(), group: "Red".to_owned() };
    let by_device = User { custom_ids: [("device".to_owned(), "d".to_owned())].into(), ..User::default() };
    let cases = [
        (served_group("visitor", "Red"), ""),
        (served_group("visitor", "Purple"), "experiment.group"),
        (
            Exposure { served: Some(Served::Experiment(experiment)), ..served_group("v", "Red") },
            "experiment.key",
        ),
        (gate_of("nope", ""), "gate.key"),
        (gate_of("new_checkout", "no_such_rule"), "gate.rule_id"),
        (Exposure { time: Some(wire_time(now - 3_600_000)), ..served_group("v", "Red") }, "time"),
        (Exposure { time: Some(wire_time(now + 3_600_000)), ..served_group("v", "Red") }, "time"),
        (Exposure { user: Some(by_device), ..served_group("v", "Red") }, "user"),
        (Exposure { user: None, ..served_group("v", "Red") }, "user"),
        (Exposure { user: Some(user("")), ..served_group("v", "Red") }, "user.user_id"),
        (Exposure { served: None, ..served_group("v", "Red") }, "served"),
        (served_group("another", "Blue"), ""),
    ];
    let (exposures, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    assert_eq!(log(&server, exposures).await, expected);
    server
        .check_until(&experiment_target("button_color_v3"), "the good ones are counted", |answer| {
            let red = answer.verdicts.iter().find(|verdict| verdict.arm == "Red");
            let epoch = red.and_then(|verdict| verdict.epochs.first());
            epoch.is_some_and(|epoch| {
                epoch.control.is_some_and(|arm| arm.n == 1) && epoch.treatment.is_some_and(|arm| arm.n == 1)
            })
        })
        .await;
    for exposures in [Vec::new(), vec![served_group("visitor", "Red"); 1_001]] {
        let refused = server.events().log_exposures(LogExposuresRequest { exposures }).await.unwrap_err();
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["exposures".to_owned()]));
    }
}
