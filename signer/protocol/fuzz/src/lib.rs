//! Fuzz targets of signer-protocol. What they do is in [`bodies`], which the package's own tests run as well.

pub mod bodies;
