//! The real process, in this one: on a Unix socket in a temporary directory, with keys made on the spot.
#![cfg(test)]

mod audit_log;
mod binary;
mod command_line;
mod devices;
mod issuing;
mod keys;
mod making;
mod opening;
mod over_tls;
mod reloading;
mod revoking;
mod rotation;
mod running;
mod sealing;
mod signing;
mod trust;
mod under_pressure;
