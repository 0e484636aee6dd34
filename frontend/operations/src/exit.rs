//! Exit codes, the same for every process and command.

/// Did what it was asked to.
pub const DONE: u8 = 0;
/// A fault; the last line on stderr says which.
pub const FAILED: u8 = 1;
/// The command line was wrong.
pub const USAGE: u8 = 2;
/// The configuration was refused.
pub const CONFIGURATION: u8 = 3;
/// An address to listen on is taken or cannot be had.
pub const ADDRESS_TAKEN: u8 = 4;
/// The work was done and found differences; they are listed on stdout.
pub const DIFFERENCES: u8 = 5;
