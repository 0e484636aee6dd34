//! The audit log: a record of every use of a private key, every reveal, every change of keys and every refusal, which
//! nobody can quietly change.
//!
//! ```text
//!  workers ── uses ────────▶ ┐  bounded        ┌──▶ audit-000000000001.jsonl   file … file
//!                            │  buffer ──▶ own │    audit-000000000731.jsonl   each line holds the
//!  reveals, changes, ──────▶ ┘             thread   hash of the one before it
//!  refusals      ◀── on the disk ──────────────┘
//! ```
//!
//! Invariants: (1) A use of a private key is noted before it is made, and is not made when there is no room for the note; notes
//! are in the file, synced, at most `sync_ms` later. (2) A reveal, a change of keys and a refusal are on the disk before they are answered. (3) When the
//! log cannot be written no key is used, until it can be again; what was used before stays in memory until it is
//! written. (4) A line is the SHA-256 of its text, which holds the hash of the line before: no record is altered, removed,
//! inserted or moved without breaking the chain from there on. (5) A seal is a signature over the head by a key of the
//! bank's, so the chain up to a seal cannot be computed anew by somebody who can merely write the file.
//!
//! What it cannot do: notice records missing at the very end, after the last head that somebody noted elsewhere; keep
//! the uses of the last `sync_ms` when the process is killed. No plaintext, secret, account number or body is in it: of what
//! was signed or opened it holds SHA-256 digests.

mod digest;
mod directory;
mod disk;
mod journal;
mod line;
mod log;
mod metrics;
mod record;
mod report;
mod seal;
mod settings;
mod show;
mod state;
mod uses;
mod verify;
mod writer;

pub use digest::Digest;
pub use directory::AuditFault;
pub use log::{Audit, Unwritable};
pub use record::{Event, KeyNote, Moment, Record};
pub use report::{Difference, KeyUses, Report};
pub use seal::{Seal, SealFault, Sealer, is_reserved};
pub use settings::AuditEntry;
pub use show::{Filter, show};
pub use uses::Use;
pub use verify::{Question, VerifyFault, files_of, verify};

#[cfg(test)]
mod made;
#[cfg(test)]
mod tests;
