//! What a shard left behind where it does not live is deleted, a little at a time. Every statement makes sure that the shard
//! does not live there. Its row stays, as a signpost.

use ledger_model::ShardId;

use super::arrival::rows_between;
use super::end::{End, Parameter};
use super::piece::decided_in;
use super::{MoveFault, MoveStep, Telling};
use crate::store::postgres::reader::column;

/// Bytes of journal whose transfers are deleted at a time.
const PIECE_BYTES: i64 = 256 << 10;
const ROWS: i64 = 2_000;

const FRAMES: &str = "SELECT first, last, items FROM ( \
     SELECT first, last, items, sum(octet_length(items)) OVER (ORDER BY last) - octet_length(items) AS before \
     FROM (SELECT first, last, items FROM frame WHERE shard = $1 ORDER BY last LIMIT 256) AS frame \
     ) AS frame WHERE before < $2 ORDER BY last";

const NOT_HERE: &str =
    "EXISTS (SELECT FROM shard WHERE shard = $1 AND (moved_to IS NOT NULL OR arrives_from IS NOT NULL))";

/// Why it is deleted: which step of the move that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptying {
    /// It left, and is open where it went.
    AfterItLeft,
    /// An earlier attempt broke off, or it was here once.
    BeforeItArrives,
}

pub(super) struct Clearing<'a> {
    at: &'a End,
    shard: ShardId,
    emptying: Emptying,
}

impl<'a> Clearing<'a> {
    pub(super) const fn new(at: &'a End, shard: ShardId, emptying: Emptying) -> Self {
        Self { at, shard, emptying }
    }

    pub(super) fn run(&self, telling: &mut Telling<'_>) -> Result<(), MoveFault> {
        let standing = self.at.standing(self.shard)?;
        let records = standing.map_or(0, |standing| standing.sequence);
        let step = match self.emptying {
            Emptying::AfterItLeft => MoveStep::Clearing,
            Emptying::BeforeItArrives => MoveStep::Copying,
        };
        telling.begin(step, records);
        self.rows("open_hop", telling)?;
        self.journal(telling)?;
        self.rows("held", telling)
    }

    /// Transfers are found by what their journal says.
    fn journal(&self, telling: &mut Telling<'_>) -> Result<(), MoveFault> {
        let shard = i16::from(self.shard.number());
        let delete = format!(
            "WITH gone AS (DELETE FROM transfer WHERE key = ANY ($2::uuid[]) AND shard = $1 AND {NOT_HERE}) \
             DELETE FROM frame WHERE shard = $1 AND last <= $3 AND {NOT_HERE}"
        );
        loop {
            telling.go_on()?;
            let frames = self.at.rows(FRAMES, &[&shard, &PIECE_BYTES])?;
            let Some(last) = frames.last() else {
                return Ok(());
            };
            let last: i64 = column(last, 1).map_err(MoveFault::Content)?;
            let mut digests = Vec::new();
            for frame in &frames {
                digests.extend(column(frame, 2).and_then(decided_in).map_err(MoveFault::Content)?);
            }
            digests.sort_unstable();
            let wanted: [Parameter<'_>; 3] = [&shard, &digests, &last];
            if self.at.execute(&delete, &wanted)? == 0 {
                return Err(MoveFault::TakenByAnother);
            }
            telling.come_to(last);
        }
    }

    /// By ranges of their keys.
    fn rows(&self, table: &str, telling: &mut Telling<'_>) -> Result<(), MoveFault> {
        let shard = i16::from(self.shard.number());
        let [from, to] = rows_between(self.shard);
        let delete = format!(
            "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE key > $2 AND key < $3 \
             ORDER BY key LIMIT $4) AND {NOT_HERE}"
        );
        let wanted: [Parameter<'_>; 4] = [&shard, &from, &to, &ROWS];
        while self.at.execute(&delete, &wanted)? > 0 {
            telling.go_on()?;
        }
        Ok(())
    }
}
