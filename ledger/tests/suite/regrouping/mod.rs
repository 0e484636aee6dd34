//! Adding and removing shard groups, and starting while one is away, on real servers; by the
//! commands of a real process as well.

mod away;
mod commands;
mod fleet;
mod load;
mod lost;
mod orders;
mod site;
