//! Keys of SDKs: made with a secret that is told once, and revoked for good.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Admin, Administered, Principal};
use crate::clock::new_id;
use crate::domain::sdk_key::{SdkKey, SdkKeyKind, SecretHash};
use crate::domain::stored::Stored;
use crate::error::{Error, Result};

/// Random bytes of a secret.
const SECRET_BYTES: usize = 24;

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewSdkKey {
    /// Who may hold it.
    pub kind: SdkKeyKind,
    /// The environment that its holders run in.
    pub environment: String,
    /// Apps of its holders.
    pub target_apps: Vec<String>,
    /// What it is for.
    pub description: String,
}

/// A key is never changed, so that there is nothing to do beyond making and revoking it.
impl Administered for SdkKey {}

impl Admin {
    /// Makes a key, and gives it with its secret, which is not kept.
    pub async fn create_sdk_key(
        &self,
        actor: &Principal,
        new: NewSdkKey,
    ) -> Result<(Arc<Stored<SdkKey>>, String)> {
        let secret = new_secret(new.kind)?;
        let key = SdkKey {
            id: new_id(self.clock.now()).to_string(),
            kind: new.kind,
            environment: new.environment,
            target_apps: new.target_apps,
            description: new.description,
            secret: SecretHash::of(&secret),
        };
        let stored = self.create(actor, key).await?;
        Ok((stored, secret))
    }

    /// Revokes a key: from now on nobody is let in by it.
    pub async fn revoke_sdk_key(&self, actor: &Principal, id: &str) -> Result<Arc<Stored<SdkKey>>> {
        let revision = self.get::<SdkKey>(id)?.revision;
        self.archive(actor, id, revision).await
    }
}

fn new_secret(kind: SdkKeyKind) -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    let mut secret = kind.prefix().to_owned();
    for byte in bytes {
        write!(secret, "{byte:02x}").map_err(Error::internal)?;
    }
    Ok(secret)
}
