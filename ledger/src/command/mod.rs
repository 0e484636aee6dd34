//! What the command line can do.

pub mod account;
pub mod adjust;
mod administrators;
pub mod agreement;
pub mod archive;
pub mod backup;
pub mod calendar;
pub mod check;
pub mod day;
pub mod evidence;
pub mod from;
pub mod group;
pub mod hops;
pub mod load;
mod output;
pub mod positions;
pub mod restore;
pub mod serve;
pub mod statement;
mod stores;
pub mod trial_balance;

use std::error::Error;

/// A fault and what lies behind it, for the person at the terminal.
fn told(fault: &dyn Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
