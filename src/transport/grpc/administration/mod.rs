//! Administration: converts, calls the audited functions, converts back.

mod calls;
mod rollout;

use tonic::{Request, Response, Status};

pub use self::calls::PRINCIPAL;
pub(super) use self::calls::{named_principal, principal};
use self::rollout::{choice, rollout};
use super::convert::required;
use super::documents::DocumentMessage;
use super::wire::admin_service_server::AdminService;
use super::{records, wire};
use crate::admin::{Admin, Outcome};
use crate::domain::config::DynamicConfig;
use crate::domain::gate::Gate;
use crate::error::Error;

/// The admin service.
#[derive(Debug)]
pub(super) struct Administration {
    pub(super) admin: Admin,
}

/// What a call is answered with.
pub(super) type Answer<T> = std::result::Result<Response<T>, Status>;

#[tonic::async_trait]
impl AdminService for Administration {
    async fn create_gate(
        &self,
        request: Request<wire::CreateGateRequest>,
    ) -> Answer<wire::CreateGateResponse> {
        self.create(request, |it| it.gate, |gate| wire::CreateGateResponse { gate }).await
    }

    async fn get_gate(&self, request: Request<wire::GetGateRequest>) -> Answer<wire::GetGateResponse> {
        self.get(request, |it| it.key, |gate| wire::GetGateResponse { gate })
    }

    async fn list_gates(&self, request: Request<wire::ListGatesRequest>) -> Answer<wire::ListGatesResponse> {
        let paging = |it: wire::ListGatesRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |gates, next_page_token| wire::ListGatesResponse {
            gates,
            next_page_token,
        })
    }

    async fn update_gate(
        &self,
        request: Request<wire::UpdateGateRequest>,
    ) -> Answer<wire::UpdateGateResponse> {
        self.update(request, |it| it.gate, |gate| wire::UpdateGateResponse { gate }).await
    }

    async fn archive_gate(
        &self,
        request: Request<wire::ArchiveGateRequest>,
    ) -> Answer<wire::ArchiveGateResponse> {
        self.archive(request, |it| (it.key, it.revision), |gate| wire::ArchiveGateResponse { gate }).await
    }

    async fn create_experiment(
        &self,
        request: Request<wire::CreateExperimentRequest>,
    ) -> Answer<wire::CreateExperimentResponse> {
        self.create(request, |it| it.experiment, |experiment| wire::CreateExperimentResponse { experiment })
            .await
    }

    async fn get_experiment_document(
        &self,
        request: Request<wire::GetExperimentDocumentRequest>,
    ) -> Answer<wire::GetExperimentDocumentResponse> {
        self.get(request, |it| it.key, |experiment| wire::GetExperimentDocumentResponse { experiment })
    }

    async fn list_experiments(
        &self,
        request: Request<wire::ListExperimentsRequest>,
    ) -> Answer<wire::ListExperimentsResponse> {
        let paging = |it: wire::ListExperimentsRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |experiments, next_page_token| wire::ListExperimentsResponse {
            experiments,
            next_page_token,
        })
    }

    async fn update_experiment(
        &self,
        request: Request<wire::UpdateExperimentRequest>,
    ) -> Answer<wire::UpdateExperimentResponse> {
        self.update(request, |it| it.experiment, |experiment| wire::UpdateExperimentResponse { experiment })
            .await
    }

    async fn archive_experiment(
        &self,
        request: Request<wire::ArchiveExperimentRequest>,
    ) -> Answer<wire::ArchiveExperimentResponse> {
        self.archive(
            request,
            |it| (it.key, it.revision),
            |experiment| wire::ArchiveExperimentResponse { experiment },
        )
        .await
    }

    async fn create_holdout(
        &self,
        request: Request<wire::CreateHoldoutRequest>,
    ) -> Answer<wire::CreateHoldoutResponse> {
        self.create(request, |it| it.holdout, |holdout| wire::CreateHoldoutResponse { holdout }).await
    }

    async fn get_holdout(
        &self,
        request: Request<wire::GetHoldoutRequest>,
    ) -> Answer<wire::GetHoldoutResponse> {
        self.get(request, |it| it.key, |holdout| wire::GetHoldoutResponse { holdout })
    }

    async fn list_holdouts(
        &self,
        request: Request<wire::ListHoldoutsRequest>,
    ) -> Answer<wire::ListHoldoutsResponse> {
        let paging = |it: wire::ListHoldoutsRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |holdouts, next_page_token| wire::ListHoldoutsResponse {
            holdouts,
            next_page_token,
        })
    }

    async fn update_holdout(
        &self,
        request: Request<wire::UpdateHoldoutRequest>,
    ) -> Answer<wire::UpdateHoldoutResponse> {
        self.update(request, |it| it.holdout, |holdout| wire::UpdateHoldoutResponse { holdout }).await
    }

    async fn archive_holdout(
        &self,
        request: Request<wire::ArchiveHoldoutRequest>,
    ) -> Answer<wire::ArchiveHoldoutResponse> {
        self.archive(request, |it| (it.key, it.revision), |holdout| wire::ArchiveHoldoutResponse { holdout })
            .await
    }

    async fn create_segment(
        &self,
        request: Request<wire::CreateSegmentRequest>,
    ) -> Answer<wire::CreateSegmentResponse> {
        self.create(request, |it| it.segment, |segment| wire::CreateSegmentResponse { segment }).await
    }

    async fn get_segment(
        &self,
        request: Request<wire::GetSegmentRequest>,
    ) -> Answer<wire::GetSegmentResponse> {
        self.get(request, |it| it.key, |segment| wire::GetSegmentResponse { segment })
    }

    async fn list_segments(
        &self,
        request: Request<wire::ListSegmentsRequest>,
    ) -> Answer<wire::ListSegmentsResponse> {
        let paging = |it: wire::ListSegmentsRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |segments, next_page_token| wire::ListSegmentsResponse {
            segments,
            next_page_token,
        })
    }

    async fn update_segment(
        &self,
        request: Request<wire::UpdateSegmentRequest>,
    ) -> Answer<wire::UpdateSegmentResponse> {
        self.update(request, |it| it.segment, |segment| wire::UpdateSegmentResponse { segment }).await
    }

    async fn archive_segment(
        &self,
        request: Request<wire::ArchiveSegmentRequest>,
    ) -> Answer<wire::ArchiveSegmentResponse> {
        self.archive(request, |it| (it.key, it.revision), |segment| wire::ArchiveSegmentResponse { segment })
            .await
    }

    async fn create_config(
        &self,
        request: Request<wire::CreateConfigRequest>,
    ) -> Answer<wire::CreateConfigResponse> {
        self.create(request, |it| it.config, |config| wire::CreateConfigResponse { config }).await
    }

    async fn get_config_document(
        &self,
        request: Request<wire::GetConfigDocumentRequest>,
    ) -> Answer<wire::GetConfigDocumentResponse> {
        self.get(request, |it| it.key, |config| wire::GetConfigDocumentResponse { config })
    }

    async fn list_configs(
        &self,
        request: Request<wire::ListConfigsRequest>,
    ) -> Answer<wire::ListConfigsResponse> {
        let paging = |it: wire::ListConfigsRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |configs, next_page_token| wire::ListConfigsResponse {
            configs,
            next_page_token,
        })
    }

    async fn update_config(
        &self,
        request: Request<wire::UpdateConfigRequest>,
    ) -> Answer<wire::UpdateConfigResponse> {
        self.update(request, |it| it.config, |config| wire::UpdateConfigResponse { config }).await
    }

    async fn archive_config(
        &self,
        request: Request<wire::ArchiveConfigRequest>,
    ) -> Answer<wire::ArchiveConfigResponse> {
        self.archive(request, |it| (it.key, it.revision), |config| wire::ArchiveConfigResponse { config })
            .await
    }

    async fn create_layer(
        &self,
        request: Request<wire::CreateLayerRequest>,
    ) -> Answer<wire::CreateLayerResponse> {
        self.create(request, |it| it.layer, |layer| wire::CreateLayerResponse { layer }).await
    }

    async fn get_layer_document(
        &self,
        request: Request<wire::GetLayerDocumentRequest>,
    ) -> Answer<wire::GetLayerDocumentResponse> {
        self.get(request, |it| it.key, |layer| wire::GetLayerDocumentResponse { layer })
    }

    async fn list_layers(
        &self,
        request: Request<wire::ListLayersRequest>,
    ) -> Answer<wire::ListLayersResponse> {
        let paging = |it: wire::ListLayersRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |layers, next_page_token| wire::ListLayersResponse {
            layers,
            next_page_token,
        })
    }

    async fn update_layer(
        &self,
        request: Request<wire::UpdateLayerRequest>,
    ) -> Answer<wire::UpdateLayerResponse> {
        self.update(request, |it| it.layer, |layer| wire::UpdateLayerResponse { layer }).await
    }

    async fn archive_layer(
        &self,
        request: Request<wire::ArchiveLayerRequest>,
    ) -> Answer<wire::ArchiveLayerResponse> {
        self.archive(request, |it| (it.key, it.revision), |layer| wire::ArchiveLayerResponse { layer }).await
    }

    async fn create_metric(
        &self,
        request: Request<wire::CreateMetricRequest>,
    ) -> Answer<wire::CreateMetricResponse> {
        self.create(request, |it| it.metric, |metric| wire::CreateMetricResponse { metric }).await
    }

    async fn get_metric(&self, request: Request<wire::GetMetricRequest>) -> Answer<wire::GetMetricResponse> {
        self.get(request, |it| it.key, |metric| wire::GetMetricResponse { metric })
    }

    async fn list_metrics(
        &self,
        request: Request<wire::ListMetricsRequest>,
    ) -> Answer<wire::ListMetricsResponse> {
        let paging = |it: wire::ListMetricsRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |metrics, next_page_token| wire::ListMetricsResponse {
            metrics,
            next_page_token,
        })
    }

    async fn update_metric(
        &self,
        request: Request<wire::UpdateMetricRequest>,
    ) -> Answer<wire::UpdateMetricResponse> {
        self.update(request, |it| it.metric, |metric| wire::UpdateMetricResponse { metric }).await
    }

    async fn archive_metric(
        &self,
        request: Request<wire::ArchiveMetricRequest>,
    ) -> Answer<wire::ArchiveMetricResponse> {
        self.archive(request, |it| (it.key, it.revision), |metric| wire::ArchiveMetricResponse { metric })
            .await
    }

    async fn create_webhook(
        &self,
        request: Request<wire::CreateWebhookRequest>,
    ) -> Answer<wire::CreateWebhookResponse> {
        let actor = principal(request.metadata())?;
        let (webhook, _) = required("webhook", request.into_inner().webhook)?.read()?;
        let (stored, secret) = self.admin.create_webhook(&actor, webhook).await?;
        let webhook = Some(DocumentMessage::sent(&stored));
        let secret = secret.map(|text| text.0).unwrap_or_default();
        Ok(Response::new(wire::CreateWebhookResponse { webhook, secret }))
    }

    async fn get_webhook(
        &self,
        request: Request<wire::GetWebhookRequest>,
    ) -> Answer<wire::GetWebhookResponse> {
        self.get(request, |it| it.key, |webhook| wire::GetWebhookResponse { webhook })
    }

    async fn list_webhooks(
        &self,
        request: Request<wire::ListWebhooksRequest>,
    ) -> Answer<wire::ListWebhooksResponse> {
        let paging = |it: wire::ListWebhooksRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |webhooks, next_page_token| wire::ListWebhooksResponse {
            webhooks,
            next_page_token,
        })
    }

    async fn update_webhook(
        &self,
        request: Request<wire::UpdateWebhookRequest>,
    ) -> Answer<wire::UpdateWebhookResponse> {
        self.update(request, |it| it.webhook, |webhook| wire::UpdateWebhookResponse { webhook }).await
    }

    async fn archive_webhook(
        &self,
        request: Request<wire::ArchiveWebhookRequest>,
    ) -> Answer<wire::ArchiveWebhookResponse> {
        self.archive(request, |it| (it.key, it.revision), |webhook| wire::ArchiveWebhookResponse { webhook })
            .await
    }

    async fn create_policy(
        &self,
        request: Request<wire::CreatePolicyRequest>,
    ) -> Answer<wire::CreatePolicyResponse> {
        self.create(request, |it| it.policy, |policy| wire::CreatePolicyResponse { policy }).await
    }

    async fn get_policy(&self, request: Request<wire::GetPolicyRequest>) -> Answer<wire::GetPolicyResponse> {
        self.get(request, |it| it.key, |policy| wire::GetPolicyResponse { policy })
    }

    async fn list_policies(
        &self,
        request: Request<wire::ListPoliciesRequest>,
    ) -> Answer<wire::ListPoliciesResponse> {
        let paging = |it: wire::ListPoliciesRequest| (it.page_size, it.page_token, it.include_archived);
        self.list(request, paging, |policies, next_page_token| wire::ListPoliciesResponse {
            policies,
            next_page_token,
        })
    }

    async fn update_policy(
        &self,
        request: Request<wire::UpdatePolicyRequest>,
    ) -> Answer<wire::UpdatePolicyResponse> {
        self.update(request, |it| it.policy, |policy| wire::UpdatePolicyResponse { policy }).await
    }

    async fn archive_policy(
        &self,
        request: Request<wire::ArchivePolicyRequest>,
    ) -> Answer<wire::ArchivePolicyResponse> {
        self.archive(request, |it| (it.key, it.revision), |policy| wire::ArchivePolicyResponse { policy })
            .await
    }

    async fn set_rollout(
        &self,
        request: Request<wire::SetRolloutRequest>,
    ) -> Answer<wire::SetRolloutResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let is_config = match (request.gate.as_str(), request.config.as_str()) {
            ("", "") => return Err(Error::field("gate", "one of gate and config is required").into()),
            (_, "") => false,
            ("", _) => true,
            _ => return Err(Error::field("config", "must be empty where a gate is named").into()),
        };
        let rollout = rollout(request)?;
        let (gate, config, launch) = if is_config {
            let (config, launch) = self.admin.set_rollout::<DynamicConfig>(&actor, rollout).await?;
            (None, Some(DocumentMessage::sent(&config)), launch)
        } else {
            let (gate, launch) = self.admin.set_rollout::<Gate>(&actor, rollout).await?;
            (Some(DocumentMessage::sent(&gate)), None, launch)
        };
        let launch = launch.as_ref().map(records::launch);
        Ok(Response::new(wire::SetRolloutResponse { gate, launch, config }))
    }

    async fn start_experiment(
        &self,
        request: Request<wire::StartExperimentRequest>,
    ) -> Answer<wire::StartExperimentResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let choice = choice(request.guardrails);
        let (stored, launch) =
            self.admin.start_experiment(&actor, &request.key, request.revision, choice).await?;
        Ok(Response::new(wire::StartExperimentResponse {
            experiment: Some(DocumentMessage::sent(&stored)),
            launch: launch.as_ref().map(records::launch),
        }))
    }

    async fn decide_experiment(
        &self,
        request: Request<wire::DecideExperimentRequest>,
    ) -> Answer<wire::DecideExperimentResponse> {
        let actor = principal(request.metadata())?;
        let request = request.into_inner();
        let outcome = match request.decision {
            Some(wire::decide_experiment_request::Decision::ShipGroup(group)) => Outcome::Ship(group),
            Some(wire::decide_experiment_request::Decision::Abandon(true)) => Outcome::Abandon(None),
            Some(wire::decide_experiment_request::Decision::Abandon(false)) | None => {
                return Err(
                    Error::field("decision", "one of ship_group and abandon: true is required").into()
                );
            }
        };
        let stored = self.admin.decide_experiment(&actor, &request.key, request.revision, outcome).await?;
        let experiment = Some(DocumentMessage::sent(&stored));
        Ok(Response::new(wire::DecideExperimentResponse { experiment }))
    }
}
