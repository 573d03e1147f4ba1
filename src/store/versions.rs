//! Earlier revisions of metrics, from the audit rows, which keep documents whole.

use serde::Deserialize;
use sqlx::Row;

use super::Store;
use crate::domain::metric::Metric;
use crate::domain::stored::Stored;
use crate::domain::time::Timestamp;
use crate::error::{Error, Result};

/// One revision of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricVersion {
    /// The metric as it was; changed when the revision was made.
    pub stored: Stored<Metric>,
    /// Who made it.
    pub actor: String,
}

/// What an audit row keeps of a metric.
#[derive(Deserialize)]
struct Entry {
    revision: i64,
    archived: bool,
    document: Metric,
}

impl Store {
    /// Every revision of a metric, newest first.
    pub async fn metric_versions(&self, key: &str) -> Result<Vec<MetricVersion>> {
        // Keys have no characters that stand for others but `_`, and what that lets through is sorted out below.
        let query = sqlx::query(
            "select at, actor, detail from audit
             where detail like '%\"kind\":\"metric\"%' and detail like $1 order by seq",
        );
        let rows = self.database.all(query.bind(format!("%\"key\":\"{key}\"%"))).await?;
        let mut versions = Vec::new();
        let mut created_at = None;
        for row in rows {
            let at = Timestamp(row.try_get("at")?);
            let actor: String = row.try_get("actor")?;
            let detail: Vec<serde_json::Value> =
                serde_json::from_str(row.try_get("detail")?).map_err(Error::internal)?;
            for entry in detail.into_iter().filter(|entry| is_of(entry, key)) {
                let Entry { revision, archived, document } =
                    serde_json::from_value(entry).map_err(Error::internal)?;
                let created_at = *created_at.get_or_insert(at);
                let stored = Stored { document, revision, archived, created_at, updated_at: at };
                versions.push(MetricVersion { stored, actor: actor.clone() });
            }
        }
        versions.reverse();
        Ok(versions)
    }
}

fn is_of(entry: &serde_json::Value, key: &str) -> bool {
    let text = |name: &str| entry.get(name).and_then(serde_json::Value::as_str);
    let document_key = entry.get("document").and_then(|document| document.get("key"));
    text("kind") == Some("metric") && document_key.and_then(serde_json::Value::as_str) == Some(key)
}
