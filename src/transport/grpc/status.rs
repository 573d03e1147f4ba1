//! From our errors to gRPC statuses with details.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::Error;
use crate::transport::RETRY_AFTER;

/// The domain of our error details.
const DOMAIN: &str = "portcullis";

/// The end of a stream that is to be taken up again from a cursor.
pub(super) fn resumable(code: Code, reason: &str, message: &str, cursor: i64) -> Status {
    let metadata = HashMap::from([("cursor".to_owned(), cursor.to_string())]);
    let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    let message = format!("{message}; take the stream up again from cursor {cursor}");
    Status::with_error_details(code, message, details)
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let mut details = ErrorDetails::new();
        let code = match error {
            Error::Invalid(invalid) => {
                for violation in invalid.0 {
                    details.add_bad_request_violation(violation.field, violation.message);
                }
                Code::InvalidArgument
            }
            Error::NotFound { kind, key } => {
                details.set_resource_info(kind, key, "", "not found");
                Code::NotFound
            }
            Error::AlreadyExists { kind, key } => {
                details.set_resource_info(kind, key, "", "exists already");
                Code::AlreadyExists
            }
            Error::Conflict { kind, key, given, found } => {
                let metadata = [("given", given), ("found", found)];
                let mut metadata: HashMap<String, String> =
                    metadata.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
                metadata.insert(kind.to_owned(), key);
                details.set_error_info("REVISION_CONFLICT", DOMAIN, metadata);
                Code::Aborted
            }
            Error::Refused { decision, reasons } => {
                for reason in reasons {
                    let subject = reason.metric.or(reason.arm).unwrap_or_else(|| "launch".to_owned());
                    details.add_precondition_failure_violation(
                        format!("{:?}", reason.code),
                        subject,
                        reason.message,
                    );
                }
                let metadata = HashMap::from([("decision".to_owned(), decision.to_string())]);
                details.set_error_info("REFUSED_BY_GUARD", DOMAIN, metadata);
                Code::FailedPrecondition
            }
            Error::WrongState(_) => Code::FailedPrecondition,
            Error::Unavailable(_) => {
                details.set_retry_info(Some(RETRY_AFTER));
                Code::Unavailable
            }
            Error::Internal(cause) => {
                tracing::error!(%cause, "a call failed");
                Code::Internal
            }
        };
        Self::with_error_details(code, message, details)
    }
}
