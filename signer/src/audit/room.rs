//! Room in the log for uses of a private key: what has to be had before a key is used.

use std::sync::Arc;

use super::digest::Digest;
use super::state::Shared;
use super::uses::Use;
use super::writer::Clock;

/// So many uses will be recorded. Room that is not used goes back when this is dropped.
#[must_use = "a key may be used while this is held"]
pub struct Room {
    log: Option<(Arc<Shared>, Clock)>,
    left: usize,
}

impl Room {
    pub(crate) const fn of(shared: Arc<Shared>, clock: Clock, uses: usize) -> Self {
        Self {
            log: Some((shared, clock)),
            left: uses,
        }
    }

    /// Without a log there is room for everything.
    pub(crate) const fn without_log() -> Self {
        Self { log: None, left: 0 }
    }

    /// Notes what the key was used for, for whom: a digest for each use. More than there is room for are not noted: that
    /// is a defect of the caller's, which the log names.
    pub fn note(&mut self, operation: Use, key: &Arc<str>, uses: &[(Arc<str>, Digest)]) {
        let Some((shared, clock)) = &self.log else {
            return;
        };
        if uses.len() > self.left {
            tracing::error!("more uses of a key than there was room for in the audit log");
        }
        let uses = uses.get(..uses.len().min(self.left)).unwrap_or_default();
        if uses.is_empty() {
            return;
        }
        let now = clock();
        shared.note(uses.len(), |noted| {
            for (caller, digest) in uses {
                noted.add(operation, key, caller, now, *digest);
            }
        });
        self.left -= uses.len();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let (Some((shared, _)), true) = (&self.log, self.left > 0) {
            shared.give_back(self.left);
        }
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Room({})", self.left)
    }
}
