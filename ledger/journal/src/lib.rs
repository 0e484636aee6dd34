//! The journal record: what the ledger commits, ships to Kafka and what batch clearing recomputes everything from.
//!
//! A record's bytes are written once and never rewritten; the codec is versioned and each version has golden bytes.
//! Records of one shard are numbered from 1 without gaps, and each carries the hash of the one before it (invariant L5).
#![forbid(unsafe_code)]

mod chain;
mod codec;
mod record;

pub use chain::{ChainFault, ChainHash, ChainPosition};
pub use codec::{DecodeFault, VERSION};
pub use record::{Event, EvidenceDigest, JournalRecord};
