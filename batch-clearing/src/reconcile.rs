//! `reconcile`: our journal against the network's clearing files of a date.
//!
//! Reads, matches, checks the notice and keeps the outcome. What is decided about money is in [`crate::matching`] and
//! [`crate::notice_check`]; here are the files and the tables.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use ledger_model::{Amount, BatchId, BusinessDate, MoneyFault, TransferKind, TransferStatus};
use serde::{Deserialize, Serialize};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Transaction};

use crate::config::StatementLayout;
use crate::database::{self, DatabaseFault, Doing};
use crate::matching::{self, Difference, OwnTransfer, Seen};
use crate::notice_check::{self, NoticeLine};
use crate::statement::{self, DayFiles, DayPlace, FileFault, TransferName};

/// What reconciliation found. Also its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileReport {
    pub business_date: String,
    pub own_transfers: u64,
    pub statement_files: u64,
    pub statement_lines: u64,
    pub matched: u64,
    /// Ours, of batches whose file could not be read.
    pub not_compared: u64,
    pub differences_count: u64,
    pub differences: Vec<DifferenceLine>,
    pub file_faults_count: u64,
    pub file_faults: Vec<FileFault>,
    pub notice: Vec<NoticeLine>,
}

/// One difference, as shown; amounts are as on the wire, a net of the notice may be negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceLine {
    pub class: String,
    pub trx_id: Option<String>,
    pub category: Option<String>,
    pub our_batch: Option<String>,
    pub their_batch: Option<String>,
    pub our_institution: Option<String>,
    pub their_institution: Option<String>,
    pub our_amount: Option<String>,
    pub their_amount: Option<String>,
    pub our_status: Option<String>,
    pub their_status: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReconcileFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error("amounts of the day cannot be added up")]
    Money(#[from] MoneyFault),
}

impl ReconcileReport {
    pub fn is_clean(&self) -> bool {
        self.differences_count == 0 && self.file_faults_count == 0
    }
}

const OWN: &str = "SELECT category, transfer_id, batch_id, institution, minor, currency, kind, refusal IS NULL, serial \
     FROM transfer t LEFT JOIN compensated_transfer x USING (business_date, shard, sequence) \
     WHERE business_date = to_date($1, 'YYYYMMDD') AND kind IN ('payment', 'refund', 'payout') \
     AND x.closed_sequence IS NULL";

/// `progress` hears of each file as it is read, from a thread of its own.
pub async fn run(
    client: &mut Client,
    place: DayPlace,
    layout: &StatementLayout,
    mut progress: impl FnMut(&str) + Send + 'static,
) -> Result<ReconcileReport, ReconcileFault> {
    let day = place.day;
    let own = own_transfers(client, day).await?;
    let expected: BTreeSet<BatchId> = own.iter().map(|transfer| transfer.batch).collect();
    let layout = layout.clone();
    let reading = tokio::task::spawn_blocking(move || statement::read_day(&place, &layout, &expected, &mut progress));
    let files = reading.await.expect("reading files does not panic");
    let comparing = tokio::task::spawn_blocking(move || compare(day, own, files));
    let report = comparing.await.expect("matching does not panic")?;
    keep(client, &report).await?;
    Ok(report)
}

fn compare(day: BusinessDate, own: Vec<OwnTransfer>, files: DayFiles) -> Result<ReconcileReport, MoneyFault> {
    let own_nets = notice_check::own_nets(&own)?;
    let (own_count, files_count) = (own.len(), files.batches.len());
    let read = files.batches.keys().copied().collect();
    let lines: Vec<_> = files.batches.into_values().flatten().collect();
    let lines_count = lines.len();
    let matched = matching::match_lines(own, lines, &read)?;
    let mut differences = matched.differences;
    let notice = match files.notice {
        Some(notice) => {
            let (notice, beyond) = notice_check::check(&own_nets, &notice, &matched.explained)?;
            differences.extend(beyond);
            notice
        }
        None => Vec::new(),
    };
    Ok(ReconcileReport {
        business_date: day.to_string(),
        own_transfers: count(own_count),
        statement_files: count(files_count),
        statement_lines: count(lines_count),
        matched: matched.matched,
        not_compared: matched.not_compared,
        differences_count: count(differences.len()),
        differences: differences.iter().map(DifferenceLine::of).collect(),
        file_faults_count: count(files.faults.len()),
        file_faults: files.faults,
        notice,
    })
}

fn count(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

impl DifferenceLine {
    fn of(difference: &Difference) -> Self {
        let text = |seen: Option<Seen>, part: fn(Seen) -> Option<String>| seen.and_then(part);
        let batch: fn(Seen) -> Option<String> = |seen| Some(seen.batch.to_string());
        let institution: fn(Seen) -> Option<String> =
            |seen| seen.institution.map(|institution| institution.to_string());
        let amount: fn(Seen) -> Option<String> = |seen| Some(seen.amount.to_string());
        let status: fn(Seen) -> Option<String> = |seen| seen.status.map(|status| status.code().to_owned());
        let (ours, theirs) = (difference.ours, difference.theirs);
        Self {
            class: difference.class.name().to_owned(),
            trx_id: difference.name.map(|name| name.id.to_string()),
            category: difference.name.map(|name| name.category.to_string()),
            our_batch: text(ours, batch),
            their_batch: text(theirs, batch),
            our_institution: text(ours, institution),
            their_institution: text(theirs, institution),
            our_amount: text(ours, amount),
            their_amount: text(theirs, amount),
            our_status: text(ours, status),
            their_status: text(theirs, status),
        }
    }
}

async fn own_transfers(client: &Client, day: BusinessDate) -> Result<Vec<OwnTransfer>, DatabaseFault> {
    let what = "reading our transfers";
    let rows = client.query_raw(OWN, [day.compact()]).await.doing(what)?;
    let mut rows = std::pin::pin!(rows);
    let mut own = Vec::new();
    while let Some(row) = rows.try_next().await.doing(what)? {
        own.push(own_transfer(&row)?);
    }
    Ok(own)
}

fn own_transfer(row: &Row) -> Result<OwnTransfer, DatabaseFault> {
    let what = "reading our transfers";
    let unreadable = DatabaseFault::Content("a transfer");
    let minor = row.try_get(4).doing(what)?;
    let Ok(amount) = Amount::new(minor, database::parsed(row, 5, what)?) else {
        return Err(unreadable);
    };
    let kind: &str = row.try_get(6).doing(what)?;
    let Some(kind) = TransferKind::from_name(kind) else {
        return Err(unreadable);
    };
    let posted: bool = row.try_get(7).doing(what)?;
    Ok(OwnTransfer {
        name: TransferName {
            category: database::parsed(row, 0, what)?,
            id: database::parsed(row, 1, what)?,
        },
        batch: database::parsed(row, 2, what)?,
        institution: database::parsed(row, 3, what)?,
        amount,
        kind,
        status: if posted {
            TransferStatus::Success
        } else {
            TransferStatus::Failed
        },
        serial: database::parsed(row, 8, what)?,
    })
}

/// Keeps the run with its differences, in one transaction.
async fn keep(client: &mut Client, report: &ReconcileReport) -> Result<(), DatabaseFault> {
    let transaction = client.transaction().await.doing("beginning to keep a reconciliation")?;
    let run = "INSERT INTO reconciliation_run (business_date, own_transfers, statement_lines, matched, not_compared) \
         VALUES (to_date($1, 'YYYY-MM-DD'), $2, $3, $4, $5) RETURNING run_id";
    let column = |count: u64| i64::try_from(count).map_err(|_| DatabaseFault::Content("a count"));
    let (own, lines) = (column(report.own_transfers)?, column(report.statement_lines)?);
    let (matched, not_compared) = (column(report.matched)?, column(report.not_compared)?);
    let row = transaction
        .query_one(run, &[&report.business_date, &own, &lines, &matched, &not_compared])
        .await;
    let run_id: i64 = row.and_then(|row| row.try_get(0)).doing("keeping a reconciliation")?;
    keep_differences(&transaction, run_id, &report.differences).await?;
    let fault = "INSERT INTO reconciliation_file_fault (run_id, line, file, reason) VALUES ($1, $2, $3, $4)";
    for (line, found) in (1_i64..).zip(&report.file_faults) {
        transaction
            .execute(fault, &[&run_id, &line, &found.file, &found.reason])
            .await
            .doing("keeping a file fault")?;
    }
    transaction.commit().await.doing("committing a reconciliation")
}

async fn keep_differences(
    transaction: &Transaction<'_>,
    run_id: i64,
    differences: &[DifferenceLine],
) -> Result<(), DatabaseFault> {
    let insert = "INSERT INTO reconciliation_difference (run_id, line, class, category, transfer_id, our_batch, \
         their_batch, our_institution, their_institution, our_amount, their_amount, our_status, their_status) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let insert = transaction
        .prepare(insert)
        .await
        .doing("preparing to keep differences")?;
    for (line, found) in (1_i64..).zip(differences) {
        let DifferenceLine {
            class,
            trx_id,
            category,
            our_batch,
            their_batch,
            ..
        } = found;
        let DifferenceLine {
            our_institution,
            their_institution,
            our_amount,
            their_amount,
            ..
        } = found;
        let DifferenceLine {
            our_status,
            their_status,
            ..
        } = found;
        let columns: [&(dyn ToSql + Sync); 13] = [
            &run_id,
            &line,
            class,
            category,
            trx_id,
            our_batch,
            their_batch,
            our_institution,
            their_institution,
            our_amount,
            their_amount,
            our_status,
            their_status,
        ];
        transaction
            .execute(&insert, &columns)
            .await
            .doing("keeping a difference")?;
    }
    Ok(())
}
