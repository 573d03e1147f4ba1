//! Who acts for the guard, as this server last knew it.

use tokio::time::Instant;

use crate::store::lease::{Fence, Lease};

/// Who acts for the guard. It is what was last heard; a write is checked against the lease itself.
#[derive(Clone, Debug, Default)]
pub struct Leadership {
    /// The lease as it was last seen; none before the store has answered.
    pub lease: Option<Lease>,
    /// Until when this server holds it; none where it does not.
    pub own_until: Option<Instant>,
}

impl Leadership {
    /// The number under which this server acts; none while it does not.
    #[must_use]
    pub fn leads(&self) -> Option<Fence> {
        let until = self.own_until?;
        self.lease.as_ref().filter(|_| Instant::now() < until).map(|lease| lease.fence)
    }
}
