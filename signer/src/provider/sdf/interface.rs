//! GM/T 0018 in types: structures, functions and codes, from the function list of the edition of 2012.
//!
//! `SDF_InternalDecrypt_ECC`, which that edition lacks, has two types for the three forms it is met in. ECC numbers are 64
//! bytes, right-aligned. The RSA structure has fields of 256 bytes in the standard and of 512 where a vendor's keys may
//! have 4096 bits; the one here has room for both.

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::fmt;

pub(super) const ECC_FIELD_BYTES: usize = 64;
/// `C` of an `ECCCipher`; a field key's envelope needs 19.
pub(super) const CIPHER_BYTES_MAX: usize = 136;
pub(super) const RSA_BYTES_MAX: usize = 512;
/// `DEVICEINFO` has 100 bytes; vendors append.
pub(super) const DEVICE_DESCRIPTION_BYTES: usize = 1024;
/// `SGD_SM2_3`: SM2 encryption.
pub(super) const SM2_ENCRYPTION: c_uint = 0x0002_0800;

/// What a function of the library returned, other than `SDR_OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const NOT_SUPPORTED: Self = Self(0x0100_0002);
    pub(super) const COMMUNICATION: Self = Self(0x0100_0003);
    pub(super) const HARDWARE: Self = Self(0x0100_0004);
    pub(super) const OPEN_DEVICE: Self = Self(0x0100_0005);
    pub(super) const OPEN_SESSION: Self = Self(0x0100_0006);
    pub(super) const RIGHT_DENIED: Self = Self(0x0100_0007);
    pub(super) const KEY_ABSENT: Self = Self(0x0100_0008);
    pub(super) const ALGORITHM: Self = Self(0x0100_0009);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::NOT_SUPPORTED => "SDR_NOTSUPPORT",
            Self::COMMUNICATION => "SDR_COMMFAIL",
            Self::HARDWARE => "SDR_HARDFAIL",
            Self::OPEN_DEVICE => "SDR_OPENDEVICE",
            Self::OPEN_SESSION => "SDR_OPENSESSION",
            Self::RIGHT_DENIED => "SDR_PARDENY",
            Self::KEY_ABSENT => "SDR_KEYNOTEXIST",
            Self::ALGORITHM => "SDR_ALGNOTSUPPORT",
            Self(_) => "code",
        };
        write!(f, "{name} {:#010x}", self.0)
    }
}

/// Which of an index's two key pairs is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pair {
    Sign,
    Encrypt,
}

#[repr(C)]
pub(super) struct EccPublicKey {
    pub(super) bits: c_uint,
    pub(super) x: [c_uchar; ECC_FIELD_BYTES],
    pub(super) y: [c_uchar; ECC_FIELD_BYTES],
}

#[repr(C)]
pub(super) struct EccSignature {
    pub(super) r: [c_uchar; ECC_FIELD_BYTES],
    pub(super) s: [c_uchar; ECC_FIELD_BYTES],
}

#[repr(C)]
pub(super) struct EccCipher {
    pub(super) x: [c_uchar; ECC_FIELD_BYTES],
    pub(super) y: [c_uchar; ECC_FIELD_BYTES],
    pub(super) hash: [c_uchar; 32],
    pub(super) masked_bytes: c_uint,
    pub(super) masked: [c_uchar; CIPHER_BYTES_MAX],
}

#[repr(C)]
pub(super) struct RsaPublicKey {
    pub(super) bits: c_uint,
    /// Modulus and exponent, in two fields of equal length.
    pub(super) numbers: [c_uchar; 2 * RSA_BYTES_MAX],
}

#[repr(C, align(8))]
pub(super) struct DeviceDescription(pub(super) [c_uchar; DEVICE_DESCRIPTION_BYTES]);

pub(super) type Handle = *mut c_void;
pub(super) type Bytes = *const c_uchar;
pub(super) type Room = *mut c_uchar;
pub(super) type OpenDevice = unsafe extern "C" fn(*mut Handle) -> c_int;
pub(super) type OpenSession = unsafe extern "C" fn(Handle, *mut Handle) -> c_int;
pub(super) type Close = unsafe extern "C" fn(Handle) -> c_int;
pub(super) type Describe = unsafe extern "C" fn(Handle, *mut DeviceDescription) -> c_int;
pub(super) type AccessRight = unsafe extern "C" fn(Handle, c_uint, Bytes, c_uint) -> c_int;
pub(super) type ReleaseRight = unsafe extern "C" fn(Handle, c_uint) -> c_int;
pub(super) type ExportEcc = unsafe extern "C" fn(Handle, c_uint, *mut EccPublicKey) -> c_int;
pub(super) type ExportRsa = unsafe extern "C" fn(Handle, c_uint, *mut RsaPublicKey) -> c_int;
pub(super) type SignEcc = unsafe extern "C" fn(Handle, c_uint, Bytes, c_uint, *mut EccSignature) -> c_int;
pub(super) type DecryptEcc = unsafe extern "C" fn(Handle, c_uint, *const EccCipher, Room, *mut c_uint) -> c_int;
pub(super) type DecryptEccBy =
    unsafe extern "C" fn(Handle, c_uint, c_uint, *const EccCipher, Room, *mut c_uint) -> c_int;
pub(super) type PrivateRsa = unsafe extern "C" fn(Handle, c_uint, Bytes, c_uint, Room, *mut c_uint) -> c_int;
