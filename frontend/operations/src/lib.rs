//! How a process of ours is run: its configuration file, the endpoints between processes, the operations port, logs,
//! the orderly stop, and the batched exchange that carries the live path from one process to the next.
//!
//! Nothing here knows messages, keys or money. It exists as one package because four processes that each had their own
//! copy would be four different ways to fail at 3 a.m.
#![forbid(unsafe_code)]

pub mod config;
mod crowd;
pub mod endpoint;
pub mod exchange;
pub mod exit;
pub mod logs;
pub mod peer;
pub mod port;
pub mod stop;
