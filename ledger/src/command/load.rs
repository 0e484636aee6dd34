//! `ledger load`: accounts and agreements from CSV files into the running ledger. Bad lines are told with their number
//! and skipped; everything else is loaded.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use futures::{SinkExt, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_model::{Account, AccountStatus, AccountToken, Agreement, AgreementStatus, AgreementTerms, NameToken};
use ledger_protocol::{LedgerClient, LedgerFault, LoadBatch, LoadReply};
use operations::endpoint::EndpointFault;
use operations::exit;

use super::told;
use crate::config::Config;

/// Lines in one batch.
const BATCH_LINES: usize = 500;
const BATCHES_AHEAD_MAX: usize = 4;
/// Refused lines told one by one; the rest are counted.
const TOLD_MAX: usize = 100;

const ACCOUNT_COLUMNS: &str = "token,name,status,opening_balance";
const AGREEMENT_COLUMNS: &str = "number,account,institution,status,single_max,daily_max,daily_count_max,expires";

#[derive(Debug, clap::Args)]
pub struct Files {
    /// CSV with header `token,name,status,opening_balance`.
    #[arg(long, value_name = "CSV")]
    accounts: Option<PathBuf>,
    /// CSV with header `number,account,institution,status,single_max,daily_max,daily_count_max,expires`.
    #[arg(long, value_name = "CSV")]
    agreements: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum LoadFault {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} does not begin with the header {expected}")]
    Header { path: PathBuf, expected: &'static str },
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error("the ledger ended the load before all of it was in")]
    Ended,
}

/// A line that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    file: PathBuf,
    line: usize,
    reason: String,
}

/// Where each item of a batch came from: accounts, then agreements.
type Origins = Vec<(PathBuf, usize)>;

#[derive(Debug, Default)]
struct Gathered {
    batches: VecDeque<(LoadBatch, Origins)>,
    refused: Vec<Refused>,
    lines: u64,
}

pub fn run(config: &Config, files: &Files) -> u8 {
    match load(config, files) {
        Ok((loaded, refused)) => {
            for Refused { file, line, reason } in refused.iter().take(TOLD_MAX) {
                eprintln!("{}:{line}: {reason}", file.display());
            }
            if refused.len() > TOLD_MAX {
                eprintln!("… and {} more", refused.len() - TOLD_MAX);
            }
            let LoadReply {
                accounts,
                agreements,
                unchanged,
                ..
            } = loaded;
            let refused = refused.len();
            eprintln!(
                "{accounts} accounts and {agreements} agreements loaded, {unchanged} already there, {refused} lines refused"
            );
            if refused == 0 { exit::DONE } else { exit::FAILED }
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            exit::FAILED
        }
    }
}

fn load(config: &Config, files: &Files) -> Result<(LoadReply, Vec<Refused>), LoadFault> {
    let mut gathered = Gathered::default();
    if let Some(path) = &files.accounts {
        gather(&mut gathered, path, ACCOUNT_COLUMNS, |batch, line| {
            account(line).map(|row| batch.accounts.push(row))
        })?;
    }
    if let Some(path) = &files.agreements {
        gather(&mut gathered, path, AGREEMENT_COLUMNS, |batch, line| {
            agreement(line).map(|row| batch.agreements.push(row))
        })?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(LoadFault::Runtime)?.block_on(send(config, gathered))
}

/// Reads a file into batches of its own.
fn gather(
    gathered: &mut Gathered,
    path: &Path,
    columns: &'static str,
    take: impl Fn(&mut LoadBatch, &str) -> Result<(), &'static str>,
) -> Result<(), LoadFault> {
    let unreadable = |source| LoadFault::Read {
        path: path.to_owned(),
        source,
    };
    let mut lines = BufReader::new(File::open(path).map_err(unreadable)?).lines();
    let header = lines.next().transpose().map_err(unreadable)?;
    if header.as_deref().map(str::trim_end) != Some(columns) {
        return Err(LoadFault::Header {
            path: path.to_owned(),
            expected: columns,
        });
    }
    let mut batch = LoadBatch::default();
    let mut origins = Origins::new();
    // the header is line 1
    for (number, line) in (2..).zip(lines) {
        let line = line.map_err(unreadable)?;
        gathered.lines += 1;
        match take(&mut batch, line.trim_end()) {
            Ok(()) => origins.push((path.to_owned(), number)),
            Err(reason) => {
                let reason = reason.to_owned();
                gathered.refused.push(Refused {
                    file: path.to_owned(),
                    line: number,
                    reason,
                });
            }
        }
        if origins.len() >= BATCH_LINES {
            gathered
                .batches
                .push_back((std::mem::take(&mut batch), std::mem::take(&mut origins)));
        }
    }
    if !origins.is_empty() {
        gathered.batches.push_back((batch, origins));
    }
    Ok(())
}

async fn send(config: &Config, gathered: Gathered) -> Result<(LoadReply, Vec<Refused>), LoadFault> {
    let Gathered {
        batches,
        mut refused,
        lines,
    } = gathered;
    let bar = progress(lines);
    bar.inc(u64::try_from(refused.len()).unwrap_or(u64::MAX));
    let (batches, origins): (Vec<LoadBatch>, VecDeque<Origins>) = batches.into_iter().unzip();
    let client = LedgerClient::connect(&config.listen)?;
    let (mut outgoing, incoming) = futures::channel::mpsc::channel(BATCHES_AHEAD_MAX);
    let feeding = tokio::spawn(async move {
        for batch in batches {
            if outgoing.send(batch).await.is_err() {
                return;
            }
        }
    });
    let mut replies = std::pin::pin!(client.load(incoming).await?);
    let mut all = LoadReply::default();
    for origins in origins {
        let reply = replies.next().await.ok_or(LoadFault::Ended)??;
        all.accounts += reply.accounts;
        all.agreements += reply.agreements;
        all.unchanged += reply.unchanged;
        for item in reply.refused {
            let place = usize::try_from(item.place).ok().and_then(|place| origins.get(place));
            let (file, line) = place.cloned().unwrap_or_default();
            refused.push(Refused {
                file,
                line,
                reason: item.reason,
            });
        }
        bar.inc(u64::try_from(origins.len()).unwrap_or(u64::MAX));
    }
    feeding.abort();
    bar.finish_and_clear();
    refused.sort_by(|left, right| (&left.file, left.line).cmp(&(&right.file, right.line)));
    Ok((all, refused))
}

fn progress(lines: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {eta} left");
    ProgressBar::new(lines).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn account(line: &str) -> Result<Account, &'static str> {
    let columns: Vec<&str> = line.split(',').collect();
    let [token, name, status, opening_balance] = columns.as_slice() else {
        return Err("a line has 4 columns");
    };
    Ok(Account {
        token: AccountToken::from_hex(token).ok_or("token is 64 hexadecimal digits")?,
        name: NameToken::from_hex(name).ok_or("name is 64 hexadecimal digits")?,
        status: AccountStatus::from_name(status).ok_or("status is open, frozen, debit_blocked or closed")?,
        balance: opening_balance
            .parse()
            .map_err(|_| "opening_balance is an amount such as CNY518.17")?,
    })
}

fn agreement(line: &str) -> Result<Agreement, &'static str> {
    let columns: Vec<&str> = line.split(',').collect();
    let [
        number,
        account,
        institution,
        status,
        single_max,
        daily_max,
        daily_count_max,
        expires,
    ] = columns.as_slice()
    else {
        return Err("a line has 8 columns");
    };
    let amount = "single_max and daily_max are amounts such as CNY518.17";
    Ok(Agreement {
        number: number.parse().map_err(|_| "number is 1 to 34 letters and digits")?,
        account: AccountToken::from_hex(account).ok_or("account is 64 hexadecimal digits")?,
        institution: institution.parse().map_err(|_| "institution is 14 characters")?,
        status: AgreementStatus::from_name(status).ok_or("status is normal or rescinded")?,
        terms: AgreementTerms {
            single_max: single_max.parse().map_err(|_| amount)?,
            daily_max: daily_max.parse().map_err(|_| amount)?,
            daily_count_max: daily_count_max
                .parse()
                .map_err(|_| "daily_count_max is a whole number")?,
            expires: expires.parse().map_err(|_| "expires is a date")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_told_with_their_number_and_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts.csv");
        let token = "a1".repeat(32);
        let good = format!("{token},{token},open,CNY10.00");
        let text = format!(
            "{ACCOUNT_COLUMNS}\n{good}\n{token},{token},asleep,CNY1.00\nshort\n{good}\r\n{token},{token},open,10\n"
        );
        std::fs::write(&path, text).unwrap();
        let mut gathered = Gathered::default();
        gather(&mut gathered, &path, ACCOUNT_COLUMNS, |batch, line| {
            account(line).map(|row| batch.accounts.push(row))
        })
        .unwrap();
        let told: Vec<_> = gathered
            .refused
            .iter()
            .map(|refused| (refused.line, refused.reason.as_str()))
            .collect();
        let expected = [
            (3, "status is open, frozen, debit_blocked or closed"),
            (4, "a line has 4 columns"),
            (6, "opening_balance is an amount such as CNY518.17"),
        ];
        assert_eq!(told, expected);
        let lines: Vec<_> = gathered
            .batches
            .iter()
            .flat_map(|(_, origins)| origins.iter().map(|(_, line)| *line))
            .collect();
        assert_eq!((lines, gathered.lines), (vec![2, 5], 5));
    }

    #[test]
    fn a_file_of_something_else_is_refused_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts.csv");
        std::fs::write(&path, "number,account\n").unwrap();
        let refused = gather(&mut Gathered::default(), &path, ACCOUNT_COLUMNS, |_, _| Ok(()));
        assert!(matches!(refused, Err(LoadFault::Header { .. })));
    }
}
