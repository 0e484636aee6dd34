//! Keys in a GM/T 0018 ("SDF") device: the hardware encryptors of Chinese banks, by their vendors' C library.
//!
//! A key is an index with an access password, presented once in each session. SM2 signatures are made of digests
//! computed here, RSA ones of blocks padded here; envelopes are opened by `SDF_InternalDecrypt_ECC`, or by the bare RSA
//! operation and unwrapped by signer-crypto without a branch on what they hold.
//!
//! Not supported: libraries whose ECC structures have 32-byte fields; keys imported under a key-encrypting key.

mod interface;
mod library;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use signer_crypto::device::{PublicHalf, Sm2Envelope};
use zeroize::Zeroizing;

use self::interface::{Code, Pair};
use self::library::{Library, OpenedDevice, OpenedSession};
use super::ProviderFault;
use super::counterpart::{Computed, Counterpart, KeyNumber};
use super::device::{Device, DeviceFault, Operation, Output, Session};
use super::entry::SdfEntry;
use crate::config::KeyUse;

/// Rights that a session remembers; beyond, it asks for them again. Reached by reloads alone.
const RIGHTS_MAX: usize = 256;

/// A device, by its library. Opened when the first session is, and again after it was lost.
pub(crate) struct SdfDevice {
    library: Arc<Library>,
    module: PathBuf,
    opened: Mutex<Option<Arc<OpenedDevice>>>,
}

pub(crate) struct SdfKey {
    pub(crate) counterpart: Counterpart,
    pub(crate) index: u32,
    password: Mutex<Password>,
}

struct Password {
    secret: Zeroizing<Vec<u8>>,
    /// What the device said to it; it is not presented again.
    refused: Option<String>,
}

impl SdfKey {
    pub(crate) fn new(counterpart: Counterpart, index: u32, password: Zeroizing<Vec<u8>>) -> Self {
        Self {
            counterpart,
            index,
            password: Mutex::new(Password {
                secret: password,
                refused: None,
            }),
        }
    }

    /// Its signing or its encryption pair.
    const fn pair(&self) -> Pair {
        match self.counterpart.usage {
            KeyUse::Sign => Pair::Sign,
            KeyUse::Decrypt => Pair::Encrypt,
        }
    }

    fn password(&self) -> MutexGuard<'_, Password> {
        self.password
            .lock()
            .expect("no thread panics while it asks for a right")
    }
}

impl fmt::Debug for SdfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SdfKey({}, …)", self.index)
    }
}

impl SdfDevice {
    /// Loads the library and asks it nothing.
    pub(crate) fn load(entry: &SdfEntry) -> Result<Self, ProviderFault> {
        Ok(Self {
            library: Arc::new(Library::load(&entry.module, entry.internal_decrypt)?),
            module: entry.module.clone(),
            opened: Mutex::new(None),
        })
    }

    /// The device that is open, or one opened now. Two threads may open one each; the later one stays.
    fn device(&self) -> Result<Arc<OpenedDevice>, Code> {
        let opened = self.opened().clone();
        if let Some(device) = opened {
            return Ok(device);
        }
        let device = Arc::new(OpenedDevice::open(&self.library)?);
        *self.opened() = Some(Arc::clone(&device));
        Ok(device)
    }

    fn opened(&self) -> MutexGuard<'_, Option<Arc<OpenedDevice>>> {
        self.opened
            .lock()
            .expect("no thread panics while it looks for the device")
    }
}

impl fmt::Debug for SdfDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SdfDevice({})", self.module.display())
    }
}

impl Device for SdfDevice {
    type Key = SdfKey;
    type Session = SdfSession;

    fn open(&self) -> Result<SdfSession, DeviceFault> {
        let device = self.device().map_err(away)?;
        match OpenedSession::open(&device) {
            Ok(session) => Ok(SdfSession {
                session,
                rights: BTreeMap::new(),
            }),
            Err(code) => {
                // The next attempt opens the device itself again; this one is closed with its last session.
                self.opened().take_if(|opened| Arc::ptr_eq(opened, &device));
                Err(away(code))
            }
        }
    }
}

pub(crate) struct SdfSession {
    session: OpenedSession,
    /// Keys that were looked at and whose password was presented, with their index.
    rights: BTreeMap<KeyNumber, u32>,
}

impl Session for SdfSession {
    type Key = SdfKey;

    fn perform(&mut self, key: &SdfKey, operation: &Operation) -> Result<Output, DeviceFault> {
        self.obtain_right(key)?;
        match operation {
            Operation::Check => Ok(Output::Checked),
            Operation::Sign(signed) => self.sign(key, signed),
            Operation::Open(sealed) => self.open(key, sealed),
        }
    }

    fn probe(&mut self) -> Result<(), DeviceFault> {
        self.session.describe().map_err(away)
    }
}

impl SdfSession {
    /// First that the key is the certificate's; only then its password is presented.
    fn obtain_right(&mut self, key: &SdfKey) -> Result<(), DeviceFault> {
        if self.rights.contains_key(&key.counterpart.number) {
            return Ok(());
        }
        self.check(key)?;
        self.present_password(key)?;
        if self.rights.len() >= RIGHTS_MAX {
            self.rights.clear();
        }
        self.rights.insert(key.counterpart.number, key.index);
        Ok(())
    }

    fn check(&self, key: &SdfKey) -> Result<(), DeviceFault> {
        if let Some(function) = self.session.lacks(key.pair(), key.counterpart.certificate.suite()) {
            return Err(DeviceFault::Unusable(format!("the library lacks {function}")));
        }
        match key.counterpart.certificate.public_half() {
            PublicHalf::Sm(_) => {
                let exported = self.session.export_ecc(key.pair(), key.index);
                let [x, y] = exported.map_err(|code| not_shown(key, code))?;
                key.counterpart.check_sm2(&x, &y)
            }
            PublicHalf::Rsa(_) => {
                let exported = self.session.export_rsa(key.pair(), key.index);
                let layouts = exported.map_err(|code| not_shown(key, code))?;
                let judged = layouts.map(|[modulus, exponent]| key.counterpart.check_rsa(&modulus, &exponent));
                let [standard, wide] = judged;
                standard.or(wide)
            }
        }
    }

    /// One thread at a time, and never again after a refusal: a device locks an index after a few.
    fn present_password(&self, key: &SdfKey) -> Result<(), DeviceFault> {
        let mut password = key.password();
        if let Some(refusal) = &password.refused {
            return Err(DeviceFault::Unusable(refusal.clone()));
        }
        match self.session.access_right(key.index, &password.secret) {
            Ok(()) => Ok(()),
            Err(code) if is_loss(code) => Err(away(code)),
            Err(code) => {
                let refusal = format!(
                    "the device refuses the password of index {} ({code}); it is not presented again",
                    key.index
                );
                password.refused = Some(refusal.clone());
                Err(DeviceFault::Unusable(refusal))
            }
        }
    }

    fn sign(&self, key: &SdfKey, signed: &[u8]) -> Result<Output, DeviceFault> {
        let computed = match key.counterpart.certificate.public_half() {
            PublicHalf::Sm(half) => {
                let [r, s] = self.session.sign_ecc(key.index, &half.digest(signed)).map_err(failed)?;
                Computed::Sm2 { r, s }
            }
            PublicHalf::Rsa(half) => {
                let block = half.signature_block(signed);
                let mut signature = self.session.private_rsa(key.index, &block).map_err(failed)?;
                Computed::Rsa(std::mem::take(&mut *signature))
            }
        };
        key.counterpart.signature(signed, computed)
    }

    fn open(&mut self, key: &SdfKey, sealed: &[u8]) -> Result<Output, DeviceFault> {
        match key.counterpart.certificate.public_half() {
            PublicHalf::Rsa(half) => {
                half.takes(sealed).map_err(|_| DeviceFault::InputRefused)?;
                let padded = self.session.private_rsa(key.index, sealed).map_err(failed)?;
                key.counterpart.padded(sealed, &padded)
            }
            PublicHalf::Sm(_) => {
                let envelope = Sm2Envelope::read(sealed).map_err(|_| DeviceFault::InputRefused)?;
                match self.session.decrypt_ecc(key.index, &envelope) {
                    Ok(plaintext) => Counterpart::sm2_plaintext(&plaintext),
                    Err(code) => Err(self.not_decrypted(code)),
                }
            }
        }
    }

    /// Which code a tampered ciphertext gives is not agreed on. As long as the device is well, that is what it means.
    fn not_decrypted(&mut self, code: Code) -> DeviceFault {
        match failed(code) {
            DeviceFault::Failed(_) if self.probe().is_ok() => DeviceFault::InputRefused,
            fault => fault,
        }
    }
}

impl Drop for SdfSession {
    fn drop(&mut self) {
        for index in self.rights.values() {
            // A session that is lost has no rights to give back.
            let _released = self.session.release_right(*index);
        }
    }
}

fn not_shown(key: &SdfKey, code: Code) -> DeviceFault {
    if is_loss(code) {
        return away(code);
    }
    let suite = key.counterpart.certificate.suite();
    let usage = key.counterpart.usage.name();
    DeviceFault::Unusable(format!(
        "the device shows no {suite} key to {usage} with at index {} ({code})",
        key.index
    ))
}

/// Whether what failed is the session or the device. A right that is denied after it was given went with a session.
fn is_loss(code: Code) -> bool {
    [
        Code::COMMUNICATION,
        Code::HARDWARE,
        Code::OPEN_DEVICE,
        Code::OPEN_SESSION,
    ]
    .contains(&code)
}

fn failed(code: Code) -> DeviceFault {
    match code {
        Code::RIGHT_DENIED => away(code),
        Code::NOT_SUPPORTED | Code::KEY_ABSENT | Code::ALGORITHM => {
            DeviceFault::Unusable(format!("the device cannot do this with the key ({code})"))
        }
        code if is_loss(code) => away(code),
        code => DeviceFault::Failed(code.to_string()),
    }
}

fn away(code: Code) -> DeviceFault {
    DeviceFault::Away(code.to_string())
}
