//! `ledger load`: accounts and agreements from CSV files into the running ledger.
//!
//! ```text
//!   file ──▶ pieces (a thread) ──▶ batches ──▶ ledger ──▶ replies, in order ──▶ progress, refused lines
//!            at most PIECES_READ_MAX           at most UNANSWERED_MAX
//! ```
//!
//! Lines that do not read or are refused are told with their number and skipped; everything else is loaded. Memory does
//! not grow with the files. A load that was interrupted is taken up by loading the same files again: what is there
//! already is left as it is.

mod pieces;
mod progress;
mod refused;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use ledger_protocol::{LedgerClient, LedgerFault, LoadReply};
use operations::endpoint::EndpointFault;
use operations::exit;
use tokio::sync::mpsc;

use self::pieces::{Piece, Pieces, RefusedLine};
use self::progress::Progress;
use self::refused::RefusedLines;
use self::rows::Table;
use super::told;
use crate::config::Config;

/// Pieces that are read and not sent.
const PIECES_READ_MAX: usize = 8;
/// Batches that are sent and not answered.
const UNANSWERED_MAX: usize = 32;

#[derive(Debug, clap::Args)]
pub struct Files {
    /// CSV with the columns `token`, `name`, `status`, `opening_balance`, and perhaps the account's limits `single_max`,
    /// `daily_max`, `daily_count_max`; its header says in which order.
    #[arg(long, value_name = "CSV", required_unless_present = "agreements")]
    accounts: Option<PathBuf>,
    /// CSV with the columns `number`, `account`, `institution`, `status`, `single_max`, `daily_max`, `daily_count_max`,
    /// `expires`; its header says in which order. Loaded after the accounts.
    #[arg(long, value_name = "CSV")]
    agreements: Option<PathBuf>,
    /// Write every refused line's number and reason here; stderr tells the first hundred.
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum LoadFault {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: the first line is not its header: {reason}")]
    Header { path: PathBuf, reason: String },
    #[error("{path} cannot be written")]
    Refused {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error("the ledger ended the load before all of it was in")]
    Ended,
}

impl LoadFault {
    fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

/// A file to be loaded.
#[derive(Debug, Clone)]
struct Source {
    path: Arc<Path>,
    table: Table,
}

/// What was sent, and what is to be told of it once it is answered.
type Sent = Result<(Source, Piece), LoadFault>;

/// What is in by now.
#[derive(Debug, Default)]
struct Loaded {
    accounts: u64,
    agreements: u64,
    unchanged: u64,
    kept: u64,
    lines: u64,
}

pub fn run(config: &Config, files: &Files) -> u8 {
    let began = Instant::now();
    let mut loaded = Loaded::default();
    match load(config, files, &mut loaded) {
        Ok(refused) => {
            let Loaded {
                accounts,
                agreements,
                unchanged,
                kept,
                lines,
            } = loaded;
            eprintln!(
                "{accounts} accounts and {agreements} agreements loaded, {unchanged} already there, {refused} lines refused"
            );
            if kept > 0 {
                eprintln!(
                    "{kept} are there with another status, limits or terms, and were kept as an operator set them"
                );
            }
            let milliseconds = began.elapsed().as_millis().max(1);
            let rate = u128::from(lines) * 1000 / milliseconds;
            eprintln!("{lines} lines in {milliseconds} ms, {rate} a second");
            if refused == 0 { exit::DONE } else { exit::FAILED }
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            let lines = loaded.lines;
            eprintln!("{lines} lines were answered for; loading the same files again takes up what is missing");
            exit::FAILED
        }
    }
}

/// How many lines were refused.
fn load(config: &Config, files: &Files, loaded: &mut Loaded) -> Result<u64, LoadFault> {
    let named = [
        (&files.accounts, Table::Accounts),
        (&files.agreements, Table::Agreements),
    ];
    let sources: Vec<Source> = named
        .into_iter()
        .filter_map(|(path, table)| {
            path.as_deref().map(|path| Source {
                path: path.into(),
                table,
            })
        })
        .collect();
    let mut bytes = 0_u64;
    for source in &sources {
        // a file that is missing or of something else is told before anything is loaded
        Pieces::open(&source.path, source.table)?;
        let size = std::fs::metadata(&source.path).map_err(|fault| LoadFault::read(&source.path, fault))?;
        bytes = bytes.saturating_add(size.len());
    }
    let mut progress = Progress::over(bytes);
    let mut refused = RefusedLines::told_to(files.refused.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let sending = send(config, sources, |source, piece, reply| {
        loaded.accounts += reply.accounts;
        loaded.agreements += reply.agreements;
        loaded.unchanged += reply.unchanged;
        loaded.kept += reply.kept;
        loaded.lines += piece.lines;
        progress.advance(&source.path, piece.lines, piece.bytes);
        for line in refused_lines(piece, reply) {
            progress.aside(|| refused.tell(&source.path, &line))?;
        }
        Ok(())
    });
    runtime.map_err(LoadFault::Runtime)?.block_on(sending)?;
    progress.finish();
    refused.finish()
}

/// Sends every file, and has `answered` take each piece with its reply, in order.
async fn send(
    config: &Config,
    sources: Vec<Source>,
    mut answered: impl FnMut(&Source, Piece, LoadReply) -> Result<(), LoadFault>,
) -> Result<(), LoadFault> {
    let client = LedgerClient::connect(&config.listen)?;
    let (pieces, read) = mpsc::channel::<Sent>(PIECES_READ_MAX);
    tokio::task::spawn_blocking(move || read_all(sources, &pieces));
    let (unanswered, mut sent) = mpsc::channel::<Sent>(UNANSWERED_MAX);
    let batches = futures::stream::unfold((read, unanswered), |(mut read, unanswered)| async move {
        let (source, mut piece) = match read.recv().await? {
            Ok(read) => read,
            Err(fault) => {
                let _nobody_waits = unanswered.send(Err(fault)).await;
                return None;
            }
        };
        let batch = std::mem::take(&mut piece.batch);
        unanswered.send(Ok((source, piece))).await.ok()?;
        Some((batch, (read, unanswered)))
    });
    let mut replies = std::pin::pin!(client.load(batches).await?);
    while let Some(next) = sent.recv().await {
        let (source, piece) = next?;
        let reply = replies.next().await.ok_or(LoadFault::Ended)??;
        answered(&source, piece, reply)?;
    }
    Ok(())
}

fn read_all(sources: Vec<Source>, pieces: &mpsc::Sender<Sent>) {
    for source in sources {
        let read = match Pieces::open(&source.path, source.table) {
            Ok(read) => read,
            Err(fault) => {
                let _nobody_waits = pieces.blocking_send(Err(fault));
                return;
            }
        };
        for piece in read {
            let piece = piece.map(|piece| (source.clone(), piece));
            if pieces.blocking_send(piece).is_err() {
                return;
            }
        }
    }
}

/// What did not read and what the ledger refused, in the order of the lines.
fn refused_lines(piece: Piece, reply: LoadReply) -> Vec<RefusedLine> {
    let Piece {
        origins, mut refused, ..
    } = piece;
    for item in reply.refused {
        let place = usize::try_from(item.place).ok();
        let line = place.and_then(|place| origins.get(place)).copied().unwrap_or_default();
        refused.push(RefusedLine {
            line,
            reason: item.reason,
        });
    }
    refused.sort_by_key(|refused| refused.line);
    refused
}

#[cfg(test)]
mod tests {
    use ledger_protocol::RefusedItem;

    use super::*;

    #[test]
    fn refused_lines_are_told_in_their_order() {
        let line = |line, reason: &str| RefusedLine {
            line,
            reason: reason.to_owned(),
        };
        let piece = Piece {
            origins: vec![2, 4, 6],
            refused: vec![line(3, "it does not read"), line(5, "it does not read")],
            ..Piece::default()
        };
        let reply = LoadReply {
            refused: vec![RefusedItem {
                place: 1,
                reason: "it is there".to_owned(),
            }],
            ..LoadReply::default()
        };
        let expected = [
            line(3, "it does not read"),
            line(4, "it is there"),
            line(5, "it does not read"),
        ];
        assert_eq!(refused_lines(piece, reply), expected);
    }
}
