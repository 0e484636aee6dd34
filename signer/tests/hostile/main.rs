//! The real process tried as a hostile peer would: broken frames, half-spoken protocols, crowds, floods, garbage, and
//! configurations that should never be taken. Whatever is done to it, a well-behaved peer beside it is served, nothing
//! panics, and what was taken is given back.
#![cfg(test)]

mod configuration;
mod crowds;
mod frames;
mod garbage;
mod padding;
mod refusals;
#[allow(dead_code, reason = "two tests share it, and each uses its part")]
#[path = "../spawned/mod.rs"]
mod spawned;
mod watch;
mod wire_bytes;
