//! The C library of a GM/T 0018 device: loading it, and handles that close themselves. The one module of the signer with
//! `unsafe` in it.

#![expect(unsafe_code, reason = "a C interface")]

use std::ffi::{c_int, c_uint};
use std::fmt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use signer_crypto::Suite;
use signer_crypto::device::Sm2Envelope;
use zeroize::Zeroizing;

use super::interface::{
    AccessRight, CIPHER_BYTES_MAX, Close, Code, DEVICE_DESCRIPTION_BYTES, DecryptEcc, DecryptEccBy, Describe,
    DeviceDescription, ECC_FIELD_BYTES, EccCipher, EccPublicKey, EccSignature, ExportEcc, ExportRsa, Handle,
    OpenDevice, OpenSession, Pair, PrivateRsa, RSA_BYTES_MAX, ReleaseRight, RsaPublicKey, SM2_ENCRYPTION, SignEcc,
};
use crate::provider::ProviderFault;
use crate::provider::entry::InternalDecrypt;

/// A loaded library.
pub(super) struct Library {
    needed: Needed,
    wanted: Wanted,
    /// Keeps the code of the functions above where it is.
    _loaded: libloading::Library,
}

/// Without these there is no session.
struct Needed {
    open_device: OpenDevice,
    close_device: Close,
    open_session: OpenSession,
    close_session: Close,
    describe: Describe,
    access_right: AccessRight,
    release_right: ReleaseRight,
}

/// Functions that some keys need.
struct Wanted {
    export_sign_ecc: Option<ExportEcc>,
    export_encrypt_ecc: Option<ExportEcc>,
    export_sign_rsa: Option<ExportRsa>,
    export_encrypt_rsa: Option<ExportRsa>,
    sign_ecc: Option<SignEcc>,
    decrypt_ecc: Option<Decrypt>,
    private_rsa: Option<PrivateRsa>,
}

#[derive(Clone, Copy)]
enum Decrypt {
    Index(DecryptEcc),
    IndexAlgorithm(DecryptEccBy),
    AlgorithmIndex(DecryptEccBy),
}

/// Takes functions out of a library and notes the missing ones.
struct Symbols<'a> {
    loaded: &'a libloading::Library,
    missing: Vec<&'static str>,
}

impl Symbols<'_> {
    /// # Safety
    /// `F` is the type of a function pointer, and the one of the function of this name.
    unsafe fn wanted<F: Copy>(&self, name: &'static str) -> Option<F> {
        // SAFETY: the type is right by what this function asks of its caller; the pointer is copied, and `Library`
        // keeps the code loaded for as long as it holds the copy.
        unsafe { self.loaded.get::<F>(name) }.ok().map(|symbol| *symbol)
    }

    /// # Safety
    /// As [`Self::wanted`].
    unsafe fn needed<F: Copy>(&mut self, name: &'static str) -> Option<F> {
        // SAFETY: what is asked of the caller is the same.
        let function = unsafe { self.wanted(name) };
        if function.is_none() {
            self.missing.push(name);
        }
        function
    }

    fn all_needed(&mut self) -> Option<Needed> {
        // SAFETY: each type is the standard's for the function of that name.
        let (open_device, close_device, open_session, close_session, describe, access_right, release_right) = unsafe {
            (
                self.needed("SDF_OpenDevice"),
                self.needed("SDF_CloseDevice"),
                self.needed("SDF_OpenSession"),
                self.needed("SDF_CloseSession"),
                self.needed("SDF_GetDeviceInfo"),
                self.needed("SDF_GetPrivateKeyAccessRight"),
                self.needed("SDF_ReleasePrivateKeyAccessRight"),
            )
        };
        Some(Needed {
            open_device: open_device?,
            close_device: close_device?,
            open_session: open_session?,
            close_session: close_session?,
            describe: describe?,
            access_right: access_right?,
            release_right: release_right?,
        })
    }

    fn all_wanted(&self, form: InternalDecrypt) -> Wanted {
        const DECRYPT: &str = "SDF_InternalDecrypt_ECC";
        // SAFETY: each type is the standard's for the function of that name, and for the one that the standard lacks
        // the form that the operator states.
        unsafe {
            Wanted {
                export_sign_ecc: self.wanted("SDF_ExportSignPublicKey_ECC"),
                export_encrypt_ecc: self.wanted("SDF_ExportEncPublicKey_ECC"),
                export_sign_rsa: self.wanted("SDF_ExportSignPublicKey_RSA"),
                export_encrypt_rsa: self.wanted("SDF_ExportEncPublicKey_RSA"),
                sign_ecc: self.wanted("SDF_InternalSign_ECC"),
                decrypt_ecc: match form {
                    InternalDecrypt::Index => self.wanted(DECRYPT).map(Decrypt::Index),
                    InternalDecrypt::IndexAlgorithm => self.wanted(DECRYPT).map(Decrypt::IndexAlgorithm),
                    InternalDecrypt::AlgorithmIndex => self.wanted(DECRYPT).map(Decrypt::AlgorithmIndex),
                },
                private_rsa: self.wanted("SDF_InternalPrivateKeyOperation_RSA"),
            }
        }
    }
}

impl Library {
    pub(super) fn load(path: &Path, form: InternalDecrypt) -> Result<Self, ProviderFault> {
        // SAFETY: the operator names the library as the device's own; its initialisers run as any linked library's do.
        let loaded = unsafe { libloading::Library::new(path) };
        let loaded = loaded.map_err(|error| ProviderFault::Module {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let mut symbols = Symbols {
            loaded: &loaded,
            missing: Vec::new(),
        };
        let Some(needed) = symbols.all_needed() else {
            return Err(ProviderFault::Functions {
                path: path.to_owned(),
                missing: symbols.missing.join(", "),
            });
        };
        let wanted = symbols.all_wanted(form);
        Ok(Self {
            needed,
            wanted,
            _loaded: loaded,
        })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Library")
    }
}

/// An open device. Closed when dropped.
#[derive(Debug)]
pub(super) struct OpenedDevice {
    library: Arc<Library>,
    handle: Handle,
}

// SAFETY: the standard opens sessions of one device handle for many threads; nothing else is done with it here until
// the last owner closes it.
unsafe impl Send for OpenedDevice {}
// SAFETY: as above.
unsafe impl Sync for OpenedDevice {}

impl OpenedDevice {
    pub(super) fn open(library: &Arc<Library>) -> Result<Self, Code> {
        let mut handle = ptr::null_mut();
        // SAFETY: the pointer is to a handle that lives through the call.
        judged(unsafe { (library.needed.open_device)(&raw mut handle) })?;
        Ok(Self {
            library: Arc::clone(library),
            handle,
        })
    }
}

impl Drop for OpenedDevice {
    fn drop(&mut self) {
        // SAFETY: the handle came from this library, every session of it is closed (each holds the device), and this
        // is its only owner. What the library says is of no use any more.
        let _closed = unsafe { (self.library.needed.close_device)(self.handle) };
    }
}

/// An open session, for the thread that opened it. Closed when dropped.
#[derive(Debug)]
pub(super) struct OpenedSession {
    device: Arc<OpenedDevice>,
    handle: Handle,
}

impl OpenedSession {
    pub(super) fn open(device: &Arc<OpenedDevice>) -> Result<Self, Code> {
        let mut handle = ptr::null_mut();
        // SAFETY: the device is open, and the pointer is to a handle that lives through the call.
        judged(unsafe { (device.library.needed.open_session)(device.handle, &raw mut handle) })?;
        Ok(Self {
            device: Arc::clone(device),
            handle,
        })
    }

    /// The function that a key of this kind needs and the library lacks.
    pub(super) fn lacks(&self, pair: Pair, suite: Suite) -> Option<&'static str> {
        let wanted = &self.library().wanted;
        let (exports, uses) = match (suite, pair) {
            (Suite::Sm, Pair::Sign) => (
                ("SDF_ExportSignPublicKey_ECC", wanted.export_sign_ecc.is_some()),
                ("SDF_InternalSign_ECC", wanted.sign_ecc.is_some()),
            ),
            (Suite::Sm, Pair::Encrypt) => (
                ("SDF_ExportEncPublicKey_ECC", wanted.export_encrypt_ecc.is_some()),
                ("SDF_InternalDecrypt_ECC", wanted.decrypt_ecc.is_some()),
            ),
            (Suite::Rsa, pair) => (
                match pair {
                    Pair::Sign => ("SDF_ExportSignPublicKey_RSA", wanted.export_sign_rsa.is_some()),
                    Pair::Encrypt => ("SDF_ExportEncPublicKey_RSA", wanted.export_encrypt_rsa.is_some()),
                },
                ("SDF_InternalPrivateKeyOperation_RSA", wanted.private_rsa.is_some()),
            ),
        };
        let lacking = [exports, uses].into_iter().find(|(_, there)| !there);
        lacking.map(|(name, _)| name)
    }

    /// Asks the device for its description, which is not looked at.
    pub(super) fn describe(&self) -> Result<(), Code> {
        let mut description = DeviceDescription([0; DEVICE_DESCRIPTION_BYTES]);
        // SAFETY: the session is open; there is more room than the standard's structure takes.
        judged(unsafe { (self.library().needed.describe)(self.handle, &raw mut description) })
    }

    pub(super) fn access_right(&self, index: u32, password: &[u8]) -> Result<(), Code> {
        let bytes = c_uint_of(password.len());
        // SAFETY: the session is open; pointer and length are those of one slice, which the library only reads.
        judged(unsafe { (self.library().needed.access_right)(self.handle, index, password.as_ptr(), bytes) })
    }

    pub(super) fn release_right(&self, index: u32) -> Result<(), Code> {
        // SAFETY: the session is open.
        judged(unsafe { (self.library().needed.release_right)(self.handle, index) })
    }

    /// x and y.
    pub(super) fn export_ecc(&self, pair: Pair, index: u32) -> Result<[[u8; 32]; 2], Code> {
        let export = match pair {
            Pair::Sign => self.library().wanted.export_sign_ecc,
            Pair::Encrypt => self.library().wanted.export_encrypt_ecc,
        };
        let export = export.ok_or(Code::NOT_SUPPORTED)?;
        let mut key = EccPublicKey {
            bits: 0,
            x: [0; ECC_FIELD_BYTES],
            y: [0; ECC_FIELD_BYTES],
        };
        // SAFETY: the session is open, and the pointer is to a structure of the standard's layout.
        judged(unsafe { export(self.handle, index, &raw mut key) })?;
        Ok([word_of(&key.x), word_of(&key.y)])
    }

    /// Modulus and exponent as the two layouts of the structure have them; the one that was not meant is nonsense.
    pub(super) fn export_rsa(&self, pair: Pair, index: u32) -> Result<[[Vec<u8>; 2]; 2], Code> {
        let export = match pair {
            Pair::Sign => self.library().wanted.export_sign_rsa,
            Pair::Encrypt => self.library().wanted.export_encrypt_rsa,
        };
        let export = export.ok_or(Code::NOT_SUPPORTED)?;
        let mut key = RsaPublicKey {
            bits: 0,
            numbers: [0; 2 * RSA_BYTES_MAX],
        };
        // SAFETY: the session is open, and the structure has room for either layout.
        judged(unsafe { export(self.handle, index, &raw mut key) })?;
        let (first, _) = key.numbers.split_at(RSA_BYTES_MAX);
        Ok([first, &key.numbers].map(|numbers| {
            let (modulus, exponent) = numbers.split_at(numbers.len() / 2);
            [modulus.to_vec(), exponent.to_vec()]
        }))
    }

    /// r and s of a digest.
    pub(super) fn sign_ecc(&self, index: u32, digest: &[u8; 32]) -> Result<[[u8; 32]; 2], Code> {
        let sign = self.library().wanted.sign_ecc.ok_or(Code::NOT_SUPPORTED)?;
        let mut signature = EccSignature {
            r: [0; ECC_FIELD_BYTES],
            s: [0; ECC_FIELD_BYTES],
        };
        let bytes = c_uint_of(digest.len());
        // SAFETY: the session is open, pointer and length are those of one array, which the library only reads, and
        // the signature is a structure of the standard's layout.
        judged(unsafe { sign(self.handle, index, digest.as_ptr(), bytes, &raw mut signature) })?;
        Ok([word_of(&signature.r), word_of(&signature.s)])
    }

    /// The plaintext of an SM2 ciphertext of at most 136 bytes.
    pub(super) fn decrypt_ecc(&self, index: u32, envelope: &Sm2Envelope) -> Result<Zeroizing<Vec<u8>>, Code> {
        let decrypt = self.library().wanted.decrypt_ecc.ok_or(Code::NOT_SUPPORTED)?;
        let mut cipher = EccCipher {
            x: field_of(&envelope.x),
            y: field_of(&envelope.y),
            hash: envelope.hash,
            masked_bytes: c_uint_of(envelope.masked.len()),
            masked: [0; CIPHER_BYTES_MAX],
        };
        let room = cipher.masked.get_mut(..envelope.masked.len());
        room.ok_or(Code::NOT_SUPPORTED)?.copy_from_slice(&envelope.masked);
        let mut plaintext = Zeroizing::new(vec![0; 2 * CIPHER_BYTES_MAX]);
        let mut bytes = c_uint_of(plaintext.len());
        let (cipher, room, bytes_at) = (&raw const cipher, plaintext.as_mut_ptr(), &raw mut bytes);
        // SAFETY: the session is open; the ciphertext is a structure of the standard's layout with room to spare,
        // which the library only reads; there is more room for the plaintext than the ciphertext has bytes, and its
        // length is told.
        judged(unsafe {
            match decrypt {
                Decrypt::Index(decrypt) => decrypt(self.handle, index, cipher, room, bytes_at),
                Decrypt::IndexAlgorithm(decrypt) => decrypt(self.handle, index, SM2_ENCRYPTION, cipher, room, bytes_at),
                Decrypt::AlgorithmIndex(decrypt) => decrypt(self.handle, SM2_ENCRYPTION, index, cipher, room, bytes_at),
            }
        })?;
        plaintext.truncate(usize_of(bytes));
        Ok(plaintext)
    }

    /// The bare private operation on a block as long as the modulus.
    pub(super) fn private_rsa(&self, index: u32, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, Code> {
        let operate = self.library().wanted.private_rsa.ok_or(Code::NOT_SUPPORTED)?;
        let mut out = Zeroizing::new(vec![0; RSA_BYTES_MAX]);
        let mut bytes = c_uint_of(out.len());
        let (room, block_bytes) = (out.as_mut_ptr(), c_uint_of(block.len()));
        // SAFETY: the session is open; the block is one slice, which the library only reads; there is room for the
        // largest modulus, and its length is told.
        judged(unsafe { operate(self.handle, index, block.as_ptr(), block_bytes, room, &raw mut bytes) })?;
        out.truncate(usize_of(bytes));
        Ok(out)
    }

    fn library(&self) -> &Library {
        &self.device.library
    }
}

impl Drop for OpenedSession {
    fn drop(&mut self) {
        // SAFETY: the handle came from this library, and this is its only owner.
        let _closed = unsafe { (self.library().needed.close_session)(self.handle) };
    }
}

fn judged(code: c_int) -> Result<(), Code> {
    if code == 0 {
        Ok(())
    } else {
        Err(Code(code.cast_unsigned()))
    }
}

/// The number in a right-aligned field.
fn word_of(field: &[u8; ECC_FIELD_BYTES]) -> [u8; 32] {
    let (_, word) = field.split_last_chunk().expect("a field is longer than a word");
    *word
}

fn field_of(word: &[u8; 32]) -> [u8; ECC_FIELD_BYTES] {
    let mut field = [0; ECC_FIELD_BYTES];
    let (_, low) = field.split_last_chunk_mut().expect("a field is longer than a word");
    *low = *word;
    field
}

fn c_uint_of(length: usize) -> c_uint {
    c_uint::try_from(length).expect("every length here is below 64 KiB")
}

fn usize_of(length: c_uint) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
