//! The configuration as each key gets it, made once for each of its revisions, since every SDK asks every few seconds.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;

use super::access::Caller;
use super::names::Names;
use super::scope::{Scoped, scoped};
use super::write::{Heading, write_v1, write_v2};
use crate::engine::compile::compile;
use crate::engine::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::live::InForce;

/// Which of the two JSON forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// With lists.
    V1,
    /// With maps.
    V2,
}

/// A configuration as one key gets it.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) scoped: Scoped,
    heading: Heading,
    snapshot: OnceLock<Snapshot>,
    names: OnceLock<Names>,
    v1: OnceCell<Rendered>,
    v2: OnceCell<Rendered>,
}

/// One of its JSON forms. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    pub(super) json: Bytes,
    pub(super) gzip: Bytes,
}

/// Projects by the id of their key.
#[derive(Debug, Default)]
pub(super) struct Projects {
    by_key: Mutex<HashMap<String, Made>>,
}

/// A project that is made once, at its revision.
#[derive(Clone, Debug)]
struct Made {
    revision: i64,
    project: Arc<OnceCell<Arc<Project>>>,
}

impl Projects {
    /// The project of a key, as it is in force.
    pub(super) async fn of(&self, in_force: &Arc<InForce>, caller: &Caller) -> Result<Arc<Project>> {
        let revision = in_force.catalogue.revision;
        let cell = {
            let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            // What was made of earlier revisions goes, that of revoked keys too.
            by_key.retain(|_, made| made.revision >= revision);
            let empty = || Made { revision, project: Arc::default() };
            let made = by_key.entry(caller.key.document.id.clone()).or_insert_with(empty);
            Arc::clone(&made.project)
        };
        let make = || {
            let (in_force, caller) = (Arc::clone(in_force), caller.clone());
            away(move || Ok(Arc::new(Project::new(&in_force, &caller))))
        };
        cell.get_or_try_init(make).await.cloned()
    }
}

impl Project {
    fn new(in_force: &InForce, caller: &Caller) -> Self {
        Self {
            scoped: scoped(&in_force.ruleset, &in_force.snapshot, &caller.key.document),
            heading: Heading {
                changed_at: in_force.catalogue.changed_at,
                environment: caller.key.document.environment.clone(),
                secret: caller.secret.clone(),
            },
            snapshot: OnceLock::new(),
            names: OnceLock::new(),
            v1: OnceCell::new(),
            v2: OnceCell::new(),
        }
    }

    /// When it was changed; grows with every revision.
    pub(super) fn changed_at(&self) -> i64 {
        self.heading.changed_at.0
    }

    /// The compiled form. It takes long the first time.
    pub(super) fn snapshot(&self) -> &Snapshot {
        self.snapshot.get_or_init(|| compile(&self.scoped.ruleset))
    }

    /// Finds the names of what may be seen.
    pub(super) fn names(&self) -> &Names {
        let ruleset = &self.scoped.ruleset;
        let names = || ruleset.gates.keys().chain(ruleset.configs.keys()).chain(ruleset.layers.keys());
        self.names.get_or_init(|| Names::new(names()))
    }

    /// One of its JSON forms.
    pub(super) async fn rendered(self: &Arc<Self>, dialect: Dialect) -> Result<Rendered> {
        let cell = match dialect {
            Dialect::V1 => &self.v1,
            Dialect::V2 => &self.v2,
        };
        let render = || {
            let project = Arc::clone(self);
            away(move || project.render(dialect))
        };
        cell.get_or_try_init(render).await.cloned()
    }

    fn render(&self, dialect: Dialect) -> Result<Rendered> {
        let json = match dialect {
            Dialect::V1 => serde_json::to_vec(&write_v1(&self.scoped.ruleset, &self.heading)),
            Dialect::V2 => serde_json::to_vec(&write_v2(&self.scoped.ruleset, &self.heading)),
        };
        let json = json.map_err(Error::internal)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&json).map_err(Error::internal)?;
        let gzip = gzip.finish().map_err(Error::internal)?;
        Ok(Rendered { json: json.into(), gzip: gzip.into() })
    }
}

/// Computes where it keeps no other call waiting.
async fn away<T: Send + 'static>(compute: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(compute).await.map_err(Error::internal)?
}
