//! Makes the Rust types of `proto/signer.proto`. Compiled in Rust, so no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["proto/signer.proto"], ["proto"])?;
    // bodies and plaintexts are never printed: Debug of these is written by hand
    tonic_prost_build::configure()
        // the long ones are taken out of the buffer they arrived in, not copied
        .bytes(".signer.v1.Open.signed")
        .bytes(".signer.v1.Sign.signed")
        .skip_debug([
            "signer.v1.Open",
            "signer.v1.Seal",
            "signer.v1.Sign",
            "signer.v1.Tokenise",
            "signer.v1.Reveal",
            "signer.v1.Revealed",
        ])
        .compile_fds(files)?;
    Ok(())
}
