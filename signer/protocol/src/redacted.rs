//! Debug of everything that carries a message or a plaintext: names, serials and lengths, nothing else.

use std::fmt;

use crate::answer::Revealed;
use crate::wire;
use crate::work::{EncryptedField, Open, Reveal, Seal, Sign, Tokenise};

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuer, serial) = (&self.issuer, &self.signing_serial);
        let (signed, fields) = (self.signed.len(), self.fields.len());
        write!(f, "Open({issuer} by {serial}, {signed} signed bytes, {fields} fields)")
    }
}

impl fmt::Debug for EncryptedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedField({:?}, {} bytes)", self.kind, self.ciphertext.len())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({} fields for {})", self.fields.len(), self.receiver)
    }
}

impl fmt::Debug for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sign({:?}, {} bytes)", self.suite, self.signed.len())
    }
}

impl fmt::Debug for Tokenise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenise({} of {:?})", self.plaintexts.len(), self.kind)
    }
}

impl fmt::Debug for Reveal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reveal({:?} for {:?})", self.field, self.purpose)
    }
}

impl fmt::Debug for wire::Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuer, serial) = (&self.issuer, &self.signing_serial);
        let (signed, fields) = (self.signed.len(), self.fields.len());
        write!(f, "Open({issuer} by {serial}, {signed} signed bytes, {fields} fields)")
    }
}

impl fmt::Debug for wire::Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({} fields for {})", self.fields.len(), self.receiver)
    }
}

impl fmt::Debug for wire::Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sign({:?}, {} bytes)", self.suite(), self.signed.len())
    }
}

impl fmt::Debug for wire::Tokenise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenise({} of {:?})", self.plaintexts.len(), self.kind())
    }
}

impl fmt::Debug for wire::Reveal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reveal(for {:?})", self.purpose)
    }
}

impl fmt::Debug for wire::Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(…)")
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(…)")
    }
}
