//! How reports look as text. Values in, lines out; printing is the caller's.

use ledger_model::{Currency, Money};

use crate::closing::ClosingReport;
use crate::compare::CompareReport;
use crate::net::NetReport;
use crate::night_step::{Outcome, Step};
use crate::reconcile::{DifferenceLine, ReconcileReport};
use crate::report::DayReport;
use crate::text_table::{Set, TextTable};

pub fn closing(report: &ClosingReport) -> Vec<String> {
    let ClosingReport {
        business_date,
        closed_now,
        batches,
        late_transfers,
    } = report;
    let done = if *closed_now { "closed" } else { "was closed before" };
    let mut lines = vec![format!("{business_date} {done}: {batches} batches")];
    lines.extend(late(*late_transfers));
    lines
}

pub fn net(report: &NetReport) -> Vec<String> {
    let NetReport {
        business_date,
        state,
        batches,
        transfers_posted,
        transfers_refused,
        late_transfers,
        positions,
    } = report;
    let mut lines = vec![format!(
        "Net positions of {business_date} ({state}): {batches} batches, {transfers_posted} transfers posted, \
         {transfers_refused} refused"
    )];
    let columns = [
        ("batch", Set::Left),
        ("institution", Set::Left),
        ("", Set::Left),
        ("posted", Set::Right),
        ("owes", Set::Right),
        ("is owed", Set::Right),
        ("net", Set::Right),
    ];
    let mut table = TextTable::new(&columns);
    for line in positions {
        let role = if line.role == "bank" { "bank" } else { "" };
        table.row(vec![
            line.batch_id.clone(),
            line.institution.clone(),
            role.to_owned(),
            line.posted.to_string(),
            money(line.debit_minor, &line.currency),
            money(line.credit_minor, &line.currency),
            money(line.net_minor, &line.currency),
        ]);
    }
    if !table.is_empty() {
        lines.extend(table.lines());
    }
    lines.push(
        "Audited: every batch nets to zero (C1), every entry is in one batch (C2), stored is recomputed (C3)"
            .to_owned(),
    );
    lines.extend(late(*late_transfers));
    lines
}

fn late(transfers: u64) -> Option<String> {
    let text = format!("{transfers} transfers arrived after the date was closed and are in no position");
    (transfers > 0).then_some(text)
}

fn money(minor: i64, currency: &str) -> String {
    currency.parse::<Currency>().map_or_else(
        |_| minor.to_string(),
        |currency| Money::new(minor, currency).to_string(),
    )
}

pub fn compare(report: &CompareReport) -> Vec<String> {
    let three = report.copies == 3;
    let copies = if three {
        "ledger shards, Kafka, PostgreSQL"
    } else {
        "ledger shards, PostgreSQL"
    };
    let verdict = if report.agrees { "agree" } else { "DO NOT AGREE" };
    let mut lines = vec![format!(
        "Copies ({copies}) {verdict}: {} records, {} transfers posted, {} refused",
        report.records, report.transfers_posted, report.transfers_refused
    )];
    if !three {
        lines.push("Kafka is not configured: two copies were compared, not three".to_owned());
    }
    let columns = [
        ("shard", Set::Right),
        ("figure", Set::Left),
        ("ledger", Set::Right),
        ("Kafka", Set::Right),
        ("PostgreSQL", Set::Right),
        ("", Set::Left),
    ];
    let mut table = TextTable::new(&columns);
    for line in &report.figures {
        table.row(vec![
            line.shard.to_string(),
            line.figure.clone(),
            shortened(&line.ledger, line.agrees),
            line.kafka
                .as_ref()
                .map_or_else(|| "-".to_owned(), |kafka| shortened(kafka, line.agrees)),
            shortened(&line.postgres, line.agrees),
            if line.agrees {
                String::new()
            } else {
                "DIFFERS".to_owned()
            },
        ]);
    }
    lines.extend(table.lines());
    lines
}

/// A chain head that agrees is shown by its first digits.
fn shortened(value: &str, agrees: bool) -> String {
    match value.get(..12) {
        Some(start) if agrees && value.len() == 64 => format!("{start}…"),
        Some(_) | None => value.to_owned(),
    }
}

pub fn reconcile(report: &ReconcileReport) -> Vec<String> {
    let mut lines = vec![format!(
        "Reconciliation of {}: {} transfers of ours, {} lines in {} files, {} agree, {} not compared",
        report.business_date,
        report.own_transfers,
        report.statement_lines,
        report.statement_files,
        report.matched,
        report.not_compared
    )];
    lines.push(format!("Differences: {}", report.differences_count));
    lines.extend(differences(&report.differences));
    if report.file_faults_count > 0 {
        lines.push(format!("Files that could not be used: {}", report.file_faults_count));
        lines.extend(
            report
                .file_faults
                .iter()
                .map(|fault| format!("  {}: {}", fault.file, fault.reason)),
        );
    }
    for line in report.notice.iter().filter(|line| line.verdict != "equal") {
        lines.push(format!(
            "Clearing notice, batch {}: ours {}, notice {}, explained by the lines {}: {}",
            line.batch_id,
            money(line.our_net_minor, &line.currency),
            money(line.notice_net_minor, &line.currency),
            money(line.explained_minor, &line.currency),
            line.verdict
        ));
    }
    lines
}

fn differences(differences: &[DifferenceLine]) -> Vec<String> {
    let columns = [
        ("class", Set::Left),
        ("transfer", Set::Left),
        ("category", Set::Left),
        ("our batch", Set::Left),
        ("their batch", Set::Left),
        ("ours", Set::Right),
        ("theirs", Set::Right),
        ("status", Set::Left),
    ];
    let mut table = TextTable::new(&columns);
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    for line in differences {
        let status = format!("{}/{}", cell(&line.our_status), cell(&line.their_status));
        table.row(vec![
            line.class.clone(),
            cell(&line.trx_id),
            cell(&line.category),
            cell(&line.our_batch),
            cell(&line.their_batch),
            cell(&line.our_amount),
            cell(&line.their_amount),
            status,
        ]);
    }
    if table.is_empty() { Vec::new() } else { table.lines() }
}

pub fn day(report: &DayReport) -> Vec<String> {
    let finished = report.finished_steps();
    let mut lines = Vec::new();
    lines.extend(report.closing.iter().flat_map(closing));
    lines.extend(report.net.iter().flat_map(net));
    lines.extend(report.compare.iter().flat_map(compare));
    lines.extend(report.reconcile.iter().flat_map(reconcile));
    let missing: Vec<_> = Step::ALL
        .into_iter()
        .filter(|step| !finished.contains(step))
        .map(Step::name)
        .collect();
    lines.push(match report.outcome() {
        Some(Outcome::Clean) => format!("{}: clean", report.day),
        Some(Outcome::Differences) => format!("{}: finished with differences", report.day),
        None => format!("{}: not finished; still to do: {}", report.day, missing.join(", ")),
    });
    lines
}
