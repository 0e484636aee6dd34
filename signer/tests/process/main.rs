//! The real process, in this one: on a Unix socket in a temporary directory, with keys made on the spot.
#![cfg(test)]

mod audit_log;
mod command_line;
mod keys;
mod making;
mod opening;
mod reloading;
mod running;
mod sealing;
mod signing;
mod trust;
mod under_pressure;
