//! Known answers of every algorithm, computed before a process takes work.
//!
//! The answers come from OpenSSL and from the standards. SM2 signatures have a nonce that is drawn, so the known one is
//! that of the standard with its nonce. What runs in lanes for many at once is tried for many at once. The keys under
//! `known-answers` are for this alone and marked as such.

use thiserror::Error;

use crate::sm::known_answer;
use crate::sm3;
use crate::{Certificate, FieldKind, Passphrase, PrivateKey, Suite, TokenKey, Verification, hexadecimal, verify_all};

/// An algorithm that does not give its known answer.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("self-test of {0} failed")]
pub struct SelfTestFault(&'static str);

/// Some milliseconds of work.
pub fn self_test() -> Result<(), SelfTestFault> {
    expect("SM3", sm3_answer())?;
    expect("the token function", token_answer())?;
    SM.check()?;
    RSA.check()
}

const SIGNED: &[u8] = b"known answer";
const FIELD: &[u8] = b"6222021234567890123";
const PASSPHRASE: &[u8] = b"known-answers-TEST-ONLY";

/// One suite's keys and what they must give. Bytes in hexadecimal.
struct KnownAnswers {
    suite: Suite,
    certificate: &'static [u8],
    private_key: &'static [u8],
    /// By another implementation, to be verified.
    signature: &'static str,
    /// By this one, to be made, where it is the same each time.
    signature_made: Option<&'static str>,
    envelope: &'static str,
    field: &'static str,
    names: Names,
}

struct Names {
    keys: &'static str,
    verifying: &'static str,
    signing: &'static str,
    opening: &'static str,
    many: &'static str,
    sealing: &'static str,
}

static SM: KnownAnswers = KnownAnswers {
    suite: Suite::Sm,
    certificate: include_bytes!("../known-answers/TEST-ONLY-sm.cert.pem"),
    private_key: include_bytes!("../known-answers/TEST-ONLY-sm.key.pem"),
    signature: "304402206325bfcc270694cb83b13973f891c588de90f50d9e898eff3721c679d3fc7af6\
                0220029c819a45d3526abc394f49df275a15c4a9e90d8ecf74b9bcb3ca696e517de1",
    signature_made: None,
    envelope: "307d022100de0b320a3185c37357f7f30df3b415ced23f3ef6367280cb63bb4c721a862bfa022100fe22c0caa68e1ed3\
               4db646ba09c415190b02d22a3be2cd82fbab8a4b293a48b30420f2c6867e820451dc89afcd39c402189ba4ac1dccef9f\
               b2576028e7c983153f050413f6d53c23503163f900f39ddbc65eb21b03134e",
    field: "5f60bbc38ec0ed93837eb157a440c292703c09b5428c7fb26631a78901faabf7",
    names: Names {
        keys: "SM2 keys",
        verifying: "SM2 verification",
        signing: "SM2 signing",
        opening: "SM2 and SM4 decryption",
        many: "SM2 for many at once",
        sealing: "SM2 and SM4 encryption",
    },
};

static RSA: KnownAnswers = KnownAnswers {
    suite: Suite::Rsa,
    certificate: include_bytes!("../known-answers/TEST-ONLY-rsa.cert.pem"),
    private_key: include_bytes!("../known-answers/TEST-ONLY-rsa.key.pem"),
    signature: RSA_SIGNATURE,
    signature_made: Some(RSA_SIGNATURE),
    envelope: "0c0c8f8d0887b4b233f368d58d108470a93914208538bf71c8bf63ba92f06e877cf3ae5ff5c91374f2364e80a0c45aff\
               616c9b919c844a6a6895383bc904cbade297658551d00b5b936ba2ad8222789173913e89ef105a0a0098b554a3de50a9\
               06b833f3ae21d497d49dcb2ea69f3cbaa1ccd5bc2dc6575cbced4fe84a23aea75f1ecc5c93cc89ea93d5d8cd9088dd89\
               b6805fb6d6eb6ca642aa0781f6d3eee0352b09d3e26c46cc7da5d55946c624a3e1618668e10fe2bd3d015376d228b140\
               34eed4983b9b71c2ed9dcbe92056c337c7e85a4f7e07270a9fb1fa47a239c45a690bf85ff9f78204e96f7b38642d7b0e\
               bee49fe60ca31f5be69ed930bac608ec",
    field: "296cdf2f6d86409b5dd5141b92428850f93e566698dedcb5219cdd243358e5d8",
    names: Names {
        keys: "RSA keys",
        verifying: "RSA verification",
        signing: "RSA signing",
        opening: "RSA and AES decryption",
        many: "RSA for many at once",
        sealing: "RSA and AES encryption",
    },
};

const RSA_SIGNATURE: &str = "2ae27b71bebb60149b858b9d286777ef65a900b6ca5122bc7c214733ebabc856da1c07449e954be5f50c1ced3ee430ef\
                             6e181f7243f1d15750a59a62476f331a0fd1c3fd7bf047480ea42bc08731ce00f5a459f8157e423d5013686c34809a25\
                             8aab87b09596a41311c6df19be0d5f7b5fbe2026ec18968d600fd7c55e05dbf081d23ac1b2ffffba532fb33c95db6ba3\
                             de3016750488b98ec6f1c52c2f40e631e03bf3d4323e9f7ef4dbab1ec874375a09910c4f87425aacf50445d7e9087a34\
                             333359e089379cf7c8284d0afbb32d54fcccc28d0e90ade14acca61affc4063252814c4e42cae5da7fda75468f7838ef\
                             4c04c0735d22afa9aafd069235ec1799";

impl KnownAnswers {
    fn check(&self) -> Result<(), SelfTestFault> {
        let (certificate, key) = self.keys().ok_or(SelfTestFault(self.names.keys))?;
        expect(self.names.verifying, self.verifies(&certificate))?;
        expect(self.names.signing, self.signs(&certificate, &key))?;
        expect(self.names.opening, self.opens(&key, self.envelope))?;
        expect(self.names.many, self.many(&certificate, &key))?;
        expect(self.names.sealing, self.seals(&certificate, &key))
    }

    fn keys(&self) -> Option<(Certificate, PrivateKey)> {
        let certificate = Certificate::from_pem(self.certificate).ok()?;
        let key = PrivateKey::from_pkcs8_pem(self.private_key, &Passphrase::new(PASSPHRASE.to_vec())).ok()?;
        (certificate.suite() == self.suite && key.matches(&certificate)).then_some((certificate, key))
    }

    fn verifies(&self, certificate: &Certificate) -> Option<()> {
        let signature = hexadecimal::decode(self.signature)?;
        certificate.verify(SIGNED, &signature).ok()?;
        certificate
            .verify(b"another message", &signature)
            .is_err()
            .then_some(())
    }

    fn signs(&self, certificate: &Certificate, key: &PrivateKey) -> Option<()> {
        let made = key.sign(SIGNED).ok()?;
        certificate.verify(SIGNED, &made).ok()?;
        match self.signature_made {
            Some(expected) => (made == **hexadecimal::decode(expected)?).then_some(()),
            None => known_answer::signature(),
        }
    }

    /// Ten of everything at once, among them what does not hold or open.
    fn many(&self, certificate: &Certificate, key: &PrivateKey) -> Option<()> {
        const WRONG: usize = 3;
        let mut signatures: Vec<Vec<u8>> = key.sign_all(&[SIGNED; 10]).into_iter().collect::<Result<_, _>>().ok()?;
        *signatures.get_mut(WRONG)?.last_mut()? ^= 1;
        let items = signatures.iter().map(|signature| Verification {
            certificate,
            signed: SIGNED,
            signature,
        });
        let verdicts = verify_all(&items.collect::<Vec<_>>());
        let envelope = hexadecimal::decode(self.envelope)?;
        let mut envelopes = [envelope.as_slice(); 10];
        *envelopes.get_mut(WRONG)? = SIGNED;
        let opened = key.open_envelopes(&envelopes);
        let right = verdicts.iter().zip(&opened).enumerate().all(|(at, (verdict, opened))| {
            let opens = opened
                .as_ref()
                .is_ok_and(|key| hex_equals(&key.encrypt(FIELD), self.field));
            verdict.is_ok() == (at != WRONG) && opens == (at != WRONG)
        });
        (right && verdicts.len() == 10 && opened.len() == 10).then_some(())
    }

    fn opens(&self, key: &PrivateKey, envelope: &str) -> Option<()> {
        let field_key = key.open_envelope(&hexadecimal::decode(envelope)?).ok()?;
        let opened = field_key.decrypt(&hexadecimal::decode(self.field)?).ok()?;
        (opened.expose() == FIELD && field_key.encrypt(FIELD) == **hexadecimal::decode(self.field)?).then_some(())
    }

    fn seals(&self, certificate: &Certificate, key: &PrivateKey) -> Option<()> {
        let field_key = crate::FieldKey::generate(self.suite).ok()?;
        let opened = key.open_envelope(&certificate.seal_envelope(&field_key).ok()?).ok()?;
        let plaintext = opened.decrypt(&field_key.encrypt(FIELD)).ok()?;
        (plaintext.expose() == FIELD).then_some(())
    }
}

/// GB/T 32905, appendix A.1; singly and by as many as fill the lanes.
fn sm3_answer() -> Option<()> {
    let expected = hexadecimal::decode("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")?;
    let mut digests = sm3::digest_all_parts(&[[b"abc".as_slice()]; 16]);
    digests.push(sm3::digest(&[b"abc"]));
    digests
        .iter()
        .all(|digest| digest.as_slice() == expected.as_slice())
        .then_some(())
}

fn hex_equals(bytes: &[u8], text: &str) -> bool {
    hexadecimal::decode(text).is_some_and(|expected| bytes == expected.as_slice())
}

fn token_answer() -> Option<()> {
    let key = TokenKey::from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")?;
    let expected = hexadecimal::decode("ff991507116f571c38045cdf5d6a42a9884d00f7dd1e33e39663a0bbfde8da93")?;
    (key.token(FieldKind::AccountNumber, FIELD).as_slice() == expected.as_slice()).then_some(())
}

fn expect(algorithm: &'static str, answer: Option<()>) -> Result<(), SelfTestFault> {
    answer.ok_or(SelfTestFault(algorithm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes() {
        assert_eq!(self_test(), Ok(()));
    }

    #[test]
    fn a_wrong_answer_is_named() {
        let wrong = KnownAnswers {
            field: "5f60bbc38ec0ed93837eb157a440c292",
            ..copy(&SM)
        };
        assert_eq!(wrong.check(), Err(SelfTestFault("SM2 and SM4 decryption")));
        let wrong = KnownAnswers {
            signature: RSA_SIGNATURE,
            ..copy(&SM)
        };
        assert_eq!(wrong.check(), Err(SelfTestFault("SM2 verification")));
        let wrong = KnownAnswers {
            signature_made: Some(SM.signature),
            ..copy(&RSA)
        };
        assert_eq!(wrong.check(), Err(SelfTestFault("RSA signing")));
        let wrong = KnownAnswers {
            private_key: SM.private_key,
            ..copy(&RSA)
        };
        assert_eq!(wrong.check(), Err(SelfTestFault("RSA keys")));
    }

    fn copy(answers: &KnownAnswers) -> KnownAnswers {
        let Names {
            keys,
            verifying,
            signing,
            opening,
            many,
            sealing,
        } = answers.names;
        KnownAnswers {
            names: Names {
                keys,
                verifying,
                signing,
                opening,
                many,
                sealing,
            },
            ..*answers
        }
    }
}
