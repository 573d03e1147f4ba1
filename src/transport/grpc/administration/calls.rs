//! The calls that every kind of document has. `take` and `wrap` are what differs: where the request has the document, and
//! where the answer does.

use tonic::metadata::MetadataMap;
use tonic::{Request, Response};

use super::{Administration, Answer};
use crate::admin::Principal;
use crate::domain::stored::Document;
use crate::error::{Error, Result};
use crate::transport::grpc::convert::{page_size, required};
use crate::transport::grpc::documents::DocumentMessage;

/// Metadata that names the caller.
pub const PRINCIPAL: &str = "portcullis-principal";
/// The caller's name where none is given.
const ANONYMOUS: &str = "anonymous";
/// Most bytes in a caller's name.
const MAX_PRINCIPAL_BYTES: usize = 256;

/// What a list is asked for: page size, page token, and whether archived ones are wanted.
pub(super) type Paging = (i32, String, bool);

impl Administration {
    pub(super) async fn create<Q, M: DocumentMessage, A>(
        &self,
        request: Request<Q>,
        take: impl FnOnce(Q) -> Option<M>,
        wrap: impl FnOnce(Option<M>) -> A,
    ) -> Answer<A> {
        let actor = principal(request.metadata())?;
        let (document, _) = required(M::Document::KIND, take(request.into_inner()))?.read()?;
        let stored = self.admin.create(&actor, document).await?;
        Ok(Response::new(wrap(Some(M::sent(&stored)))))
    }

    pub(super) fn get<Q, M: DocumentMessage, A>(
        &self,
        request: Request<Q>,
        take: impl FnOnce(Q) -> String,
        wrap: impl FnOnce(Option<M>) -> A,
    ) -> Answer<A> {
        let stored = self.admin.get::<M::Document>(&take(request.into_inner()))?;
        Ok(Response::new(wrap(Some(M::sent(&stored)))))
    }

    pub(super) fn list<Q, M: DocumentMessage, A>(
        &self,
        request: Request<Q>,
        take: impl FnOnce(Q) -> Paging,
        wrap: impl FnOnce(Vec<M>, String) -> A,
    ) -> Answer<A> {
        let (size, token, archived) = take(request.into_inner());
        let page = self.admin.list::<M::Document>(&token, page_size(size)?, archived);
        let documents = page.entries.iter().map(|stored| M::sent(stored)).collect();
        Ok(Response::new(wrap(documents, page.next.unwrap_or_default())))
    }

    pub(super) async fn update<Q, M: DocumentMessage, A>(
        &self,
        request: Request<Q>,
        take: impl FnOnce(Q) -> Option<M>,
        wrap: impl FnOnce(Option<M>) -> A,
    ) -> Answer<A> {
        let actor = principal(request.metadata())?;
        let (document, revision) = required(M::Document::KIND, take(request.into_inner()))?.read()?;
        let stored = self.admin.update(&actor, document, revision).await?;
        Ok(Response::new(wrap(Some(M::sent(&stored)))))
    }

    pub(super) async fn archive<Q, M: DocumentMessage, A>(
        &self,
        request: Request<Q>,
        take: impl FnOnce(Q) -> (String, i64),
        wrap: impl FnOnce(Option<M>) -> A,
    ) -> Answer<A> {
        let actor = principal(request.metadata())?;
        let (key, revision) = take(request.into_inner());
        let stored = self.admin.archive::<M::Document>(&actor, &key, revision).await?;
        Ok(Response::new(wrap(Some(M::sent(&stored)))))
    }
}

/// The caller's name, if one is given.
pub(in crate::transport::grpc) fn named_principal(metadata: &MetadataMap) -> Result<Option<Principal>> {
    let Some(value) = metadata.get(PRINCIPAL) else {
        return Ok(None);
    };
    let name = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|name| !name.is_empty() && name.len() <= MAX_PRINCIPAL_BYTES);
    let message = || format!("must be 1 to {MAX_PRINCIPAL_BYTES} bytes of ASCII text");
    name.map(|name| Some(Principal(name.to_owned()))).ok_or_else(|| Error::field(PRINCIPAL, message()))
}

/// The caller's name.
pub(in crate::transport::grpc) fn principal(metadata: &MetadataMap) -> Result<Principal> {
    Ok(named_principal(metadata)?.unwrap_or_else(|| Principal(ANONYMOUS.to_owned())))
}
