//! A shard is moved from one group to another, and orders go on.

mod broken_off;
mod idle;
mod in_use;
mod schema;
mod site;
