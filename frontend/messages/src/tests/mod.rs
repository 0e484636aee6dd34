//! Tests of the whole crate through its public functions.

mod faults;
mod frames;
mod hostile;
mod round_trip;
mod samples;
mod strategy;
