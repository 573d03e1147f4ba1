//! Keys of SDKs: converts, calls the audited functions, converts back.

use tonic::{Request, Response};

use super::administration::{Answer, principal};
use super::convert::{page_size, required, wire_time};
use super::wire;
use super::wire::key_service_server::KeyService;
use crate::admin::{Admin, NewSdkKey};
use crate::domain::sdk_key::{SdkKey, SdkKeyKind};
use crate::domain::stored::Stored;
use crate::error::{Error, Result};

/// The key service.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) admin: Admin,
}

#[tonic::async_trait]
impl KeyService for Keys {
    async fn create_sdk_key(
        &self,
        request: Request<wire::CreateSdkKeyRequest>,
    ) -> Answer<wire::CreateSdkKeyResponse> {
        let actor = principal(request.metadata())?;
        let new = new_key(request.into_inner().key)?;
        let (stored, secret) = self.admin.create_sdk_key(&actor, new).await?;
        Ok(Response::new(wire::CreateSdkKeyResponse { key: Some(wire_key(&stored)), secret }))
    }

    async fn list_sdk_keys(
        &self,
        request: Request<wire::ListSdkKeysRequest>,
    ) -> Answer<wire::ListSdkKeysResponse> {
        let request = request.into_inner();
        let size = page_size(request.page_size)?;
        let page = self.admin.list::<SdkKey>(&request.page_token, size, request.include_revoked);
        Ok(Response::new(wire::ListSdkKeysResponse {
            keys: page.entries.iter().map(|stored| wire_key(stored)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn revoke_sdk_key(
        &self,
        request: Request<wire::RevokeSdkKeyRequest>,
    ) -> Answer<wire::RevokeSdkKeyResponse> {
        let actor = principal(request.metadata())?;
        let stored = self.admin.revoke_sdk_key(&actor, &request.into_inner().id).await?;
        Ok(Response::new(wire::RevokeSdkKeyResponse { key: Some(wire_key(&stored)) }))
    }
}

fn new_key(message: Option<wire::SdkKey>) -> Result<NewSdkKey> {
    let message = required("key", message)?;
    let kind = match message.kind() {
        wire::SdkKeyKind::Server => SdkKeyKind::Server,
        wire::SdkKeyKind::Client => SdkKeyKind::Client,
        wire::SdkKeyKind::Unspecified => return Err(Error::field("key.kind", "must be SERVER or CLIENT")),
    };
    let (environment, target_apps) = (message.environment, message.target_apps);
    Ok(NewSdkKey { kind, environment, target_apps, description: message.description })
}

fn wire_key(stored: &Stored<SdkKey>) -> wire::SdkKey {
    let key = &stored.document;
    let kind = match key.kind {
        SdkKeyKind::Server => wire::SdkKeyKind::Server,
        SdkKeyKind::Client => wire::SdkKeyKind::Client,
    };
    wire::SdkKey {
        id: key.id.clone(),
        kind: kind.into(),
        environment: key.environment.clone(),
        target_apps: key.target_apps.clone(),
        description: key.description.clone(),
        create_time: Some(wire_time(stored.created_at)),
        revoke_time: stored.archived.then(|| wire_time(stored.updated_at)),
    }
}
