//! Makes the Rust types of the contracts in `proto`. Compiled in Rust, so no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["proto/ledger.proto", "proto/administration.proto"], ["proto"])?;
    // a request's body is never printed: Debug of evidence is written by hand
    tonic_prost_build::configure()
        .skip_debug(["ledger.v1.Evidence"])
        .compile_fds(files)?;
    Ok(())
}
