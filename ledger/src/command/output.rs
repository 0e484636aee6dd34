//! What commands print. Here alone, so that no command minds whether somebody still reads.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use operations::exit;

/// One line or several. A reader that has seen enough and gone away (`| head`) is no fault: the rest is not written, and
/// the command ends as it would have. Output that cannot be written otherwise ends the command.
pub(super) fn print(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let shown = writeln!(out, "{text}").and_then(|()| out.flush());
    match shown {
        Ok(()) => {}
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => {}
        Err(fault) => {
            eprintln!("the output cannot be written: {fault}");
            std::process::exit(exit::FAILED.into());
        }
    }
}
