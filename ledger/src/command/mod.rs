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

use crate::causes::with_causes as told;
