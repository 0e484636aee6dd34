//! 303, general answer: a receipt, or the refusal of a message that could not be handled. Nothing but `SysRtnInf`.

use crate::SystemReturn;
use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneralAnswer {
    pub system: SystemReturn,
}

impl GeneralAnswer {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            system: SystemReturn::read(body)?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.system.write(sink);
    }
}
