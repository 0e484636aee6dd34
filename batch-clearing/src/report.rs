//! `report`: what the night left of a business date.

use ledger_model::BusinessDate;
use serde::Serialize;
use tokio_postgres::Client;

use crate::closing::ClosingReport;
use crate::compare::CompareReport;
use crate::database::DatabaseFault;
use crate::net::{NetLine, NetReport};
use crate::night_step::{self, Outcome, Step};
use crate::notice_check::NoticeLine;
use crate::reconcile::{DifferenceLine, ReconcileReport};
use crate::statement::FileFault;

/// The reports of the steps that are finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayReport {
    pub day: BusinessDate,
    pub closing: Option<ClosingReport>,
    pub net: Option<NetReport>,
    pub compare: Option<CompareReport>,
    pub reconcile: Option<ReconcileReport>,
}

/// The same as one flat JSON object; figures of steps that are not finished are null, lists empty.
#[derive(Debug, Serialize)]
pub struct DayFigures<'a> {
    business_date: String,
    /// `unfinished`, `clean` or `differences`.
    outcome: &'static str,
    finished_steps: Vec<&'static str>,
    batches: Option<u64>,
    transfers_posted: Option<u64>,
    transfers_refused: Option<u64>,
    late_transfers: Option<u64>,
    positions: &'a [NetLine],
    copies: Option<u8>,
    copies_agree: Option<bool>,
    copied_records: Option<u64>,
    copy_differences: Vec<&'a crate::figures::FigureLine>,
    own_transfers: Option<u64>,
    statement_files: Option<u64>,
    statement_lines: Option<u64>,
    matched: Option<u64>,
    not_compared: Option<u64>,
    differences_count: Option<u64>,
    differences: &'a [DifferenceLine],
    file_faults_count: Option<u64>,
    file_faults: &'a [FileFault],
    notice: &'a [NoticeLine],
}

pub async fn read(client: &Client, day: BusinessDate) -> Result<DayReport, DatabaseFault> {
    Ok(DayReport {
        day,
        closing: night_step::finished(client, day, Step::Close).await?,
        net: night_step::finished(client, day, Step::Net).await?,
        compare: night_step::finished(client, day, Step::Compare).await?,
        reconcile: night_step::finished(client, day, Step::Reconcile).await?,
    })
}

impl DayReport {
    pub fn finished_steps(&self) -> Vec<Step> {
        let finished = [
            (self.closing.is_some(), Step::Close),
            (self.net.is_some(), Step::Net),
            (self.compare.is_some(), Step::Compare),
            (self.reconcile.is_some(), Step::Reconcile),
        ];
        finished
            .into_iter()
            .filter_map(|(is_finished, step)| is_finished.then_some(step))
            .collect()
    }

    /// Nothing while a step is unfinished.
    pub fn outcome(&self) -> Option<Outcome> {
        let (Some(_), Some(_), Some(compare), Some(reconcile)) =
            (&self.closing, &self.net, &self.compare, &self.reconcile)
        else {
            return None;
        };
        Some(Outcome::of(compare.agrees && reconcile.is_clean()))
    }

    pub fn figures(&self) -> DayFigures<'_> {
        let (net, compare, reconcile) = (self.net.as_ref(), self.compare.as_ref(), self.reconcile.as_ref());
        DayFigures {
            business_date: self.day.to_string(),
            outcome: self.outcome().map_or("unfinished", Outcome::name),
            finished_steps: self.finished_steps().into_iter().map(Step::name).collect(),
            batches: net.map(|net| net.batches),
            transfers_posted: net.map(|net| net.transfers_posted),
            transfers_refused: net.map(|net| net.transfers_refused),
            late_transfers: net.map(|net| net.late_transfers),
            positions: net.map_or(&[], |net| &net.positions),
            copies: compare.map(|compare| compare.copies),
            copies_agree: compare.map(|compare| compare.agrees),
            copied_records: compare.map(|compare| compare.records),
            copy_differences: compare.into_iter().flat_map(CompareReport::differing).collect(),
            own_transfers: reconcile.map(|reconcile| reconcile.own_transfers),
            statement_files: reconcile.map(|reconcile| reconcile.statement_files),
            statement_lines: reconcile.map(|reconcile| reconcile.statement_lines),
            matched: reconcile.map(|reconcile| reconcile.matched),
            not_compared: reconcile.map(|reconcile| reconcile.not_compared),
            differences_count: reconcile.map(|reconcile| reconcile.differences_count),
            differences: reconcile.map_or(&[], |reconcile| &reconcile.differences),
            file_faults_count: reconcile.map(|reconcile| reconcile.file_faults_count),
            file_faults: reconcile.map_or(&[], |reconcile| &reconcile.file_faults),
            notice: reconcile.map_or(&[], |reconcile| &reconcile.notice),
        }
    }
}
