//! Batch clearing: the copy of the ledger's journals in PostgreSQL, and the night's work on it.
//!
//! What decides about money takes values and returns values ([`netting`], [`audit`], [`figures`], [`matching`],
//! [`notice_check`], [`statement`]'s readers); everything else brings it its values. Nothing here touches the live path:
//! the ledger is only ever asked for its positions and its committed journal.
#![forbid(unsafe_code)]

pub mod audit;
pub mod catch_up;
pub mod chunk;
pub mod clock;
pub mod closing;
pub mod command;
pub mod command_line;
pub mod compare;
pub mod config;
mod copy_rows;
pub mod database;
mod event_rows;
pub mod figures;
pub mod ledger_positions;
pub mod matching;
pub mod net;
pub mod netting;
pub mod night;
pub mod night_step;
pub mod notice_check;
mod partition;
pub mod progress;
pub mod reconcile;
pub mod replicate;
pub mod report;
#[cfg(test)]
mod sample;
pub mod schema;
pub mod shard_writer;
pub mod shown;
pub mod source;
pub mod statement;
mod table_rows;
mod text_table;
