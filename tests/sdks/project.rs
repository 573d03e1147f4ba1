//! Makes the mixed configuration of `mixture` on a server, and keys for the SDKs that use it.

use portcullis::transport::grpc::wire::decide_experiment_request::Decision;
use portcullis::transport::grpc::wire::key_service_client::KeyServiceClient;
use portcullis::transport::grpc::wire::{
    CreateConfigRequest, CreateHoldoutRequest, CreateLayerRequest, CreateSdkKeyRequest, CreateSegmentRequest,
    DecideExperimentRequest, Experiment, SdkKey, SdkKeyKind,
};

use crate::mixture;
use crate::server::Server;

/// The environment of the keys.
pub(crate) const ENVIRONMENT: &str = "production";

/// A new key, as it is given to an SDK.
pub(crate) async fn make_key(server: &Server, kind: SdkKeyKind) -> String {
    let key = SdkKey { kind: kind.into(), environment: ENVIRONMENT.to_owned(), ..SdkKey::default() };
    let request = CreateSdkKeyRequest { key: Some(key) };
    let answer = KeyServiceClient::new(server.channel()).create_sdk_key(request).await;
    answer.expect("a key").into_inner().secret
}

/// What the SDKs are asked about, by key.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) gates: Vec<String>,
    pub(crate) configs: Vec<String>,
    pub(crate) experiments: Vec<String>,
    pub(crate) layers: Vec<String>,
}

/// Makes everything, what is referred to first.
pub(crate) async fn set_up(server: &Server) -> Project {
    let mut admin = server.admin();
    for segment in mixture::segments() {
        let request = CreateSegmentRequest { segment: Some(segment) };
        admin.create_segment(request).await.expect("a segment");
    }
    let mut project =
        Project { gates: Vec::new(), configs: Vec::new(), experiments: Vec::new(), layers: Vec::new() };
    for gate in mixture::gates() {
        project.gates.push(server.create_gate(gate).await.key);
    }
    for config in mixture::configs() {
        project.configs.push(config.key.clone());
        let request = CreateConfigRequest { config: Some(config) };
        admin.create_config(request).await.expect("a config");
    }
    for layer in mixture::layers() {
        project.layers.push(layer.key.clone());
        let request = CreateLayerRequest { layer: Some(layer) };
        admin.create_layer(request).await.expect("a layer");
    }
    for experiment in mixture::experiments() {
        project.experiments.push(experiment.key.clone());
        run(server, experiment).await;
    }
    for holdout in mixture::holdouts() {
        let request = CreateHoldoutRequest { holdout: Some(holdout) };
        admin.create_holdout(request).await.expect("a holdout");
    }
    project
}

/// Takes an experiment as far as its key says.
async fn run(server: &Server, experiment: Experiment) {
    let draft = server.create_experiment(experiment).await;
    if draft.key == "draft" {
        return;
    }
    let (Experiment { key, revision, .. }, _) = server.start_experiment(&draft).await;
    let decision = match key.as_str() {
        "decided" => Decision::ShipGroup("b".to_owned()),
        "abandoned" => Decision::Abandon(true),
        _ => return,
    };
    let request = DecideExperimentRequest { key, revision, decision: Some(decision) };
    server.admin().decide_experiment(request).await.expect("a decision");
}
