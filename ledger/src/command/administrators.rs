//! What the commands of administrators have in common: who orders and why, and the call itself.

use ledger_model::{AccountToken, Operator, Reason};
use ledger_protocol::{AdministerOrder, Administered, AdministrationClient, JournalPlace, LedgerFault};
use operations::endpoint::EndpointFault;
use operations::exit;

use super::told;
use crate::config::Config;

/// Who orders it and why; the journal keeps both for ever.
#[derive(Debug, Clone, clap::Args)]
pub struct By {
    /// Your name, as the bank knows you; the ledger adds which user or certificate you came with.
    #[arg(long, value_name = "NAME")]
    pub operator: Operator,
    /// Why; nothing of a customer's belongs in it.
    #[arg(long, value_name = "TEXT")]
    pub reason: Reason,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum AdministrationFault {
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error("the answer cannot be written")]
    Json(#[from] serde_json::Error),
}

/// Asks the running ledger.
pub(super) fn ask<T, F>(
    config: &Config,
    asked: impl FnOnce(AdministrationClient) -> F,
) -> Result<T, AdministrationFault>
where
    F: Future<Output = Result<T, AdministrationFault>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(AdministrationFault::Runtime)?.block_on(async {
        let client = AdministrationClient::connect(&config.listen)?;
        asked(client).await
    })
}

/// Orders an act and says what came of it.
pub(super) fn administer(config: &Config, order: &AdministerOrder) -> u8 {
    match ask(config, async |client| Ok(client.administer(order).await?)) {
        Ok(Administered::Done(JournalPlace { shard, sequence })) => {
            eprintln!("done: record {sequence} of shard {shard}");
            exit::DONE
        }
        Ok(Administered::Unchanged) => {
            eprintln!("it was so already");
            exit::DONE
        }
        Ok(Administered::Refused(reason)) => {
            eprintln!("refused: {reason}");
            exit::FAILED
        }
        Err(fault) => failed(&fault),
    }
}

pub(super) fn failed(fault: &AdministrationFault) -> u8 {
    eprintln!("{}", told(fault));
    exit::FAILED
}

/// An account's token on the command line.
pub(super) fn token(text: &str) -> Result<AccountToken, &'static str> {
    AccountToken::from_hex(text).ok_or("an account's token is 64 hexadecimal digits")
}
