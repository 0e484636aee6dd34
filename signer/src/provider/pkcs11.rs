//! Keys in a PKCS#11 token, by the `cryptoki` crate.
//!
//! Signatures are `CKM_SHA256_RSA_PKCS`. Envelopes are opened by `CKM_RSA_X_509`, the bare operation, and unwrapped by
//! signer-crypto without a branch on what they hold: a padding check in the module would be an oracle that no caller
//! can close. `CKM_RSA_PKCS` is used only where the configuration says so.
//!
//! Not done: SM2. PKCS#11 defines no mechanism for it, and those of vendors agree on neither key types nor forms.
//! `C_Finalize` is never called: the module may be shared by another provider of this process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use signer_crypto::device::PublicHalf;
use zeroize::Zeroizing;

use super::ProviderFault;
use super::counterpart::{Computed, Counterpart, KeyNumber};
use super::device::{Device, DeviceFault, Operation, Output, Session};
use super::entry::{ObjectName, Pkcs11Entry, Token};
use crate::config::KeyUse;

/// Keys that a session remembers; beyond, it looks them up again. Reached by reloads alone.
const KEYS_MAX: usize = 256;

/// A token, by its module.
pub(crate) struct Pkcs11Device {
    context: Pkcs11,
    module: PathBuf,
    token: Token,
    padding_in_module: bool,
    pin: Mutex<Pin>,
    /// Held while a session is opened, by every provider of the same module: modules bear many threads once they are
    /// initialised, but not while they initialise and list their tokens.
    opening: Arc<Mutex<()>>,
}

/// The lock of a module.
fn opening(module: &Path) -> Arc<Mutex<()>> {
    static OF_MODULES: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut locks = OF_MODULES.lock().expect("no thread panics while it looks for a lock");
    Arc::clone(locks.entry(module.to_owned()).or_default())
}

struct Pin {
    secret: RawAuthPin,
    /// What the token said to it; it is not presented again.
    refused: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Pkcs11Key {
    pub(crate) counterpart: Counterpart,
    pub(crate) object: ObjectName,
}

impl Pkcs11Device {
    /// Loads the module and asks it nothing.
    pub(crate) fn load(entry: &Pkcs11Entry, mut pin: Zeroizing<Vec<u8>>) -> Result<Self, ProviderFault> {
        let context = Pkcs11::new(&entry.module).map_err(|error| ProviderFault::Module {
            path: entry.module.clone(),
            reason: error.to_string(),
        })?;
        let secret = RawAuthPin::new(Box::new(std::mem::take(&mut *pin)));
        Ok(Self {
            context,
            module: entry.module.clone(),
            token: entry.token.clone(),
            padding_in_module: entry.padding_in_module,
            pin: Mutex::new(Pin { secret, refused: None }),
            opening: opening(&entry.module),
        })
    }

    /// The slot of the token, with what the token says of itself.
    fn slot(&self) -> Result<(Slot, TokenInfo), DeviceFault> {
        let mut fitting = Vec::new();
        for slot in self.context.get_slots_with_token().map_err(away)? {
            let token = self.context.get_token_info(slot).map_err(away)?;
            let fits = match &self.token {
                Token::Label(label) => token.label() == label,
                Token::Slot(number) => slot.id() == *number,
            };
            if fits {
                fitting.push((slot, token));
            }
        }
        if fitting.len() > 1 {
            return Err(unusable(format!("several tokens are {}", self.token)));
        }
        let absent = || DeviceFault::Away(format!("no token is {}", self.token));
        fitting.pop().ok_or_else(absent)
    }

    /// One PIN at a time, and never again after a refusal: a token locks after a few.
    fn log_in(&self, session: &cryptoki::session::Session, token: &TokenInfo) -> Result<(), DeviceFault> {
        let mut pin = self.pin();
        if let Some(refusal) = &pin.refused {
            return Err(unusable(refusal.clone()));
        }
        if token.user_pin_locked() || token.user_pin_final_try() {
            return Err(unusable(
                "the token's PIN is locked or one failure from it; it is not presented".to_owned(),
            ));
        }
        match session.login_with_raw(UserType::User, &pin.secret) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) if is_loss(&error) => Err(away(error)),
            Err(error) => {
                let refusal = format!(
                    "the token refuses the PIN ({}); it is not presented again",
                    short(&error)
                );
                pin.refused = Some(refusal.clone());
                Err(unusable(refusal))
            }
        }
    }

    fn pin(&self) -> MutexGuard<'_, Pin> {
        self.pin.lock().expect("no thread panics while it logs in")
    }
}

impl fmt::Debug for Pkcs11Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Device({}, {})", self.module.display(), self.token)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "labelled {label:?}"),
            Self::Slot(slot) => write!(f, "in slot {slot}"),
        }
    }
}

impl Device for Pkcs11Device {
    type Key = Pkcs11Key;
    type Session = Pkcs11Session;

    fn open(&self) -> Result<Pkcs11Session, DeviceFault> {
        let _opening = self.opening.lock().expect("no thread panics while it opens a session");
        let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match self.context.initialize(threads) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => (),
            Err(error) => return Err(away(error)),
        }
        let (slot, token) = self.slot()?;
        let session = self.context.open_ro_session(slot).map_err(away)?;
        self.log_in(&session, &token)?;
        let offered = self.context.get_mechanism_list(slot).map_err(away)?;
        Ok(Pkcs11Session {
            session,
            mechanisms: Mechanisms {
                signs: offered.contains(&MechanismType::SHA256_RSA_PKCS),
                decrypts_raw: offered.contains(&MechanismType::RSA_X_509),
                decrypts_padded: self.padding_in_module && offered.contains(&MechanismType::RSA_PKCS),
            },
            keys: BTreeMap::new(),
        })
    }
}

pub(crate) struct Pkcs11Session {
    session: cryptoki::session::Session,
    mechanisms: Mechanisms,
    keys: BTreeMap<KeyNumber, ObjectHandle>,
}

struct Mechanisms {
    signs: bool,
    decrypts_raw: bool,
    /// Allowed, and offered.
    decrypts_padded: bool,
}

/// Modulus and public exponent.
type Numbers = (Vec<u8>, Vec<u8>);

impl Session for Pkcs11Session {
    type Key = Pkcs11Key;

    fn perform(&mut self, key: &Pkcs11Key, operation: &Operation) -> Result<Output, DeviceFault> {
        let handle = self.key(key)?;
        match operation {
            Operation::Check => Ok(Output::Checked),
            Operation::Sign(signed) => {
                let signature = self.session.sign(&Mechanism::Sha256RsaPkcs, handle, signed);
                let signature = signature.map_err(|error| failed(&error))?;
                key.counterpart.signature(signed, Computed::Rsa(signature))
            }
            Operation::Open(sealed) => self.open(handle, &key.counterpart, sealed),
        }
    }

    fn probe(&mut self) -> Result<(), DeviceFault> {
        let session = self.session.get_session_info().map_err(away)?;
        match session.session_state() {
            SessionState::RoUser | SessionState::RwUser => Ok(()),
            SessionState::RoPublic | SessionState::RwPublic | SessionState::RwSecurityOfficer => {
                Err(DeviceFault::Away("the session is logged out".to_owned()))
            }
        }
    }
}

impl Pkcs11Session {
    /// The handle of a key that is the certificate's and may do what it is for.
    fn key(&mut self, key: &Pkcs11Key) -> Result<ObjectHandle, DeviceFault> {
        if let Some(handle) = self.keys.get(&key.counterpart.number) {
            return Ok(*handle);
        }
        self.check_mechanisms(key.counterpart.usage)?;
        let handle = self.find(key)?;
        let (modulus, exponent) = self.numbers(handle)?;
        key.counterpart.check_rsa(&modulus, &exponent)?;
        if self.keys.len() >= KEYS_MAX {
            self.keys.clear();
        }
        self.keys.insert(key.counterpart.number, handle);
        Ok(handle)
    }

    fn check_mechanisms(&self, usage: KeyUse) -> Result<(), DeviceFault> {
        let missing = match usage {
            KeyUse::Sign if !self.mechanisms.signs => "the token does not offer CKM_SHA256_RSA_PKCS",
            KeyUse::Decrypt if !self.mechanisms.decrypts_raw && !self.mechanisms.decrypts_padded => {
                "the token does not offer CKM_RSA_X_509, and padding_in_module is not set or CKM_RSA_PKCS missing too"
            }
            KeyUse::Sign | KeyUse::Decrypt => return Ok(()),
        };
        Err(unusable(missing.to_owned()))
    }

    fn find(&self, key: &Pkcs11Key) -> Result<ObjectHandle, DeviceFault> {
        let name = match &key.object {
            ObjectName::Label(label) => Attribute::Label(label.clone().into_bytes()),
            ObjectName::Id(id) => Attribute::Id(id.clone()),
        };
        let wanted = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::RSA),
            name,
        ];
        let found = self.session.find_objects(&wanted).map_err(|error| failed(&error))?;
        match *found {
            [handle] => Ok(handle),
            [] => Err(unusable(format!("the token has no private RSA key {}", key.object))),
            _ => Err(unusable(format!(
                "the token has several private RSA keys {}",
                key.object
            ))),
        }
    }

    /// Modulus and exponent, from the private key or else from the public one of the same id.
    fn numbers(&self, private: ObjectHandle) -> Result<Numbers, DeviceFault> {
        if let Some(numbers) = self.numbers_of(private)? {
            return Ok(numbers);
        }
        let attributes = self.session.get_attributes(private, &[AttributeType::Id]);
        let mut wanted = attributes.map_err(|error| failed(&error))?;
        wanted.push(Attribute::Class(ObjectClass::PUBLIC_KEY));
        let found = self.session.find_objects(&wanted).map_err(|error| failed(&error))?;
        let public = match *found {
            [public] => self.numbers_of(public)?,
            _ => None,
        };
        public.ok_or_else(|| unusable("the token shows no public half of the key".to_owned()))
    }

    fn numbers_of(&self, handle: ObjectHandle) -> Result<Option<Numbers>, DeviceFault> {
        let wanted = [AttributeType::Modulus, AttributeType::PublicExponent];
        let attributes = self.session.get_attributes(handle, &wanted);
        let (mut modulus, mut exponent) = (None, None);
        for attribute in attributes.map_err(|error| failed(&error))? {
            match attribute {
                Attribute::Modulus(number) => modulus = Some(number),
                Attribute::PublicExponent(number) => exponent = Some(number),
                _ => (),
            }
        }
        Ok(modulus.zip(exponent))
    }

    fn open(&mut self, key: ObjectHandle, counterpart: &Counterpart, sealed: &[u8]) -> Result<Output, DeviceFault> {
        if let PublicHalf::Rsa(half) = counterpart.certificate.public_half() {
            half.takes(sealed).map_err(|_| DeviceFault::InputRefused)?;
        }
        if !self.mechanisms.decrypts_raw {
            return self.open_padded(key, counterpart, sealed);
        }
        let decrypted = self.session.decrypt(&Mechanism::RsaX509, key, sealed);
        let decrypted = Zeroizing::new(decrypted.map_err(|error| failed(&error))?);
        // Some modules leave leading zeros away.
        let mut padded = Zeroizing::new(vec![0; sealed.len().saturating_sub(decrypted.len())]);
        padded.reserve_exact(decrypted.len());
        padded.extend_from_slice(&decrypted);
        counterpart.padded(sealed, &padded)
    }

    /// Modules say in many ways that the padding is wrong; as long as the session is well, that is what they mean.
    fn open_padded(
        &mut self,
        key: ObjectHandle,
        counterpart: &Counterpart,
        sealed: &[u8],
    ) -> Result<Output, DeviceFault> {
        match self
            .session
            .decrypt(&Mechanism::RsaPkcs, key, sealed)
            .map(Zeroizing::new)
        {
            Ok(plaintext) => counterpart.unpadded(sealed, Some(&plaintext)),
            Err(error) if is_loss(&error) => Err(away(error)),
            Err(_) => self.probe().and_then(|()| counterpart.unpadded(sealed, None)),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "labelled {label:?}"),
            Self::Id(id) => {
                f.write_str("of id ")?;
                id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// Whether what failed is the session or what lies behind it.
fn is_loss(error: &Error) -> bool {
    let Error::Pkcs11(code, _) = error else { return false };
    matches!(
        code,
        RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::SessionCount
            | RvError::DeviceError
            | RvError::DeviceMemory
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SlotIdInvalid
            | RvError::UserNotLoggedIn
            | RvError::CryptokiNotInitialized
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
    )
}

fn failed(error: &Error) -> DeviceFault {
    if is_loss(error) {
        DeviceFault::Away(short(error))
    } else {
        DeviceFault::Failed(short(error))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "maps errors")]
fn away(error: Error) -> DeviceFault {
    DeviceFault::Away(short(&error))
}

fn unusable(reason: String) -> DeviceFault {
    DeviceFault::Unusable(reason)
}

/// The crate's own texts for codes are paragraphs.
fn short(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{code:?} from {function:?}"),
        error => error.to_string(),
    }
}
