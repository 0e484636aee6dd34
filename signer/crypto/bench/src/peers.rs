//! Other implementations, each in the way its own documentation uses it. Keys are made ready once, outside the clock.

mod botan;
mod efficient_sm2;
mod gm_crypto;
mod gm_rs;
mod gm_sm2;
mod gmcrypto;
mod gmsm;
mod gmssl;
mod libsm;
mod libsmx;
mod openssl;
mod purecrypto;
mod rustcrypto;
mod sm_crypto;
mod smcrypto;
mod yogcrypt;

use std::error::Error;

use crate::implementation::Implementation;
use crate::scenario::Scenario;

/// Makes one ready. Fails, or panics, when it does not take the key.
pub(crate) type Ready = fn(&'static Scenario) -> Result<Implementation, Box<dyn Error>>;

/// With the names to report them under when they cannot be made ready.
pub(crate) const ALL: [(&str, Ready); 16] = [
    ("OpenSSL", openssl::ready),
    ("Botan", botan::ready),
    ("GmSSL", gmssl::ready),
    ("RustCrypto sm2", rustcrypto::ready),
    ("gm-crypto", gm_crypto::ready),
    ("libsm", libsm::ready),
    ("efficient-sm2", efficient_sm2::ready),
    ("gm-rs", gm_rs::ready),
    ("gm-sm2", gm_sm2::ready),
    ("sm-crypto", sm_crypto::ready),
    ("smcrypto", smcrypto::ready),
    ("libsmx", libsmx::ready),
    ("gmcrypto-core", gmcrypto::ready),
    ("purecrypto", purecrypto::ready),
    ("gmsm", gmsm::ready),
    ("yogcrypt", yogcrypt::ready),
];

/// Looked at and not linked, with the reason.
pub(crate) const LEFT_OUT: [(&str, &str); 7] = [
    (
        "Tongsuo",
        "crate tongsuo links a second libcrypto, whose names collide with the system's OpenSSL",
    ),
    ("openHiTLS", "neither a crate nor a Debian package"),
    ("Intel crypto_mb", "neither a crate nor a Debian package"),
    (
        "libgcrypt",
        "its crate's build asks for a program that Debian no longer has",
    ),
    ("opengm_crypto", "asks for a nightly compiler"),
    ("rust_sm", "a prebuilt binary without sources"),
    (
        "libgmssl",
        "its bindings were withdrawn from the registry; GmSSL comes by gmssl-rs",
    ),
];
