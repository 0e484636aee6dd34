//! The fuzz targets' bodies, which the suites replay over the kept corpus as ordinary tests.

#[allow(dead_code, reason = "shared with the suites, which use all of it")]
#[path = "../../tests/suites/openssl_sm2.rs"]
mod openssl_sm2;

pub mod bodies;
