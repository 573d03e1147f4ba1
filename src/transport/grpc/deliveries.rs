//! What webhooks are still to get: converts, calls the functions, converts back.

use tonic::{Request, Response};

use super::administration::Answer;
use super::convert::{count, page_size, wire_time};
use super::wire;
use super::wire::resend_deliveries_request::Which;
use super::wire::webhook_service_server::WebhookService;
use crate::admin::{Admin, Delivery, DeliveryQuery, NoticeId, parse_id};
use crate::error::{Error, Result};

/// The webhook service.
#[derive(Debug)]
pub(super) struct Deliveries {
    pub(super) admin: Admin,
}

#[tonic::async_trait]
impl WebhookService for Deliveries {
    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Answer<wire::ListDeliveriesResponse> {
        let wire::ListDeliveriesRequest { webhook, dead_only, page_size: size, page_token } =
            request.into_inner();
        let after = if page_token.is_empty() { None } else { Some(notice_id("page_token", &page_token)?) };
        let query = DeliveryQuery {
            webhook: (!webhook.is_empty()).then_some(webhook),
            dead_only,
            after,
            limit: i64::try_from(page_size(size)?).unwrap_or(i64::MAX),
        };
        let page = self.admin.deliveries(query).await?;
        Ok(Response::new(wire::ListDeliveriesResponse {
            deliveries: page.entries.iter().map(wire_delivery).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn resend_deliveries(
        &self,
        request: Request<wire::ResendDeliveriesRequest>,
    ) -> Answer<wire::ResendDeliveriesResponse> {
        let resent = match request.into_inner().which {
            Some(Which::Id(id)) => self.admin.resend(None, Some(notice_id("id", &id)?)).await?,
            Some(Which::Webhook(webhook)) => self.admin.resend(Some(&webhook), None).await?,
            None => return Err(Error::field("which", "one of id and webhook is required").into()),
        };
        Ok(Response::new(wire::ResendDeliveriesResponse { count: count(resent) }))
    }
}

fn notice_id(field: &str, text: &str) -> Result<NoticeId> {
    parse_id(field, text).map(NoticeId)
}

fn wire_delivery(delivery: &Delivery) -> wire::Delivery {
    let notice = &delivery.notice;
    wire::Delivery {
        id: notice.id.0.to_string(),
        webhook: notice.webhook.clone(),
        decision_id: notice.decision.0.to_string(),
        create_time: Some(wire_time(notice.at)),
        attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
        due_time: delivery.dead_at.is_none().then(|| wire_time(delivery.due_at)),
        dead_time: delivery.dead_at.map(wire_time),
        failure: delivery.failure.clone(),
    }
}
