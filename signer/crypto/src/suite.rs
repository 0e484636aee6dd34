//! The names of the two suites and of the kinds of encrypted field.

use std::fmt;

/// A cryptographic suite of the profile (section 4). Chosen by the key type of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// RSA PKCS#1 v1.5 with SHA-256; AES-256-ECB fields.
    Rsa,
    /// SM2 with SM3; SM4-ECB fields.
    Sm,
}

impl Suite {
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Sm];

    /// Bytes of a field key.
    pub const fn field_key_bytes(self) -> usize {
        match self {
            Self::Rsa => 32,
            Self::Sm => 16,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "rsa",
            Self::Sm => "sm",
        })
    }
}

/// What an encrypted field holds: the domain of its token, so that equal plaintexts of two kinds have two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    AccountNumber,
    Name,
    DocumentNumber,
    Mobile,
}

impl FieldKind {
    pub const ALL: [Self; 4] = [Self::AccountNumber, Self::Name, Self::DocumentNumber, Self::Mobile];

    /// The domain label that goes into a token. Changing one changes every token of its kind that was ever stored.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::AccountNumber => "account-number",
            Self::Name => "name",
            Self::DocumentNumber => "document-number",
            Self::Mobile => "mobile",
        }
    }
}
