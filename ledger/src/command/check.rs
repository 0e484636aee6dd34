//! `ledger check`: goes through the stores of a ledger that does not run, and says whether they are what they should be.

use std::path::Path;

use operations::exit;

use super::from::counting;
use super::output::print;
use super::told;
use crate::store::StoreFault;
use crate::store::embedded::check_with;

pub fn run(directory: &Path) -> u8 {
    let bar = counting("checked");
    let found = check_with(directory, |bytes| bar.inc(bytes));
    bar.finish_and_clear();
    match found {
        Ok(shards) => {
            for checked in shards {
                let state = &checked.state;
                let released = match checked.released {
                    0 => String::new(),
                    through => format!(
                        "; records up to {through} were released, so rows and sums were not worked out from the first \
                         record on (`trial-balance --directory --archive` does)"
                    ),
                };
                print(format_args!(
                    "shard {}: {} records in {} groups, {} posted, {} refused, {} accounts, {} agreements, head {}{released}",
                    state.shard,
                    state.sequence,
                    checked.groups,
                    state.transfers_posted,
                    state.transfers_refused,
                    checked.accounts,
                    checked.agreements,
                    state.head,
                ));
            }
            exit::DONE
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            match fault {
                StoreFault::Inconsistent(_) | StoreFault::Content { .. } => exit::DIFFERENCES,
                _ => exit::FAILED,
            }
        }
    }
}
