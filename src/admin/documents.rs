//! What is the same for every kind of document: one function makes it, one changes it, one archives it.

use std::sync::Arc;

use super::edit::Edit;
use super::{Admin, Principal};
use crate::domain::catalogue::Catalogue;
use crate::domain::condition::Condition;
use crate::domain::metric::Metric;
use crate::domain::stored::Stored;
use crate::domain::violation::Checks;
use crate::error::{Error, Result};
use crate::live::InForce;
use crate::store::change::Kept;

/// A kind of document that is made, changed and archived by [`Admin`].
///
/// The hooks see the change in the making with the document already in it. They refuse it, or add what is written with it.
pub trait Administered: Kept {
    /// Whether one that was archived may be made again under its key.
    const RETURNS: bool = false;

    /// Its conditions that are in use or will be, each with its path.
    fn conditions(&self) -> Vec<(String, &Condition)> {
        Vec::new()
    }

    /// The document at the time when all its conditions are in use.
    #[must_use]
    fn in_full_use(&self) -> Self {
        self.clone()
    }

    /// Another kind of document that has the key, where both share a space of names.
    #[must_use]
    fn namesake(_: &Catalogue, _: &str) -> Option<&'static str> {
        None
    }

    /// Fills in what is not the caller's to say. `before` is what is stored, if anything is.
    fn settle(&mut self, _: &Edit, _before: Option<&Self>) -> Result<()> {
        Ok(())
    }

    /// It is made.
    fn made(&self, _: &mut Edit) -> Result<()> {
        Ok(())
    }

    /// It is changed.
    fn changed(&self, _: &mut Edit, _before: &Self) -> Result<()> {
        Ok(())
    }

    /// It is taken out of use.
    fn archived(&self, _: &mut Edit) -> Result<()> {
        Ok(())
    }
}

impl Admin {
    /// Makes a document.
    pub async fn create<T: Administered>(&self, actor: &Principal, document: T) -> Result<Arc<Stored<T>>> {
        let mut edit = self.edit(actor, format!("create_{}", T::KIND)).await;
        let key = document.key().to_owned();
        edit.create(document)?;
        let in_force = edit.commit().await?;
        stored_in(&in_force, &key)
    }

    /// Changes a document that was read at a revision.
    pub async fn update<T: Administered>(
        &self,
        actor: &Principal,
        document: T,
        revision: i64,
    ) -> Result<Arc<Stored<T>>> {
        let mut edit = self.edit(actor, format!("update_{}", T::KIND)).await;
        let key = document.key().to_owned();
        edit.update(document, revision)?;
        let in_force = edit.commit().await?;
        stored_in(&in_force, &key)
    }

    /// Takes a document that was read at a revision out of use for good.
    pub async fn archive<T: Administered>(
        &self,
        actor: &Principal,
        key: &str,
        revision: i64,
    ) -> Result<Arc<Stored<T>>> {
        let mut edit = self.edit(actor, format!("archive_{}", T::KIND)).await;
        edit.archive::<T>(key, revision)?;
        let in_force = edit.commit().await?;
        stored_in(&in_force, key)
    }
}

impl Edit {
    /// Makes a document.
    pub(super) fn create<T: Administered>(&mut self, mut document: T) -> Result<()> {
        document.settle(self, None)?;
        document.check()?;
        let key = document.key().to_owned();
        let before = T::shelf(self.catalogue()).get(&key).cloned();
        let (gone, taken) = match before {
            Some(before) if T::RETURNS && before.archived => (Some(before), None),
            before => (None, before.map(|_| T::KIND)),
        };
        if let Some(kind) = taken.or_else(|| T::namesake(self.catalogue(), &key)) {
            return Err(Error::AlreadyExists { kind, key });
        }
        self.put(match gone {
            Some(gone) => Stored { archived: false, ..gone.changed(document.clone(), self.now()) },
            None => Stored::new(document.clone(), self.now()),
        });
        self.refers(&document);
        document.made(self)
    }

    /// Changes a document that was read at a revision.
    pub(super) fn update<T: Administered>(&mut self, mut document: T, revision: i64) -> Result<()> {
        let stored = self.current::<T>(document.key(), revision)?;
        document.settle(self, Some(&stored.document))?;
        document.check()?;
        self.put(stored.changed(document.clone(), self.now()));
        self.refers(&document);
        document.changed(self, &stored.document)
    }

    /// Takes a document that was read at a revision out of use for good.
    pub(super) fn archive<T: Administered>(&mut self, key: &str, revision: i64) -> Result<()> {
        let stored = self.current::<T>(key, revision)?;
        let mut archived = stored.changed(stored.document.clone(), self.now());
        archived.archived = true;
        self.put(archived);
        stored.document.archived(self)
    }

    /// What a document refers to is to be there when the change is complete.
    pub(super) fn refers<T: Administered>(&mut self, document: &T) {
        let now = self.now();
        self.pending.refers(document, now);
    }
}

/// Live launches keep the revision of a metric that they began with, so that nothing is to be done for them.
impl Administered for Metric {}

/// A document as it is in force.
pub(super) fn stored_in<T: Kept>(in_force: &InForce, key: &str) -> Result<Arc<Stored<T>>> {
    let stored = T::shelf(&in_force.catalogue).get(key);
    stored.cloned().ok_or_else(|| Error::NotFound { kind: T::KIND, key: key.to_owned() })
}

/// Notes a violation when a field that never changes was changed.
pub(super) fn check_fixed<T: PartialEq>(checks: &mut Checks, field: &str, stored: &T, given: &T) {
    checks.require(stored == given, field, "can not be changed any more");
}

/// Notes a violation for each key of a list that names no document.
pub(super) fn check_known<T: Kept>(checks: &mut Checks, edit: &Edit, field: &str, keys: &[String]) {
    for (index, key) in keys.iter().enumerate() {
        let known = T::shelf(edit.catalogue()).contains_key(key);
        checks.require(known, format!("{field}[{index}]"), format!("there is no {} `{key}`", T::KIND));
    }
}
