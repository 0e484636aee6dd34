//! Adding and removing shard groups, and starting while one is away, on real servers.

mod away;
mod load;
mod orders;
mod site;
