//! `net`: the net positions of a business date, audited as they are shown.
//!
//! Both the stored positions and the entries are read in one snapshot. The recomputation starts from the entries on the
//! network's clearing account, so it shares nothing with how the positions are kept but the entries themselves.

use ledger_model::{BusinessDate, InstitutionId, Invariant};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::audit::{self, Violation};
use crate::database::{self, DatabaseFault, Doing};
use crate::netting::{NetFault, NetKey, NetSums, Nets};

/// Net positions of a date. Also its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetReport {
    pub business_date: String,
    /// `open` or `closed`.
    pub state: String,
    pub batches: u64,
    pub transfers_posted: u64,
    pub transfers_refused: u64,
    /// Arrived after the date was closed; in no position.
    pub late_transfers: u64,
    pub positions: Vec<NetLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetLine {
    pub batch_id: String,
    pub institution: String,
    /// `bank`: this bank; `institution`: everyone else.
    pub role: String,
    pub currency: String,
    pub posted: i64,
    pub debit_minor: i64,
    pub credit_minor: i64,
    /// Credit less debit: positive when it is owed, negative when it owes.
    pub net_minor: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum NetReportFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error(transparent)]
    Net(#[from] NetFault),
    #[error("{}", violated(.0))]
    Violated(Vec<Violation>),
}

const STORED: &str = "SELECT batch_id, institution, currency, sum(posted)::bigint, sum(debit_minor)::bigint, \
     sum(credit_minor)::bigint FROM net_position WHERE substr(batch_id, 2, 8) = $1 GROUP BY 1, 2, 3";
const RECOMPUTED: &str = "SELECT e.batch_id, t.institution, e.currency, \
     count(*), COALESCE(sum(e.minor) FILTER (WHERE e.side = 'D'), 0)::bigint, \
     COALESCE(sum(e.minor) FILTER (WHERE e.side = 'C'), 0)::bigint \
     FROM entry e JOIN transfer t USING (business_date, shard, sequence) \
     LEFT JOIN closing c USING (business_date) LEFT JOIN closing_position p USING (business_date, shard) \
     WHERE business_date = to_date($1, 'YYYYMMDD') AND e.account_kind = 'network_clearing' \
     AND (c.business_date IS NULL OR e.sequence <= COALESCE(p.sequence, 0)) \
     AND NOT EXISTS (SELECT FROM compensated_transfer x \
     WHERE (x.business_date, x.shard, x.sequence) = (e.business_date, e.shard, e.sequence) \
     AND (c.business_date IS NULL OR x.closed_sequence <= COALESCE(p.sequence, 0))) GROUP BY 1, 2, 3";
/// An adjustment need not touch the network's clearing account. Postings that are not one clearing entry of their own batch and amount, or whose sides differ; and strays.
const MISPLACED: &str = "SELECT shard, sequence, \
     COALESCE(sum(CASE e.side WHEN 'D' THEN e.minor ELSE -e.minor END), 0) <> 0 OR count(DISTINCT e.currency) > 1 \
     FROM transfer t LEFT JOIN entry e USING (business_date, shard, sequence) \
     WHERE business_date = to_date($1, 'YYYYMMDD') GROUP BY shard, sequence, t.refusal, t.kind \
     HAVING (count(e.line) FILTER (WHERE e.account_kind = 'network_clearing') <> (t.refusal IS NULL)::integer \
     AND NOT (t.kind IN ('reversal', 'supplement') \
     AND count(e.line) FILTER (WHERE e.account_kind = 'network_clearing') = 0)) \
     OR count(e.line) FILTER (WHERE e.account_kind = 'network_clearing') <> \
     count(e.line) FILTER (WHERE e.account_kind = 'network_clearing' AND e.batch_id = t.batch_id \
     AND e.minor = t.minor AND e.currency = t.currency) \
     OR (t.refusal IS NOT NULL AND count(e.line) > 0) \
     OR COALESCE(sum(CASE e.side WHEN 'D' THEN e.minor ELSE -e.minor END), 0) <> 0 \
     OR count(DISTINCT e.currency) > 1 \
     UNION ALL SELECT shard, sequence, false FROM entry e LEFT JOIN transfer t USING (business_date, shard, sequence) \
     LEFT JOIN hop_closing h USING (shard, sequence) WHERE e.business_date = to_date($1, 'YYYYMMDD') \
     AND e.account_kind = 'network_clearing' AND t.issuer IS NULL AND h.issuer IS NULL \
     ORDER BY 1, 2 LIMIT 20";
const POSTED_TWICE: &str = "SELECT issuer, category, transfer_id FROM transfer t \
     LEFT JOIN compensated_transfer x USING (business_date, shard, sequence) \
     WHERE business_date = to_date($1, 'YYYYMMDD') AND x.closed_sequence IS NULL GROUP BY 1, 2, 3 HAVING count(*) > 1 ORDER BY 1, 2, 3 LIMIT 20";
const COUNTS: &str = "SELECT (SELECT count(*) FROM batch WHERE business_date = day), \
     (SELECT count(*) FROM transfer WHERE business_date = day AND refusal IS NULL) - \
     (SELECT count(*) FROM compensated_transfer WHERE business_date = day), \
     (SELECT count(*) FROM transfer WHERE business_date = day AND refusal IS NOT NULL), \
     (SELECT count(*) FROM late_transfer WHERE business_date = day), \
     (SELECT count(*) FROM closing WHERE business_date = day) FROM to_date($1, 'YYYYMMDD') day";

fn violated(violations: &[Violation]) -> String {
    let lines = violations
        .iter()
        .map(|found| format!("invariant {} is broken: {}", found.invariant, found.place));
    lines.collect::<Vec<_>>().join("; ")
}

/// Reads, recomputes and checks. A broken invariant is a fault.
pub async fn audited(client: &mut Client, day: BusinessDate, bank: InstitutionId) -> Result<NetReport, NetReportFault> {
    let date = day.compact();
    let snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    let transaction = snapshot.start().await.doing("beginning the audit")?;
    let stored = read_stored(&transaction, &date).await?;
    let recomputed = recompute(&transaction, &date, bank).await?;
    let mut violations = audit::check_nets(&stored, &recomputed)?;
    violations.extend(misplaced(&transaction, &date).await?);
    violations.extend(posted_twice(&transaction, &date).await?);
    if !violations.is_empty() {
        return Err(NetReportFault::Violated(violations));
    }
    let counts = transaction
        .query_one(COUNTS, &[&date])
        .await
        .doing("counting transfers")?;
    let count = |place| database::unsigned(&counts, place, "counting transfers");
    let report = NetReport {
        business_date: day.to_string(),
        state: if count(4)? > 0 {
            "closed".to_owned()
        } else {
            "open".to_owned()
        },
        batches: count(0)?,
        transfers_posted: count(1)?,
        transfers_refused: count(2)?,
        late_transfers: count(3)?,
        positions: lines(&stored, bank)?,
    };
    transaction.commit().await.doing("ending the audit")?;
    Ok(report)
}

fn lines(nets: &Nets, bank: InstitutionId) -> Result<Vec<NetLine>, NetFault> {
    let line = |(key, sums): (&NetKey, &NetSums)| {
        Ok(NetLine {
            batch_id: key.batch.to_string(),
            institution: key.institution.to_string(),
            role: if key.institution == bank {
                "bank".to_owned()
            } else {
                "institution".to_owned()
            },
            currency: key.currency.to_string(),
            posted: sums.posted,
            debit_minor: sums.debit_minor,
            credit_minor: sums.credit_minor,
            net_minor: sums.net_minor().ok_or(NetFault(*key))?,
        })
    };
    nets.iter().map(line).collect()
}

async fn read_stored(transaction: &Transaction<'_>, date: &str) -> Result<Nets, NetReportFault> {
    let mut nets = Nets::default();
    for row in transaction
        .query(STORED, &[&date])
        .await
        .doing("reading net positions")?
    {
        let what = "reading net positions";
        let sum = |place| row.try_get::<_, i64>(place).doing(what);
        let key = NetKey {
            batch: database::parsed(&row, 0, what)?,
            institution: database::parsed(&row, 1, what)?,
            currency: database::parsed(&row, 2, what)?,
        };
        nets.add(
            key,
            NetSums {
                posted: sum(3)?,
                debit_minor: sum(4)?,
                credit_minor: sum(5)?,
            },
        )?;
    }
    Ok(nets)
}

/// What the network's account was credited, the bank owes and the institution is owed.
async fn recompute(transaction: &Transaction<'_>, date: &str, bank: InstitutionId) -> Result<Nets, NetReportFault> {
    let mut nets = Nets::default();
    for row in transaction
        .query(RECOMPUTED, &[&date])
        .await
        .doing("recomputing net positions")?
    {
        let what = "recomputing net positions";
        let sum = |place| row.try_get::<_, i64>(place).doing(what);
        let (posted, clearing_debit, clearing_credit) = (sum(3)?, sum(4)?, sum(5)?);
        let batch = database::parsed(&row, 0, what)?;
        let institution = database::parsed(&row, 1, what)?;
        let currency = database::parsed(&row, 2, what)?;
        let theirs = NetSums {
            posted,
            debit_minor: clearing_debit,
            credit_minor: clearing_credit,
        };
        let ours = NetSums {
            posted,
            debit_minor: clearing_credit,
            credit_minor: clearing_debit,
        };
        nets.add(
            NetKey {
                batch,
                institution,
                currency,
            },
            theirs,
        )?;
        nets.add(
            NetKey {
                batch,
                institution: bank,
                currency,
            },
            ours,
        )?;
    }
    Ok(nets)
}

async fn misplaced(transaction: &Transaction<'_>, date: &str) -> Result<Vec<Violation>, DatabaseFault> {
    let rows = transaction.query(MISPLACED, &[&date]).await.doing("checking entries")?;
    let violation = |row: &tokio_postgres::Row| {
        let shard: i16 = row.try_get(0).doing("checking entries")?;
        let sequence: i64 = row.try_get(1).doing("checking entries")?;
        let lopsided: bool = row.try_get(2).doing("checking entries")?;
        let invariant = if lopsided { Invariant::L1 } else { Invariant::C2 };
        Ok(Violation {
            invariant,
            place: format!("record {sequence} of shard {shard}"),
        })
    };
    rows.iter().map(violation).collect()
}

async fn posted_twice(transaction: &Transaction<'_>, date: &str) -> Result<Vec<Violation>, DatabaseFault> {
    let rows = transaction
        .query(POSTED_TWICE, &[&date])
        .await
        .doing("looking for transfers posted twice")?;
    let violation = |row: &tokio_postgres::Row| {
        let part = |place| {
            row.try_get::<_, &str>(place)
                .doing("looking for transfers posted twice")
        };
        let place = format!("transfer {} of category {}, issuer {}", part(2)?, part(1)?, part(0)?);
        Ok(Violation {
            invariant: Invariant::L4,
            place,
        })
    };
    rows.iter().map(violation).collect()
}
