//! What is written in the group a shard is moved to, before it is open there.
//!
//! Written in small transactions, each of which leaves in the shard's row how far the move has come, so that it goes on from
//! there. The journal comes before what points into it: orders of other shards that meet a key which is being brought find
//! what it stands for.

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::ShardId;

use super::clearing::{Clearing, Emptying};
use super::end::{End, Parameter, Standing};
use super::piece::Piece;
use super::{MoveFault, Telling};
use crate::store::StoreFault;
use crate::store::postgres::digest::Digest;
use crate::store::postgres::frame::{records, signed, unsigned};
use crate::store::postgres::reader::column;

/// Rows of the books that are brought at a time, of 150 bytes or so each.
const ROWS: i64 = 5_000;
/// Of a shard whose rows are not all there yet.
const NOT_WHOLE: i64 = -1;

const ARRIVE: &str = "INSERT INTO shard (shard, epoch, sequence, flushed, state, arrives_from) \
     VALUES ($1, 0, 0, -1, '', $2) ON CONFLICT (shard) DO UPDATE \
     SET sequence = 0, flushed = -1, state = '', moved_to = NULL, left_at = NULL, arrives_from = excluded.arrives_from";

const LAST_FRAME: &str = "SELECT items FROM frame WHERE shard = $1 AND last = $2";

const HELD: &str = "SELECT key, value FROM held WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3";
const COUNT_HELD: &str = "SELECT count(*) FROM held WHERE key > $1 AND key < $2";
const WRITE_HELD: &str = "INSERT INTO held (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const WRITE_FRAMES: &str = "INSERT INTO frame (shard, first, last, items, rows, evidence) \
     SELECT $1::int2, new.* FROM unnest($2::int8[], $3::int8[], $4::bytea[], $5::bytea[], $6::bytea[]) AS new";

const NEW: &str = "FROM unnest($1::uuid[], $2::bool[], $3::int8[], $4::int8[], $5::int4[], $6::int4[]) \
     AS new (key, is_hopped, sequence, returned, place, length)";

/// How far the move has come.
const COME: &str = "UPDATE shard SET sequence = $3, flushed = $4 WHERE shard = $1 AND sequence = $2 \
     AND arrives_from IS NOT NULL";

/// A shard that is being brought into a group.
pub(super) struct Arrival {
    pub(super) shard: ShardId,
    /// The journal is there up to this.
    pub(super) position: ChainPosition,
    /// The rows are there as groups up to this record left them.
    pub(super) flushed: i64,
}

/// The keys of a shard's rows lie between these.
pub(super) fn rows_between(shard: ShardId) -> [Vec<u8>; 2] {
    [vec![shard.number()], vec![shard.number() + 1]]
}

impl Arrival {
    /// Goes on from what an earlier attempt left, where that is whole; begins anew where it is not.
    pub(super) fn begin(
        (from, to): (&End, &End),
        shard: ShardId,
        telling: &mut Telling<'_>,
    ) -> Result<Self, MoveFault> {
        let standing = to.standing(shard)?;
        if let Some(standing) = &standing {
            if standing.is_here() {
                return Err(MoveFault::Foreign {
                    group: to.name().to_owned(),
                    source: StoreFault::Inconsistent("the shard lives in both groups"),
                });
            }
            if let Some(arrival) = Self::left(from, to, shard, standing)? {
                return Ok(arrival);
            }
            Clearing::new(to, shard, Emptying::BeforeItArrives).run(telling)?;
        }
        to.execute(ARRIVE, &[&i16::from(shard.number()), &from.name()])?;
        let mut arrival = Self {
            shard,
            position: ChainPosition::start(shard),
            flushed: NOT_WHOLE,
        };
        arrival.bring_rows(from, to, telling)?;
        Ok(arrival)
    }

    /// What there is of an arrival, if it can be gone on with.
    pub(super) fn left(from: &End, to: &End, shard: ShardId, standing: &Standing) -> Result<Option<Self>, MoveFault> {
        if !standing.arrives_from(from.name()) || standing.flushed == NOT_WHOLE {
            return Ok(None);
        }
        let mut position = ChainPosition::start(shard);
        if standing.sequence > 0 {
            let wanted: [Parameter<'_>; 2] = [&i16::from(shard.number()), &standing.sequence];
            let (here, there) = (to.rows(LAST_FRAME, &wanted)?, from.rows(LAST_FRAME, &wanted)?);
            let (Some(here), Some(there)) = (here.first(), there.first()) else {
                return Ok(None);
            };
            let items = |row| column::<&[u8]>(row, 0).map_err(MoveFault::Content);
            // the chain makes one what is before it too
            if items(here)? != items(there)? {
                return Ok(None);
            }
            let last = records(items(here)?).map_err(MoveFault::Content)?.pop();
            position.sequence = unsigned(standing.sequence).map_err(MoveFault::Content)?;
            position.head = last.map_or(ChainHash::START, ChainHash::of);
        }
        Ok(Some(Self {
            shard,
            position,
            flushed: standing.flushed,
        }))
    }

    /// Every row, each as it stands when it is read: as groups up to `flushed` left it, or newer ones, which follow.
    fn bring_rows(&mut self, from: &End, to: &End, telling: &mut Telling<'_>) -> Result<(), MoveFault> {
        let shard = i16::from(self.shard.number());
        let standing = from.standing(self.shard)?.ok_or(MoveFault::NotHere)?;
        let [mut after, end] = rows_between(self.shard);
        let rows: i64 = column(&from.row(COUNT_HELD, &[&after, &end])?, 0).map_err(MoveFault::Content)?;
        telling.begin(super::MoveStep::Copying, rows.saturating_add(standing.sequence));
        loop {
            telling.go_on()?;
            let rows = from.rows(HELD, &[&after, &end, &ROWS])?;
            let Some(last) = rows.last() else { break };
            let mut columns = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
            for row in &rows {
                columns.0.push(column::<&[u8]>(row, 0).map_err(MoveFault::Content)?);
                columns.1.push(column::<&[u8]>(row, 1).map_err(MoveFault::Content)?);
            }
            to.execute(WRITE_HELD, &[&columns.0, &columns.1])?;
            telling.tell(rows.len());
            after = column(last, 0).map_err(MoveFault::Content)?;
        }
        self.flushed = standing.flushed;
        let come: [Parameter<'_>; 4] = [&shard, &0_i64, &0_i64, &self.flushed];
        only_one(to.execute(COME, &come)?)
    }

    /// A piece of the journal, in a transaction of its own.
    pub(super) fn bring(&mut self, to: &mut End, piece: &Piece) -> Result<(), MoveFault> {
        to.batch("BEGIN")?;
        self.write(to, piece)?;
        to.commit()
    }

    /// In the transaction that is open.
    pub(super) fn write(&mut self, to: &End, piece: &Piece) -> Result<(), MoveFault> {
        let shard = i16::from(self.shard.number());
        self.write_frames(to, piece)?;
        self.write_transfers(to, piece)?;
        if !piece.rows.is_empty() {
            let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = piece
                .rows
                .iter()
                .map(|(key, value)| (key.as_slice(), value.as_slice()))
                .unzip();
            to.execute(WRITE_HELD, &[&keys, &values])?;
        }
        let before = signed(self.position.sequence).map_err(MoveFault::Content)?;
        let last = signed(piece.position.sequence).map_err(MoveFault::Content)?;
        let flushed = self.flushed.max(last);
        only_one(to.execute(COME, &[&shard, &before, &last, &flushed])?)?;
        self.position = piece.position;
        self.flushed = flushed;
        Ok(())
    }

    fn write_frames(&self, to: &End, piece: &Piece) -> Result<(), MoveFault> {
        let mut firsts: Vec<i64> = Vec::new();
        let mut lasts: Vec<i64> = Vec::new();
        let mut parts: [Vec<&[u8]>; 3] = Default::default();
        for frame in &piece.frames {
            firsts.push(column(frame, 0).map_err(MoveFault::Content)?);
            lasts.push(column(frame, 1).map_err(MoveFault::Content)?);
            for (place, part) in (2..).zip(&mut parts) {
                part.push(column(frame, place).map_err(MoveFault::Content)?);
            }
        }
        let [items, rows, evidence] = &parts;
        let shard = i16::from(self.shard.number());
        to.execute(WRITE_FRAMES, &[&shard, &firsts, &lasts, items, rows, evidence])?;
        Ok(())
    }

    fn write_transfers(&self, to: &End, piece: &Piece) -> Result<(), MoveFault> {
        let before = signed(self.position.sequence).map_err(MoveFault::Content)?;
        let columns = Columns::of(piece, |sequence| sequence <= before);
        let shard = i16::from(self.shard.number());
        if !columns.digests.is_empty() {
            let changed: [Parameter<'_>; 4] = [&columns.digests, &columns.hopped, &columns.returned, &shard];
            to.execute(
                "UPDATE transfer SET returned = changed.returned \
                 FROM unnest($1::uuid[], $2::bool[], $3::int8[]) AS changed (key, is_hopped, returned) \
                 WHERE transfer.key = changed.key AND transfer.is_hopped = changed.is_hopped AND transfer.shard = $4::int2",
                &changed,
            )?;
        }
        // a row that was replaced meanwhile is brought with the record that says so
        let last = signed(piece.position.sequence).map_err(MoveFault::Content)?;
        let columns = Columns::of(piece, |sequence| before < sequence && sequence <= last);
        if columns.digests.is_empty() {
            return Ok(());
        }
        let own = i16::from(self.shard.number()) + 1;
        let new: [Parameter<'_>; 7] = [
            &columns.digests,
            &columns.hopped,
            &columns.sequences,
            &columns.returned,
            &columns.places,
            &columns.lengths,
            &shard,
        ];
        let columns_of = "(key, is_hopped, sequence, returned, place, length, shard, also)";
        let added = to.execute(
            &format!("INSERT INTO transfer {columns_of} SELECT new.*, $7::int2, 0 {NEW} ON CONFLICT DO NOTHING"),
            &new,
        )?;
        if usize::try_from(added) == Ok(columns.digests.len()) {
            return Ok(());
        }
        // rows of the shard itself that were replaced
        let replaced = format!(
            "UPDATE transfer SET sequence = new.sequence, place = new.place, length = new.length {NEW} \
             WHERE transfer.key = new.key AND transfer.is_hopped = new.is_hopped AND transfer.shard = $7::int2 \
             AND transfer.sequence < new.sequence"
        );
        to.execute(&replaced, &new)?;
        // keys that another shard here has
        let statement = format!(
            "INSERT INTO transfer {columns_of} SELECT new.*, $7::int2, {own} {NEW} WHERE NOT EXISTS ( \
             SELECT FROM transfer WHERE transfer.key = new.key AND transfer.is_hopped = new.is_hopped \
             AND transfer.shard = $7::int2)"
        );
        to.execute(&statement, &new)?;
        Ok(())
    }
}

/// Transfers of a piece, column by column.
#[derive(Default)]
struct Columns {
    digests: Vec<Digest>,
    hopped: Vec<bool>,
    sequences: Vec<i64>,
    returned: Vec<i64>,
    places: Vec<i32>,
    lengths: Vec<i32>,
}

impl Columns {
    fn of(piece: &Piece, is_wanted: impl Fn(i64) -> bool) -> Self {
        let mut columns = Self::default();
        for kept in piece.transfers.iter().filter(|kept| is_wanted(kept.sequence)) {
            columns.digests.push(kept.digest);
            columns.hopped.push(kept.is_hopped);
            columns.sequences.push(kept.sequence);
            columns.returned.push(kept.returned);
            columns.places.push(kept.place);
            columns.lengths.push(kept.length);
        }
        columns
    }
}

/// The shard's row, as it was left.
pub(super) fn only_one(touched: u64) -> Result<(), MoveFault> {
    if touched == 1 {
        Ok(())
    } else {
        Err(MoveFault::TakenByAnother)
    }
}
