//! `ledger adjust`: the bank's own orders, where the books are not what they should be.
//!
//! The same number on the same date is the same order: it posts once, and again gets the same answer. Two people order it,
//! one who makes it and one who checks it; both are in the evidence kept with the posting.

use std::time::Duration;

use ledger_model::{
    AccountToken, Amount, BatchId, BusinessDate, Decision, DetailsDigest, Entry, InstitutionId, Instruction,
    LedgerAccount, Operator, Reason, Reversal, Side, Supplement, SupplementAgainst, Transfer, TransferCategory,
    TransferKey,
};
use ledger_protocol::{Adjusted, Adjustment, AdjustmentMode, LedgerClient, QueryReply};
use operations::exit;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::administrators::{self, AdministrationFault, failed, token};
use super::output::print;
use crate::clock::wall_clock;
use crate::config::{Adjustments, Config};

const QUERY_LIMIT: Duration = Duration::from_secs(5);
/// Digits of an order's number in its id.
const NUMBER_MAX: u64 = 9_999_999_999_999_999;

#[derive(Debug, clap::Subcommand)]
pub enum Adjust {
    /// Take back a posted payment, refund, payout or supplement, wholly.
    Reverse {
        /// What to take back: its issuer, category and id, joined by colons.
        #[arg(long, value_name = "KEY", value_parser = key)]
        original: TransferKey,
        #[command(flatten)]
        order: Order,
    },
    /// Post what is missing, for a customer's account.
    Supplement {
        /// The customer's account, 64 hexadecimal digits.
        #[arg(long, value_name = "TOKEN", value_parser = token)]
        account: AccountToken,
        /// Of the customer's account: debit or credit.
        #[arg(long, value_parser = side)]
        side: Side,
        /// Where the other side is posted: `network_clearing`, `suspense`, `fee` or `stand_in_advance`.
        #[arg(long, value_parser = against)]
        against: SupplementAgainst,
        #[arg(long)]
        amount: Amount,
        /// The institution it is about.
        #[arg(long)]
        institution: InstitutionId,
        #[command(flatten)]
        order: Order,
    },
}

#[derive(Debug, clap::Args)]
pub struct Order {
    /// The bank's own number for this order, 1 to 16 digits. The same number on the same date is the same order.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=NUMBER_MAX))]
    number: u64,
    /// The date of the order, yyyy-MM-dd; today in China when absent.
    #[arg(long)]
    date: Option<BusinessDate>,
    /// The batch it counts in; its business date is not closed.
    #[arg(long)]
    batch: BatchId,
    /// Who makes the order.
    #[arg(long, value_name = "NAME")]
    maker: Operator,
    /// Who checked it; somebody else.
    #[arg(long, value_name = "NAME")]
    checker: Operator,
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Say what would be posted by the books as they stand, and post nothing.
    #[arg(long)]
    dry_run: bool,
}

fn key(text: &str) -> Result<TransferKey, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [issuer, category, id] = parts.as_slice() else {
        return Err("write issuer:category:id".to_owned());
    };
    let fault = |fault: ledger_model::NameFault| fault.to_string();
    Ok(TransferKey {
        issuer: issuer.parse().map_err(fault)?,
        category: category.parse().map_err(fault)?,
        id: id.parse().map_err(fault)?,
    })
}

fn side(text: &str) -> Result<Side, &'static str> {
    Side::from_name(text).ok_or("debit or credit")
}

fn against(text: &str) -> Result<SupplementAgainst, &'static str> {
    SupplementAgainst::from_name(text).ok_or("network_clearing, suspense, fee or stand_in_advance")
}

pub fn run(config: &Config, adjust: Adjust) -> u8 {
    let Some(adjustments) = &config.adjustments else {
        eprintln!("the configuration has no [adjustments]: the bank that orders them is not known");
        return exit::CONFIGURATION;
    };
    let ordered = match adjust {
        Adjust::Reverse { original, order } => match find(config, original) {
            Ok(found) => reversal(adjustments, &found, order),
            Err(code) => return code,
        },
        Adjust::Supplement {
            account,
            side,
            against,
            amount,
            institution,
            order,
        } => adjustment(order, adjustments, adjustments.supplement_category, |named| {
            Instruction::Supplement(Supplement {
                key: named.key,
                amount,
                batch: named.batch,
                institution,
                account,
                side,
                against,
                ordered_at: named.date.at_midnight(),
                details: named.details,
            })
        }),
    };
    if ordered.maker == ordered.checker {
        eprintln!("--maker and --checker are two people");
        return exit::USAGE;
    }
    print(format_args!("order {}", ordered.order.key().id));
    match administrators::ask(config, async |client| Ok(client.adjust(&ordered).await?)) {
        Ok(adjusted) => tell(adjusted),
        Err(fault) => failed(&fault),
    }
}

/// What every order has of its own.
struct Named {
    key: TransferKey,
    batch: BatchId,
    date: BusinessDate,
    details: DetailsDigest,
}

fn reversal(adjustments: &Adjustments, original: &Transfer, order: Order) -> Adjustment {
    adjustment(order, adjustments, adjustments.reversal_category, |named| {
        Instruction::Reversal(Reversal {
            key: named.key,
            amount: original.amount,
            batch: named.batch,
            institution: original.institution,
            original: original.key,
            ordered_at: named.date.at_midnight(),
            details: named.details,
        })
    })
}

fn adjustment(
    order: Order,
    adjustments: &Adjustments,
    category: TransferCategory,
    instruction: impl FnOnce(Named) -> Instruction,
) -> Adjustment {
    let Order {
        number,
        date,
        batch,
        maker,
        checker,
        reason,
        dry_run,
    } = order;
    let date = date.unwrap_or_else(|| wall_clock()().date());
    let id = format!("{}{number:016}0000000", date.compact());
    let named = Named {
        key: TransferKey {
            issuer: adjustments.bank,
            category,
            id: id.parse().expect("a date, 16 digits and 7 digits are an id"),
        },
        batch,
        date,
        // the same number for another reason is another order, and is refused
        details: DetailsDigest::new(Sha256::digest(reason.as_str()).into()),
    };
    Adjustment {
        order: instruction(named),
        maker,
        checker,
        reason,
        mode: if dry_run {
            AdjustmentMode::DryRun
        } else {
            AdjustmentMode::Post
        },
    }
}

/// The transfer to be taken back.
fn find(config: &Config, original: TransferKey) -> Result<Transfer, u8> {
    let asked = administrators::ask(config, async |_| {
        let client = LedgerClient::connect(&config.listen)?;
        Ok::<_, AdministrationFault>(client.query(original, Instant::now() + QUERY_LIMIT).await)
    });
    match asked {
        Ok(QueryReply::Found(transfer)) => Ok(transfer),
        Ok(QueryReply::NotFound) => {
            eprintln!("the original is not there");
            Err(exit::FAILED)
        }
        Ok(QueryReply::InProcess | QueryReply::Unavailable) => {
            eprintln!("whether the original is there is not known now");
            Err(exit::FAILED)
        }
        Err(fault) => Err(failed(&fault)),
    }
}

fn tell(adjusted: Adjusted) -> u8 {
    match adjusted {
        Adjusted::Decided { transfer, repeat } => {
            let again = if repeat { "before, " } else { "" };
            match transfer.decision {
                Decision::Posted => {
                    print(format_args!("posted {again}serial {}", transfer.serial));
                    exit::DONE
                }
                Decision::Refused(refusal) => {
                    print(format_args!("refused {again}{}", refusal.name()));
                    exit::FAILED
                }
            }
        }
        Adjusted::Conflict(field) => {
            eprintln!("the number was used before for another order: {} differs", field.name());
            exit::FAILED
        }
        Adjusted::InProcess => {
            eprintln!("whether it is posted is not known now; give the same order again");
            exit::FAILED
        }
        Adjusted::NothingPosted(_) => {
            eprintln!("nothing was posted; give the same order again");
            exit::FAILED
        }
        Adjusted::Rehearsed(rehearsed) => match rehearsed.decision {
            Decision::Posted => {
                print("would post");
                for entry in &rehearsed.entries {
                    print(format_args!("  {}", line(entry)));
                }
                exit::DONE
            }
            Decision::Refused(refusal) => {
                print(format_args!("would be refused {}", refusal.name()));
                exit::FAILED
            }
        },
    }
}

fn line(entry: &Entry) -> String {
    let account = match entry.account {
        LedgerAccount::Customer(token) => format!("customer {token}"),
        LedgerAccount::NetworkClearing(batch) => format!("network clearing {batch}"),
        LedgerAccount::OpeningBalances => "opening balances".to_owned(),
        LedgerAccount::Suspense => "suspense".to_owned(),
        LedgerAccount::Fee => "fee".to_owned(),
        LedgerAccount::StandInAdvance => "stand-in advance".to_owned(),
    };
    format!("{:<6} {} {account}", entry.side.name(), entry.amount.money())
}
