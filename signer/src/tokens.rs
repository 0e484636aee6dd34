//! The keys of all tokens: one generation, or two while the bank goes from one to the other.
//!
//! Every token is made under the generation that is issued; while two are loaded, under the other as well, so that who
//! stores tokens can find what it stored under either and re-key it. Going from one to the next is written down step by
//! step in the README.

use signer_crypto::{FieldKind, TokenKey};
use signer_protocol::Tokens;

/// A number the operator gives a token key; never used for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(pub(crate) u32);

/// One key, with the number it goes by.
#[derive(Debug)]
pub(crate) struct TokenGeneration {
    pub(crate) generation: Generation,
    pub(crate) key: TokenKey,
}

#[derive(Debug)]
pub(crate) struct TokenKeys {
    pub(crate) issued: TokenGeneration,
    pub(crate) other: Option<TokenGeneration>,
}

impl TokenKeys {
    /// Tokens of all fields, in their order, under every generation that is loaded.
    pub(crate) fn tokens(&self, fields: &[(FieldKind, &[u8])]) -> Tokens {
        let other_generation = self.other.as_ref().map(|other| other.key.tokens(fields));
        Tokens {
            tokens: self.issued.key.tokens(fields),
            other_generation: other_generation.unwrap_or_default(),
        }
    }

    /// Whether both generations are one key under two numbers.
    pub(crate) fn are_the_same(&self) -> bool {
        let probe = |key: &TokenKey| key.token(FieldKind::AccountNumber, b"");
        self.other
            .as_ref()
            .is_some_and(|other| probe(&other.key) == probe(&self.issued.key))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use signer_protocol::Token;

    use super::*;

    pub(crate) fn generation(number: u32) -> TokenGeneration {
        let digits = format!("{number:02x}").repeat(TokenKey::BYTES);
        TokenGeneration {
            generation: Generation(number),
            key: TokenKey::from_hex(&digits).unwrap(),
        }
    }

    pub(crate) fn one() -> TokenKeys {
        TokenKeys {
            issued: generation(1),
            other: None,
        }
    }

    #[test]
    fn tokens_come_under_the_issued_generation_and_under_the_other_while_there_is_one() {
        let fields: [(FieldKind, &[u8]); 2] = [(FieldKind::Name, b"a"), (FieldKind::Mobile, b"b")];
        let under = |number: u32| -> Vec<Token> {
            let key = generation(number).key;
            fields.iter().map(|(kind, text)| key.token(*kind, text)).collect()
        };
        assert_eq!(
            one().tokens(&fields),
            Tokens {
                tokens: under(1),
                other_generation: vec![]
            }
        );
        let two = TokenKeys {
            issued: generation(2),
            other: Some(generation(1)),
        };
        assert_eq!(
            two.tokens(&fields),
            Tokens {
                tokens: under(2),
                other_generation: under(1)
            }
        );
    }

    #[test]
    fn one_key_under_two_numbers_is_seen() {
        let pair = |other: u32| TokenKeys {
            issued: generation(1),
            other: Some(generation(other)),
        };
        assert!(pair(1).are_the_same());
        assert!(!pair(2).are_the_same());
        assert!(!one().are_the_same());
    }
}
